"""Latency, throughput, and whether the load generator was the bottleneck. Pure."""
