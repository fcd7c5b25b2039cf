"""The list of all plots of a run, and drawing them as SVG and PNG. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis import Analysis
from harness.recorded_run import RecordedRun
from harness.records import Check
from harness.report import memory_plots, session_matrix_plot, speed_plots, waterfall
from harness.report.plot_declaration import NoData, PlotDeclaration, PlotSource
from harness.report.plot_style import Plot, blank, finish, panel, say, style

__all__ = ["PLOTS", "Plot", "draw_all", "drawn"]

# Within a section, the page shows plots in this order.
PLOTS: tuple[PlotDeclaration, ...] = (
    *session_matrix_plot.PLOTS,
    *memory_plots.PLOTS,
    *waterfall.PLOTS,
    *speed_plots.PLOTS,
)


def draw_all(data: RecordedRun, analysis: Analysis, checks: Sequence[Check] = ()) -> list[Plot]:
    """Draw every plot of the list that applies to a run. A plot without data shows the reason instead."""
    source = PlotSource(data=data, analysis=analysis, checks=checks)
    return drawn(PLOTS, source)


def drawn(plots: Sequence[PlotDeclaration], source: PlotSource) -> list[Plot]:
    """Draw the given plots, as far as they apply to a run."""
    with style():
        return [_drawn(plot, source) for plot in plots if plot.applies(source)]


def _drawn(plot: PlotDeclaration, source: PlotSource) -> Plot:
    found = plot.draw(plot.title, source)
    if isinstance(found, NoData):
        figure = blank(plot.title, found.height_in)
        say(panel(figure, left_in=0.16, top_in=0.5, bottom_in=0.16), found.reason)
        caption, alt = "", f"{plot.title}: {found.reason}"
    else:
        figure, caption, alt = found.figure, plot.caption(source), found.alt
    return finish(figure, name=plot.name, section=plot.section, title=plot.title, caption=caption, alt=alt)
