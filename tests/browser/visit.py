"""Questions to a browser about a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# Texts of each picture that overlap, or cross its edges. Folded parts are skipped.
OVERLAPS = """selector => [...document.querySelectorAll(selector)].filter(svg => svg.checkVisibility()).flatMap(svg => {
    const boxes = [...svg.querySelectorAll('text')].filter(t => t.textContent.trim()).map(t => [t.textContent.trim(), t.getBoundingClientRect()]);
    const frame = svg.getBoundingClientRect();
    const found = [];
    for (let i = 0; i < boxes.length; i++) {
        const a = boxes[i][1];
        if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.top < frame.top - 1 || a.bottom > frame.bottom + 1) found.push(boxes[i][0] + ' leaves the picture');
        for (let j = i + 1; j < boxes.length; j++) {
            const b = boxes[j][1];
            const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left), high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            if (wide > 1.5 && high > 3.5) found.push(boxes[i][0] + ' / ' + boxes[j][0]);
        }
    }
    return found;
})"""


class Visit:
    """A page, with its console messages and its network requests."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.page = browser.new_page(**options)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on(
            "console",
            lambda message: (
                self.complaints.append(message.text) if message.type in ("error", "warning") else None
            ),
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def luminance(self, script: str) -> float:
        """Perceived brightness, 0 to 1, of a CSS colour that a script returns as rgb(...)."""
        red, green, blue = (
            float(v) for v in self.page.evaluate(script).removeprefix("rgb(").removesuffix(")").split(",")[:3]
        )
        return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255

    def overlaps(self, selector: str) -> list[str]:
        """Texts of pictures that overlap or cross the edges."""
        return self.page.evaluate(OVERLAPS, selector)

    def open_all(self) -> None:
        """Open everything that is folded."""
        self.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
