"""What the load side costs: figures, measured by `make perf`. See docs/perf.md. Nothing here is a test."""
