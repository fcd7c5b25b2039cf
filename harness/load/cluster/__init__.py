"""Several load generator processes below one Locust master, on one machine or on many."""
