"""Samplers: what the operating system reports about a process tree."""

from harness.sampling.cgroup import cgroup_of
from harness.sampling.process_tree import ProcessTree, Sampler, measure_tree

__all__ = ["ProcessTree", "Sampler", "cgroup_of", "measure_tree"]
