"""Shared by all plots: palette, type, panels, and writing a figure as SVG and PNG.

The light values of the palette are also placeholders: every drawn colour is one of them, and each has one purpose. So
`harness.report.svg` can replace them by the page's CSS variables. The standalone files keep the light values.
"""

from __future__ import annotations

import io
import textwrap
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
import msgspec
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from harness.report.svg import label

INK = "#1d2127"
MUTED = "#59626d"
RULE = "#dadee3"
BAND = "#eff2f5"
SURFACE = "#fefefe"
# Blue, vermilion, purple: distinct with any common colour blindness. Each also has its own marker or dash.
FIRST = "#0a61a6"
SECOND = "#bd5207"
THIRD = "#7a3d9c"

PALETTE = {
    INK: "ink",
    MUTED: "muted",
    RULE: "rule",
    BAND: "band",
    SURFACE: "surface",
    FIRST: "first",
    SECOND: "second",
    THIRD: "third",
}

WIDTH_IN = 5.0
HEIGHT_IN = 3.5
# Allowed steps between two figures of an axis, times a power of ten.
STEPS = [1, 2, 2.5, 5, 10]
# A phone shows a plot about 328 px wide, which makes a point of type about 0.9 px.
FONT_PT = 10.5
SMALL_PT = 10.0
TITLE_PT = 11.5
_PNG_DPI = 200

_STYLE: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": FONT_PT,
    "axes.titlesize": FONT_PT,
    "axes.labelsize": FONT_PT,
    "xtick.labelsize": SMALL_PT,
    "ytick.labelsize": SMALL_PT,
    "legend.fontsize": SMALL_PT,
    "axes.edgecolor": MUTED,
    "axes.facecolor": SURFACE,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.8,
    "axes.unicode_minus": True,
    "axes.axisbelow": True,
    "figure.facecolor": SURFACE,
    "savefig.facecolor": SURFACE,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.6,
    "text.color": INK,
    # A dollar sign in the name of an action must not start a formula.
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "path.simplify": True,
    # Text stays text: it can be searched and read aloud, and uses the page's typeface.
    "svg.fonttype": "none",
}


class Plot(msgspec.Struct, frozen=True, kw_only=True):
    """One finished plot.

    Attributes:
        name: file name without suffix, and prefix of the ids within the SVG.
        section: the section of the page that shows it.
        caption: how to read the plot; empty if it has no data.
        alt: its result in words and figures, for screen readers.
        svg: standalone file, light colours.
        png: the same picture as pixels.
    """

    name: str
    section: str
    title: str
    caption: str
    alt: str
    svg: bytes
    png: bytes


@contextmanager
def style() -> Iterator[None]:
    """Use only gradsoak's plot settings, not the user's matplotlibrc; restore the settings afterwards."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def blank(title: str, height_in: float) -> Any:
    """An empty figure with its title. One pixel is one point, so that text can be measured in points."""
    figure = Figure(figsize=(WIDTH_IN, height_in), dpi=72)
    FigureCanvasAgg(figure)
    figure.text(
        0.12 / WIDTH_IN,
        1 - 0.12 / height_in,
        title,
        ha="left",
        va="top",
        fontsize=TITLE_PT,
        fontweight="bold",
    )
    return figure


def panel(
    figure: Any, *, left_in: float, top_in: float, right_in: float = 0.16, bottom_in: float = 0.56
) -> Any:
    """Axes with the given distances from the figure's edges, inches."""
    width, height = figure.get_size_inches()
    box = (
        left_in / width,
        bottom_in / height,
        (width - left_in - right_in) / width,
        (height - top_in - bottom_in) / height,
    )
    axes = figure.add_axes(box)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def say(axes: Any, text: str, width: int = 40) -> None:
    """Show a text in the middle instead of data."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.grid(False)
    axes.patch.set_facecolor(BAND)
    lines = "\n".join(textwrap.wrap(plain(text), width))
    axes.text(0.5, 0.5, lines, transform=axes.transAxes, ha="center", va="center", linespacing=1.5)


def legend(axes: Any, top_in: float, columns: int = 8) -> None:
    """Draw the keys between the title and the phases.

    Args:
        axes: the axes whose lines are named.
        top_in: distance of the first row from the figure's upper edge, inches.
        columns: maximum number of keys in a row.
    """
    height = axes.figure.get_size_inches()[1]
    handles, labels = axes.get_legend_handles_labels()
    axes.figure.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(0.12 / WIDTH_IN, 1 - top_in / height),
        ncols=max(1, min(columns, len(handles))),
        borderpad=0,
        borderaxespad=0,
        handlelength=1.5,
        handletextpad=0.5,
        columnspacing=1.3,
    )


def plain(text: str) -> str:
    """Text that an SVG file may contain: without control characters and line breaks."""
    return "".join("�" if unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn") else c for c in text)


def finish(figure: Any, *, name: str, section: str, title: str, caption: str, alt: str) -> Plot:
    """Write the figure as SVG and PNG. The same data gives the same bytes."""
    matplotlib.rcParams["svg.hashsalt"] = name
    svg, png = io.BytesIO(), io.BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    figure.savefig(png, format="png", dpi=_PNG_DPI, metadata={"Software": None})
    return Plot(
        name=name,
        section=section,
        title=title,
        caption=caption,
        alt=alt,
        svg=label(svg.getvalue().decode(), name, plain(alt)).encode(),
        png=png.getvalue(),
    )
