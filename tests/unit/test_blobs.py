from __future__ import annotations

import hashlib
from typing import Any

import pytest

from harness import blobs


def test_a_digest_says_how_it_was_made_and_how_much_there_was() -> None:
    expected = hashlib.blake2b(b"a" * 1000, digest_size=16).hexdigest()
    assert blobs.digest(b"a" * 1000) == f"blake2b:{expected}:1000"
    assert blobs.digest(b"") != blobs.digest(b"\0")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"gr\xc3\xbc\xc3\x9fe", "grüße"),
        (b"abc", bytearray(b"abc")),
        ([1, 2.0, {"b": None, "a": [3]}], (1.0, 2, {"a": [3.0], "b": None})),
        ('{"a":1}', {"a": 1.0}),
    ],
)
def test_the_same_content_has_the_same_digest_in_every_form(one: Any, other: Any) -> None:
    assert blobs.digest(one) == blobs.digest(other)


@pytest.mark.parametrize(
    ("one", "other"), [([1, 2], [2, 1]), ([1], ["1"]), ([0.5], [0]), ({}, []), (None, False)]
)
def test_other_content_has_another(one: Any, other: Any) -> None:
    assert blobs.digest(one) != blobs.digest(other)


def test_people_read_a_short_name() -> None:
    assert blobs.named(blobs.digest("x" * 1_048_576)) == "blob a7114ab2 (1,048,576 bytes)"
    for other in ("blake2b:0f2a9f6e:3", "x", None, 7, blobs.digest("x") + "0x"):
        assert blobs.named(other) is None
