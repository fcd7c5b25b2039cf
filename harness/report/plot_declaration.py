"""What stands in the list of plots (`harness.report.plots.PLOTS`), one declaration for each. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from harness.analysis import Analysis, RunData
from harness.records import Check


class PlotSource(msgspec.Struct, frozen=True, kw_only=True):
    """What a plot of a run may draw.

    Attributes:
        data: the records of the run.
        analysis: the figures made from them.
        checks: what was concluded from its history.
    """

    data: RunData
    analysis: Analysis
    checks: Sequence[Check] = ()


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of matplotlib, and `alt`, its finding in words and figures for readers who do not see it."""

    figure: Any
    alt: str


class NoData(msgspec.Struct, frozen=True, kw_only=True):
    """The frame of a plot without data: `reason` stands in the middle, `height_in` is its height in inches."""

    reason: str
    height_in: float


class PlotDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """One plot of the report of a run.

    Attributes:
        name: file name without suffix, and prefix of the ids within the SVG.
        title: stands above the plot.
        section: the place on the page. The templates show all plots of a section, in the order of the list.
        caption: how to read the plot, in sentences.
        draw: draws the plot, given its title.
        applies: False for a run that has nothing of the kind; its page has no such plot then.
    """

    name: str
    title: str
    section: str
    caption: Callable[[PlotSource], str]
    draw: Callable[[str, PlotSource], Drawing | NoData]
    applies: Callable[[PlotSource], bool] = lambda source: True
