"""Memory: what a session costs, what grows, and what that makes of the app's memory. Pure."""
