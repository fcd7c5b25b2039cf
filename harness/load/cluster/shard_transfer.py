"""Sends a history shard to the master in numbered pieces; each piece and the whole shard are checked and acknowledged.

One piece is sent at a time. A lost piece is sent again, a bounded number of times; a duplicate or late piece is recognised
by its number. Knows nothing of Locust: the caller sends the pieces and receives the answers.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from harness.errors import StorageError
from harness.run_dir import storage_error

CHUNK_BYTES = 256 * 1024
# How often one piece is sent before the transfer fails.
ATTEMPTS = 6


class Chunk(msgspec.Struct, frozen=True, kw_only=True, tag="chunk"):
    """One piece.

    Attributes:
        file: name of the file, `history` or `samples`.
        number: its place in the shard, from 0.
        crc32: of its data.
    """

    file: str = "history"
    number: int
    crc32: int
    data: bytes


class ShardEnd(msgspec.Struct, frozen=True, kw_only=True, tag="shard-end"):
    """All pieces were sent. These are the number, size and checksum of the whole."""

    file: str = "history"
    chunks: int
    bytes: int
    sha256: str


class ChunkAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="chunk-answer"):
    """A piece has arrived intact and is on disk."""

    file: str = "history"
    number: int


class ShardAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="shard-answer"):
    """The shard is whole, or it is not.

    Attributes:
        reason: why it is not, as a sentence.
    """

    file: str = "history"
    whole: bool
    reason: str = ""


Piece = Chunk | ShardEnd
Answer = ChunkAnswer | ShardAnswer


def cut(content: bytes, number: int, file: str = "history") -> Chunk:
    """Make a piece."""
    return Chunk(file=file, number=number, crc32=zlib.crc32(content), data=content)


def send_shard(
    path: Path,
    exchange: Callable[[Piece, Callable[[Answer], bool]], Answer | None],
    *,
    file: str = "history",
    chunk_bytes: int = CHUNK_BYTES,
    attempts: int = ATTEMPTS,
) -> str | None:
    """Send a file.

    Args:
        path: the shard, complete and closed.
        exchange: sends a piece and waits for an answer that satisfies the condition; None on a timeout.
        file: name of the file, `history` or `samples`.
        chunk_bytes: size of a piece.
        attempts: how often a piece is sent before the transfer fails.

    Returns:
        None if the receiver confirmed the checksum of the whole file; otherwise the reason why not.

    Raises:
        OSError: the file cannot be read.
    """

    def send_until_answered(piece: Piece, fits: Callable[[Answer], bool]) -> Answer | None:
        for _ in range(attempts):
            answer = exchange(piece, lambda answer: answer.file == file and fits(answer))
            if answer is not None:
                return answer
        return None

    digest = hashlib.sha256()
    number = size = 0
    with path.open("rb") as stream:
        while content := stream.read(chunk_bytes):
            wanted = number

            def acknowledged(answer: Answer, wanted: int = wanted) -> bool:
                return isinstance(answer, ChunkAnswer) and answer.number == wanted

            if send_until_answered(cut(content, number, file), acknowledged) is None:
                return f"piece {number} was sent {attempts} times and never acknowledged"
            digest.update(content)
            size += len(content)
            number += 1
    end = ShardEnd(file=file, chunks=number, bytes=size, sha256=digest.hexdigest())
    answer = send_until_answered(end, lambda answer: isinstance(answer, ShardAnswer))
    if answer is None:
        return f"the end was sent {attempts} times and never acknowledged"
    assert isinstance(answer, ShardAnswer)
    return None if answer.whole else answer.reason


class ShardReceiver:
    """Assembles a shard. The file gets its name only when it is whole.

    Args:
        path: path of the file.

    Attributes:
        end: number, size and checksum from the sender, None until they arrive.
        whole: whether the whole file has arrived.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.end: ShardEnd | None = None
        self.whole = False
        self._partial = path.with_name(f".{path.name}.part")
        self._next = 0
        self._size = 0
        self._digest = hashlib.sha256()

    def take(self, piece: Piece) -> Answer | None:
        """Take a piece.

        Returns:
            The answer; None if the piece must be sent again.

        Raises:
            StorageError: the piece cannot be written.
        """
        return self._take_chunk(piece) if isinstance(piece, Chunk) else self._take_end(piece)

    def _take_chunk(self, chunk: Chunk) -> Answer | None:
        if zlib.crc32(chunk.data) != chunk.crc32 or chunk.number > self._next:
            return None
        if chunk.number == self._next:
            self._write(chunk.data)
            self._digest.update(chunk.data)
            self._size += len(chunk.data)
            self._next += 1
        # For an older piece the acknowledgement was lost.
        return ChunkAnswer(file=chunk.file, number=chunk.number)

    def _write(self, data: bytes) -> None:
        try:
            with self._partial.open("ab" if self._next else "wb") as stream:
                stream.write(data)
        except OSError as error:
            raise storage_error(self._partial, error) from error

    def _take_end(self, end: ShardEnd) -> Answer:
        if self.whole:
            return ShardAnswer(file=end.file, whole=True)
        self.end = end
        found = (self._next, self._size, self._digest.hexdigest())
        if found != (end.chunks, end.bytes, end.sha256):
            return ShardAnswer(
                file=end.file,
                whole=False,
                reason=f"{self._size} bytes in {self._next} pieces arrived, and they are not the {end.bytes} bytes in "
                f"{end.chunks} pieces that were sent",
            )
        try:
            if not self._next:
                self._partial.write_bytes(b"")
            os.replace(self._partial, self.path)
        except OSError as error:
            raise StorageError(f"Cannot write {self.path}: {error.strerror or error}.") from error
        self.whole = True
        return ShardAnswer(file=end.file, whole=True)
