"""Loading templates, and words that all pages share. Pure, except for loading the templates."""

from __future__ import annotations

import datetime
import re
from typing import Any

import jinja2
import markupsafe

from harness import units
from harness.records import Verdict
from harness.report.breakdown_table import megabytes

WORDS: dict[str, str] = {"pass": "PASS", "fail": "FAIL", "unknown": "UNKNOWN", "inconclusive": "INCONCLUSIVE"}
# Shapes next to the words, so that nothing depends on colour. U+FE0E prevents emoji.
MARKS: dict[str, str] = {"pass": "✓\ufe0e", "fail": "✗\ufe0e", "unknown": "?", "inconclusive": "≈"}

# A name in a path, with the separator before or after it.
_NAME = re.compile(r"\A[._/\]]+[^._/\]]*[._/\]]?|[^._/\]]*[._/\]]|[^._/\]]+")


def render(template: str, **values: Any) -> str:
    """Render a template. Every value is escaped, except markup made by this package."""
    return _ENVIRONMENT.get_template(template).render(**values)


def moment(wall_ns: int) -> str:
    """A point in time as text: `2026-11-22 14:02 UTC`."""
    try:
        return datetime.datetime.fromtimestamp(wall_ns // 10**9, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return units.MISSING


def mark(verdict: Verdict) -> str:
    """Shape and word of a verdict: `✓ pass`."""
    return f"{MARKS[verdict]} {verdict}"


def breakable(path: str) -> markupsafe.Markup:
    """An access path with allowed line breaks at the end of each name."""
    return markupsafe.Markup("<wbr>").join(_NAME.findall(path))


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("harness.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "breakable": breakable,
        "byte_interval": units.byte_interval,
        "byte_size": units.byte_size,
        "count": units.count,
        "duration": units.duration,
        "megabytes": megabytes,
        "ms": units.milliseconds,
        "number": units.number,
        "rate": units.rate,
        "setting": units.setting,
        "share": units.share,
        "mark": mark,
        "moment": moment,
    }
    environment.globals |= {"marks": MARKS, "words": WORDS, "plural": units.plural}
    return environment


_ENVIRONMENT = _environment()
