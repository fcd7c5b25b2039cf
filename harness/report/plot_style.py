"""What the plots have in common: palette, type, and how a figure becomes bytes.

The palette's light values double as sentinels. Every colour drawn is one of them, and each occurs for one purpose only, so
`harness.report.svg` can replace them by the page's CSS variables while the standalone files keep them as they are.
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
# Blue, vermilion, purple: apart for every common kind of colour blindness, and each has a marker or dash of its own.
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
# Of an axis: the steps between two of its figures, and most of them.
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
    # Names of actions come from scenarios; a dollar sign in one is not mathematics.
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "path.simplify": True,
    # Text stays text: it can be searched and read aloud, and takes the page's typeface.
    "svg.fonttype": "none",
}


class Plot(msgspec.Struct, frozen=True, kw_only=True):
    """One finished plot.

    Attributes:
        name: file name without suffix, and prefix of the ids within the SVG.
        section: the place on the page where it stands.
        caption: how to read it, in sentences; empty where there is nothing to read.
        alt: its finding in words and figures, for those who do not see it.
        svg: standalone file, light colours.
        png: the same as pixels.
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
    """Draw by our own settings only, whatever the user's matplotlibrc says; the settings are put back afterwards."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def blank(title: str, height_in: float) -> Any:
    """An empty figure with its title; 1 pixel = 1 point, so that text can be measured in points."""
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
    """Instead of data: say in the middle why there is none."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.grid(False)
    axes.patch.set_facecolor(BAND)
    lines = "\n".join(textwrap.wrap(plain(text), width))
    axes.text(0.5, 0.5, lines, transform=axes.transAxes, ha="center", va="center", linespacing=1.5)


def legend(axes: Any, top_in: float, columns: int = 8) -> None:
    """Keys between the title and the phases, in one row unless there are more than that many.

    Args:
        axes: whose lines to name.
        top_in: distance of the first row from the figure's upper edge, inches.
        columns: most keys in a row.
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
    """Text that an SVG file may hold: no control characters, no line breaks."""
    return "".join("�" if unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn") else c for c in text)


def finish(figure: Any, *, name: str, section: str, title: str, caption: str, alt: str) -> Plot:
    """Write the figure as SVG and PNG, the same bytes whenever the data is the same."""
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
