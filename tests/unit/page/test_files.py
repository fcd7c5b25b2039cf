"""Finding files in values: no value that an app sends may cause an error."""

from __future__ import annotations

from typing import Any

import pytest

from harness.page import files


@pytest.mark.parametrize("meta", [None, "text", [], {"_type": None}])
def test_a_value_that_resembles_a_file_is_none(meta: Any) -> None:
    value = {"path": "/tmp/a.txt", "meta": meta}
    assert not files.is_file(value)
    assert list(files.addresses([value], "json", "gradio_api/")) == []


def test_a_file_is_recognised() -> None:
    value = {"path": "/tmp/a b.txt", "meta": {"_type": "gradio.FileData"}}
    assert list(files.addresses([value], "json", "gradio_api/")) == ["gradio_api/file=/tmp/a%20b.txt"]


def test_a_text_that_is_no_address_does_not_belong_to_the_app() -> None:
    (address,) = files.addresses("![](http://[file=x)", "markdown", "")
    assert not files.is_of("http://127.0.0.1:7860/", address)
