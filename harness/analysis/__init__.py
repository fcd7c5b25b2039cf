"""Analysis: records in, numbers out. Pure."""

from __future__ import annotations

from harness.analysis.latency.generator_bottleneck import check_generator
from harness.analysis.memory.leak_checks import check_growth
from harness.analysis.run_analysis import Analysis, analyse

__all__ = ["Analysis", "analyse", "check_generator", "check_growth"]
