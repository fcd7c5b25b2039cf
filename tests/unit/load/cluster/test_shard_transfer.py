"""Sending a shard over a bad connection: it arrives byte for byte, or the transfer fails with a reason."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import StorageError
from harness.load.cluster.shard_transfer import (
    ATTEMPTS,
    Answer,
    Chunk,
    ChunkAnswer,
    Piece,
    ShardAnswer,
    ShardEnd,
    ShardReceiver,
    cut,
    send_shard,
)

FATES = ["arrives", "is lost", "arrives twice", "is damaged", "is late", "its answer is lost"]


class Connection:
    """Delivers, drops, duplicates or damages each piece as given; a `late` one arrives after the next."""

    def __init__(self, receiver: ShardReceiver, fates: list[str]) -> None:
        self.receiver = receiver
        self.fates = deque(fates)
        self.late: list[Piece] = []
        self.sent = 0

    def exchange(self, piece: Piece, fits: Callable[[Answer], bool]) -> Answer | None:
        self.sent += 1
        fate = self.fates.popleft() if self.fates else "arrives"
        late, self.late = self.late, []
        answers: list[Answer | None] = []
        if fate in ("arrives", "arrives twice", "its answer is lost"):
            answers.append(self.receiver.take(piece))
        if fate == "arrives twice":
            answers.append(self.receiver.take(piece))
        if fate == "is damaged" and isinstance(piece, Chunk) and piece.data:
            answers.append(self.receiver.take(msgspec.structs.replace(piece, data=piece.data[:-1] + b"!?")))
        if fate == "is late":
            self.late.append(piece)
        answers += [self.receiver.take(old) for old in late]
        if fate == "its answer is lost":
            return None
        return next((answer for answer in answers if answer is not None and fits(answer)), None)


@given(st.binary(max_size=200), st.integers(1, 40), st.lists(st.sampled_from(FATES), max_size=40))
def test_a_confirmed_shard_is_identical_and_an_unconfirmed_one_has_no_file(
    content: bytes, size: int, fates: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        there, here = Path(folder, "there"), Path(folder, "2.jsonl")
        there.write_bytes(content)
        connection = Connection(ShardReceiver(here), fates)
        problem = send_shard(there, connection.exchange, chunk_bytes=size)
        if problem is None:
            assert connection.receiver.whole
            assert here.read_bytes() == content
        else:
            assert "never acknowledged" in problem
        if here.exists():
            assert here.read_bytes() == content
        # Bounded, whatever happens.
        assert connection.sent <= ATTEMPTS * (len(content) // size + 2)


@given(st.lists(st.sampled_from(FATES[1:]), max_size=ATTEMPTS - 1))
def test_fewer_losses_than_attempts_never_lose_the_shard(fates: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        there, here = Path(folder, "there"), Path(folder, "2.jsonl")
        there.write_bytes(b"0123456789")
        assert send_shard(there, Connection(ShardReceiver(here), fates).exchange, chunk_bytes=4) is None
        assert here.read_bytes() == b"0123456789"


def test_a_dead_connection_ends_the_transfer_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"abc")
    calls = []
    problem = send_shard(tmp_path / "there", lambda piece, fits: calls.append(piece))
    assert problem is not None
    assert "piece 0" in problem
    assert len(calls) == ATTEMPTS


def test_an_empty_shard_is_a_shard(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"")
    receiver = ShardReceiver(tmp_path / "1.jsonl")
    assert send_shard(tmp_path / "there", lambda piece, fits: receiver.take(piece)) is None
    assert (tmp_path / "1.jsonl").read_bytes() == b""


def test_the_checksum_of_the_whole_decides(tmp_path: Path) -> None:
    """Every piece is intact, but the whole differs from the file: the sender's checksum shows it."""
    receiver = ShardReceiver(tmp_path / "1.jsonl")
    assert receiver.take(cut(b"abc", 0)) == ChunkAnswer(number=0)
    answer = receiver.take(ShardEnd(chunks=1, bytes=3, sha256="0" * 64))
    assert isinstance(answer, ShardAnswer)
    assert not answer.whole
    assert "3 bytes in 1 pieces arrived" in answer.reason
    assert not (tmp_path / "1.jsonl").exists()


def test_a_piece_out_of_order_is_not_accepted(tmp_path: Path) -> None:
    receiver = ShardReceiver(tmp_path / "1.jsonl")
    assert receiver.take(cut(b"b", 1)) is None
    assert receiver.take(cut(b"a", 0)) == ChunkAnswer(number=0)
    assert receiver.take(cut(b"b", 1)) == ChunkAnswer(number=1)


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    receiver = ShardReceiver(tmp_path / "missing" / "1.jsonl")
    with pytest.raises(StorageError, match="Cannot write"):
        receiver.take(cut(b"a", 0))
