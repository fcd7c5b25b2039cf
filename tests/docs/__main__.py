"""`make docs`: write the generated pages anew."""

from __future__ import annotations

from tests.docs import anomalies, file_formats

if __name__ == "__main__":
    for made in (file_formats, anomalies):
        made.PAGE.write_text(made.page(), encoding="utf-8")
        print(f"Written: {made.PAGE}")
