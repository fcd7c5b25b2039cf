"""Doing runs: one run, the runs that follow it up, and a bench of all scenarios."""
