"""All plots of a run that was made up, and the words in them."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from harness.analysis import Analysis, analyse
from harness.recorded_run import RecordedRun
from harness.report.plot_declaration import PlotSource
from harness.report.plots import PLOTS, Plot, draw_all, drawn


def draw_one(data: RecordedRun, name: str, analysis: Analysis | None = None) -> Plot:
    """One plot of a run; the others are not drawn."""
    source = PlotSource(data=data, analysis=analysis or analyse(data), checks=())
    (plot,) = drawn([plot for plot in PLOTS if plot.name == name], source)
    return plot


def draw(data: RecordedRun) -> dict[str, Plot]:
    plots = draw_all(data, analyse(data))
    assert {"memory-per-session", "memory-over-time", "latency", "stages", "throughput"} <= {
        p.name for p in plots
    }
    for plot in plots:
        ET.fromstring(plot.svg)
        assert plot.png.startswith(b"\x89PNG")
        assert plot.title
        assert plot.alt
    return {plot.name: plot for plot in plots}


def words(plot: Plot) -> str:
    """All text in a plot."""
    root = ET.fromstring(plot.svg)
    return " ".join("".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text"))
