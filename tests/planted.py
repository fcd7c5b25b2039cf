"""One text, in each of the forms in which a server can send it: planted where nobody should get it."""

from __future__ import annotations

import base64
import gzip
import html
import io
import json
import zipfile
import zlib
from urllib.parse import quote

from PIL import Image, PngImagePlugin


def written(text: str) -> dict[str, str]:
    """A text as it can stand in another text."""
    return {
        "plain": text,
        "joined": f"x{text}x",
        "json in json": json.dumps({"a": [{"b": text}]}),
        "json in json in json": json.dumps(json.dumps({"a": [{"b": text}]})),
        "csv": f'id,name\r\n1,"{text}"\r\n',
        "html": html.escape(f'<a href="/?q={text}">"{text}"</a>'),
        "html entities": "".join(f"&#{ord(c)};" for c in text),
        "html entities, hexadecimal": text.replace("-", "&#x2D;"),
        "html entities, twice": html.escape(text.replace("-", "&#45;")),
        "percent": quote(f"/file=/tmp/ä/{text}.txt"),
        "percent, hyphens": text.replace("-", "%2D"),
        "percent, all": "".join(f"%{ord(c):02x}" for c in text),
        "percent, twice": quote(text.replace("-", "%2d")),
        "json escapes": text.replace("-", "\\u002d"),
        "json escapes, all": "".join(f"\\u{ord(c):04x}" for c in text),
        "json escapes, twice": text.replace("-", "\\\\u002D"),
        "repr": text.replace("-", "\\x2d"),
        "base64": base64.b64encode(f"?>{text}".encode()).decode(),
        "base64, url-safe": base64.urlsafe_b64encode(f"a\xff{text}\xff".encode("latin-1")).decode(),
        "data url": f"data:text/csv;base64,{base64.b64encode(f'a,b{chr(10)}{text}'.encode()).decode()}",
    }


def files(text: str) -> dict[str, bytes]:
    """A text as it can stand in a file, by the file's name."""
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", text)
    squeezed = PngImagePlugin.PngInfo()
    squeezed.add_text("Comment", text, zip=True)
    international = PngImagePlugin.PngInfo()
    international.add_itxt("Comment", text, lang="en", zip=True)
    exif = Image.Exif()
    exif[0x010E] = text  # ImageDescription
    wide = Image.Exif()
    wide[0x9C9C] = text.encode("utf-16-le") + b"\0\0"  # XPComment
    csv = f"id,name\r\n1,{text}\r\n".encode()
    table = _zip({"xl/sharedStrings.xml": f"<sst><si><t>{text}</t></si></sst>".encode()})
    return {
        "a.txt": f"written by {text}".encode(),
        "a.csv": csv,
        "excel.csv": csv.decode().encode("utf-16"),
        "a.json": json.dumps([{"by": text}]).encode(),
        "a.bin": b"\xff\0" + text.encode() + b"\xff",
        "text.png": _picture("PNG", pnginfo=texts),
        "ztxt.png": _picture("PNG", pnginfo=squeezed),
        "itxt.png": _picture("PNG", pnginfo=international),
        "comment.jpg": _picture("JPEG", comment=text.encode()),
        "exif.jpg": _picture("JPEG", exif=exif),
        "wide.jpg": _picture("JPEG", exif=wide),
        "exif.webp": _picture("WEBP", exif=exif),
        "comment.gif": _picture("GIF", comment=b"." * 240 + text.encode()),  # across two blocks of it
        "a.zip": _zip({"notes/a.txt": text.encode()}),
        "named.zip": _zip({f"{text}.txt": b""}),
        "a.xlsx": table,
        "in.zip": _zip({"a.csv.gz": gzip.compress(csv)}),
        "a.csv.gz": gzip.compress(csv),
        "a.pdf": b"%PDF-1.4\n1 0 obj<</Filter/FlateDecode>>stream\r\n"
        + zlib.compress(f"BT ({text}) Tj ET".encode())
        + b"\r\nendstream endobj",
        "inline.html": f'<img src="data:image/png;base64,{base64.b64encode(_picture("PNG", pnginfo=squeezed)).decode()}">'.encode(),
    }


def _picture(kind: str, **more: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind, **more)  # type: ignore[arg-type]
    return file.getvalue()


def _zip(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()
