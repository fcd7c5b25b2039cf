"""Reads a timeline back: texts, bars and arrows with their places."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import msgspec

from harness.checkers import check_history
from harness.records import Anomaly, Operation, StateVariable
from harness.report.witness_timeline import CELL, FONT, WIDTH, timeline
from harness.report.witness_values import cells
from tests.builders import COMPLETED, HistoryBuilder

SVG = "{http://www.w3.org/2000/svg}"


class Box(msgspec.Struct, frozen=True, kw_only=True):
    left: float
    right: float
    top: float
    bottom: float

    def meets(self, other: Box) -> bool:
        return (
            min(self.right, other.right) - max(self.left, other.left) > 0.5
            and min(self.bottom, other.bottom) - max(self.top, other.top) > 0.5
        )


class Picture:
    """What is in a timeline."""

    def __init__(self, svg: str) -> None:
        # In a page the element needs no namespace; on its own it does.
        self.root = ET.fromstring(str(svg).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))
        self.height = float(self.root.attrib["viewBox"].split()[3])
        self.description = self.root.findtext(f"{SVG}desc") or ""
        self.texts = [(text, _box_of(text)) for text in self.root.iter(f"{SVG}text")]
        self.lanes = [_rect(r) for r in self.root.iter(f"{SVG}rect") if r.attrib["class"] == "lane"]
        letters = self.said("letter")
        bars = [_rect(r) for r in self.root.iter(f"{SVG}rect") if "bar" in r.attrib["class"]]
        self.bars = dict(zip(letters, bars, strict=True))
        paths = [(p.attrib["class"], p.attrib["d"]) for p in self.root.iter(f"{SVG}path")]
        self.links = [_ends(d) for style, d in paths if style == "link"]
        self.missing = [_ends(d) for style, d in paths if style == "link missing"]
        self.open_ends = [_numbers(d) for style, d in paths if style.startswith("open")]
        self.broken = sum(style == "gap" for style, _ in paths)

    def said(self, style: str) -> list[str]:
        """Texts of one style, from top to bottom."""
        return [t.text or "" for t, _ in self.texts if t.attrib["class"] == style]


def picture(anomaly: Anomaly, *operations: Operation) -> Picture:
    return Picture(timeline(anomaly, {f"{o.worker}:{o.id}": o for o in operations}, "a"))


def found(builder: HistoryBuilder, name: str, **state: StateVariable) -> Picture:
    """The picture of the first anomaly that a check finds in a history."""
    history = builder.build()
    checks = check_history(history, state, COMPLETED)
    check = next(check for check in checks.checks if check.name == name)
    assert check.anomalies, [c.name for c in checks.checks if c.anomalies]
    return picture(check.anomalies[0], *history.operations)


def touching(seen: Picture) -> list[str]:
    """Texts that lie on each other or leave the picture."""
    faults = []
    for number, (text, box) in enumerate(seen.texts):
        if box.left < -0.05 or box.right > WIDTH + 0.05 or box.top < 0 or box.bottom > seen.height:
            faults.append(f"{text.text} leaves the picture")
        faults += [
            f"{text.text} / {other.text}" for other, place in seen.texts[number + 1 :] if box.meets(place)
        ]
    return faults


def _box_of(text: ET.Element) -> Box:
    x, y = float(text.attrib["x"]), float(text.attrib["y"])
    width = cells(text.text or "") * CELL
    left = x - width / 2 if text.attrib["class"] == "letter" else x
    return Box(left=left, right=left + width, top=y - 0.8 * FONT, bottom=y + 0.2 * FONT)


def _rect(rect: ET.Element) -> Box:
    x, y, width, height = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
    return Box(left=x, right=x + width, top=y, bottom=y + height)


def _numbers(path: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", path)]


def _ends(path: str) -> tuple[tuple[float, float], tuple[float, float]]:
    numbers = _numbers(path)
    return (numbers[0], numbers[1]), (numbers[-2], numbers[-1])
