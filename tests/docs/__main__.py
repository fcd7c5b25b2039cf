"""`make docs`: write the generated pages anew."""

from __future__ import annotations

from tests.docs.file_formats import PAGE, page

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"Written: {PAGE}")
