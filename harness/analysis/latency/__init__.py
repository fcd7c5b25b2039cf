"""Latency and throughput, and whether the load generator limited them. Pure."""
