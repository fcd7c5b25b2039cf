"""Pages of docs/ that are generated: `make docs`."""
