"""The record that declares one plot in the list `harness.report.plots.PLOTS`. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from harness.analysis import Analysis
from harness.recorded_run import RecordedRun
from harness.records import Check


class PlotSource(msgspec.Struct, frozen=True, kw_only=True):
    """What a plot may use.

    Attributes:
        data: the records of the run.
        analysis: the figures made from them.
        checks: the checks of its history.
    """

    data: RecordedRun
    analysis: Analysis
    checks: Sequence[Check] = ()


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of matplotlib. `alt` is its result in words and figures, for screen readers."""

    figure: Any
    alt: str


class NoData(msgspec.Struct, frozen=True, kw_only=True):
    """Returned instead of a drawing if there is no data: `reason` is shown in an empty frame, `height_in` inches high."""

    reason: str
    height_in: float


class PlotDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """One plot of the report of a run.

    Attributes:
        name: file name without suffix, and prefix of the ids within the SVG.
        title: shown above the plot.
        section: section of the page. The templates show all plots of a section, in the order of the list.
        caption: how to read the plot, in sentences.
        draw: draws the plot, given its title.
        applies: False if the plot makes no sense for a run. The page then leaves it out.
    """

    name: str
    title: str
    section: str
    caption: Callable[[PlotSource], str]
    draw: Callable[[str, PlotSource], Drawing | NoData]
    applies: Callable[[PlotSource], bool] = lambda source: True
