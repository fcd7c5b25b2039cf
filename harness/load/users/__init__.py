"""The simulated users of a run, one class per kind, and the coordinator that starts them and waits for them."""
