"""Whatever an app shows, looking for files in it breaks nothing."""

from __future__ import annotations

from typing import Any

import pytest

from harness.page import files


@pytest.mark.parametrize("meta", [None, "text", [], {"_type": None}])
def test_what_looks_a_little_like_a_file_is_none(meta: Any) -> None:
    value = {"path": "/tmp/a.txt", "meta": meta}
    assert not files.is_file(value)
    assert list(files.addresses([value], "json", "gradio_api/")) == []


def test_a_file_is_one() -> None:
    value = {"path": "/tmp/a b.txt", "meta": {"_type": "gradio.FileData"}}
    assert list(files.addresses([value], "json", "gradio_api/")) == ["gradio_api/file=/tmp/a%20b.txt"]


def test_what_is_no_address_is_none_of_the_apps() -> None:
    (address,) = files.addresses("![](http://[file=x)", "markdown", "")
    assert not files.is_of("http://127.0.0.1:7860/", address)
