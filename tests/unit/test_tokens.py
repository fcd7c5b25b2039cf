from __future__ import annotations

import json
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from harness import tokens

RUNS = st.text("0123456789abcdef", min_size=4, max_size=8)
NUMBERS = st.integers(0, 10**6)


@given(RUNS, NUMBERS, NUMBERS, NUMBERS)
def test_what_was_minted_can_be_read_back(run: str, worker: int, session: int, sequence: int) -> None:
    token = tokens.mint(run, worker, session, sequence)
    assert tokens.parse(token) == (run, worker, session, sequence)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=5), st.text("abc -_.,*<>\n", max_size=10))
def test_tokens_are_found_in_any_text_in_order(numbers: list[tuple[int, int]], filler: str) -> None:
    minted = [tokens.mint("7f3a", 0, session, sequence) for session, sequence in numbers]
    text = f" {filler} ".join(minted)
    assert tokens.find(text) == minted


def test_a_token_survives_json_urls_and_markdown() -> None:
    token = tokens.mint("7f3a", 0, 17, 4)
    assert quote(token) == token
    assert json.loads(json.dumps(token)) == token
    assert not set(token) & set("_*`<>&\"'")


def test_a_token_is_found_in_the_text_that_it_was_joined_to() -> None:
    token = tokens.mint("7f3a", 0, 17, 4)
    assert tokens.find(f"user_{token}and漢{token}") == [token, token]


def test_text_that_looks_alike_is_no_evidence() -> None:
    token = tokens.mint("7f3a", 0, 17, 4)
    forged = token[:-1] + ("0" if token[-1] != "0" else "1")
    assert tokens.find(f"see {forged} and t-7f3a-0-17") == []
    assert tokens.parse(f"{token} ") is None


def test_the_session_is_named_as_in_the_history() -> None:
    token = tokens.parse(tokens.mint("7f3a", 2, 17, 4))
    assert token is not None
    assert token.session_id == tokens.session_id(2, 17) == "s2-17"


def test_tokens_are_found_in_every_kind_of_value_once_and_in_order() -> None:
    one, two, three = (tokens.mint("7f3a", 0, 17, n) for n in (1, 2, 3))
    shown = [
        {"role": "user", "content": [{"text": f"hello\n{two}"}]},
        f"said:\n{two}\t{one}",
        (3, None, [three]),
    ]
    assert tokens.all_in(shown) == [two, one, three]
    assert tokens.all_in(None) == tokens.all_in(3) == []
