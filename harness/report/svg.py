"""SVG as text: labels for screen readers, unique ids, and inlining into a page. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import quoteattr

_PROLOGUE = re.compile(r"\A.*?(?=<svg\b)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
# Its selector `*` would apply to the whole page. base.html.j2 has the same rules for plots only.
_STYLE = re.compile(r"\s*<defs>\s*<style\b.*?</style>\s*</defs>", re.DOTALL)
_SIZE = re.compile(r'(<svg\b[^>]*?)\s+(?:width|height)="[^"]*"')
# Depending on its version, matplotlib writes the shorthand or only the family.
_FONT = re.compile(r"font: ([^;\"]*?\d(?:\.\d+)?px)[^;\"]*")
_FAMILY = re.compile(r"font-family: [^;\"]*")


def label(svg: str, name: str, alt: str) -> str:
    """Add a text alternative to a figure, and a prefix to every id.

    Args:
        svg: a file as matplotlib writes it.
        name: the prefix. Plots with different names have different ids.
        alt: what the plot shows, in words.
    """
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    svg = re.sub(r'\bhref="#([^"]+)"', rf'href="#{name}-\1"', svg)
    return svg.replace("<svg", f'<svg role="img" aria-label={quoteattr(alt)}', 1)


def inline(svg: str, colours: Mapping[str, str]) -> str:
    """Make a labelled figure inline: without prologue and size, with colours and typeface as CSS variables.

    Args:
        svg: what `label` returned.
        colours: literal colour → name of the variable `--plot-<name>` that replaces it.
    """
    svg = _STYLE.sub("", _METADATA.sub("", _PROLOGUE.sub("", svg)), count=1)
    svg = _SIZE.sub(r"\1", _SIZE.sub(r"\1", svg, count=1), count=1)
    svg = _FAMILY.sub("font-family: var(--sans)", _FONT.sub(r"font: \1 var(--sans)", svg))
    for literal, name in colours.items():
        svg = re.sub(re.escape(literal), f"var(--plot-{name})", svg, flags=re.IGNORECASE)
    return svg.strip()
