"""SVG as text: named for screen readers, ids made unique, and fitted into a page. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import quoteattr

_PROLOGUE = re.compile(r"\A.*?(?=<svg\b)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
# It says `*`, which in a page would mean every element of the page; base.html.j2 has the same rules for plots only.
_STYLE = re.compile(r"\s*<defs>\s*<style\b.*?</style>\s*</defs>", re.DOTALL)
_SIZE = re.compile(r'(<svg\b[^>]*?)\s+(?:width|height)="[^"]*"')
# Depending on its version, matplotlib writes the shorthand or the family alone.
_FONT = re.compile(r"font: ([^;\"]*?\d(?:\.\d+)?px)[^;\"]*")
_FAMILY = re.compile(r"font-family: [^;\"]*")


def label(svg: str, name: str, alt: str) -> str:
    """Give a figure its text alternative, and every id in it a prefix.

    Args:
        svg: a file as matplotlib writes it.
        name: the prefix; ids of plots with different names never collide.
        alt: what the plot shows, in words.
    """
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    svg = re.sub(r'\bhref="#([^"]+)"', rf'href="#{name}-\1"', svg)
    return svg.replace("<svg", f'<svg role="img" aria-label={quoteattr(alt)}', 1)


def inline(svg: str, colours: Mapping[str, str]) -> str:
    """Fit a labelled figure into a page: no prologue, size from the page, colours and typeface by CSS variable.

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
