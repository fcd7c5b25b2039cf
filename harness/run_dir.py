"""RunDir: the sole owner of the run folder's file names, and of how they are written and read.

Raw files are append-only JSON lines. Files that replace another are written to a temporary name in the
same folder and renamed, so that a reader sees the old file or the new one, never half of one.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import msgspec

from harness.errors import StorageError, UsageError
from harness.records import (
    SCHEMA_VERSION,
    Census,
    Checks,
    GeneratorSample,
    HistoryRecord,
    Plateau,
    RunEvent,
    RunManifest,
    Seal,
    ShardSeal,
)

T = TypeVar("T")

MANIFEST = "manifest.json"
SEAL = "SEALED.json"
# A copy from the start of the run: the models defined in it are needed to judge the run.
WORKLOAD = "workload.py"
EVENTS = "events.jsonl"
HISTORY = "history"
PROCESS_SAMPLES = "samples/process.jsonl"
PROBE_SAMPLES = "samples/probe.jsonl"
LOADGEN_SAMPLES = "samples/loadgen.jsonl"
# One file per generator process, `samples/generator-<worker>.jsonl`.
GENERATOR_SAMPLES = "samples/generator-"
PLATEAUS = "samples/plateaus.jsonl"
CENSUS = "samples/census.jsonl"
RETAINERS = "samples/retainers.jsonl"
# Of a memray pass: records of allocations and of traced entries, memray's own file, and its flame graph.
ALLOCATIONS = "samples/allocations.jsonl"
HELD_ENTRIES = "samples/held-entries.jsonl"
MEMRAY_FILE = "logs/memray.bin"
FLAME_GRAPH = "flame-graph.html"
# Follow-up runs, each a run folder with its own seal.
BASELINE = "control"
ATTRIBUTION = "attribution"
WHAT_IF = "what-if"
TARGET_LOG = "logs/target.log"
LOADGEN_LOG = "logs/loadgen.log"
CHECKS = "derived/checks.json"
ANALYSIS = "derived/analysis.json"
PLOTS = "derived/plots"
REPORT = "derived/report.html"

# Large enough that the work per block is negligible, small enough that a block's records fit in a processor's cache.
_BLOCK_BYTES = 1 << 15

_RAW_PATTERNS = (WORKLOAD, f"{HISTORY}/*.jsonl", EVENTS, "samples/*.jsonl")


class JsonLinesWriter:
    """Appends records to one file, one system call per record, so that a crash loses none.

    Args:
        path: created if missing; its folder must exist.

    Raises:
        StorageError: the file cannot be opened or written (disk full, no permission).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._encoder = msgspec.json.Encoder()
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise storage_error(path, error) from error

    def append(self, record: msgspec.Struct) -> None:
        """Write one record as one line."""
        line = self._encoder.encode(record) + b"\n"
        try:
            written = os.write(self._fd, line)
            while written < len(line):
                written += os.write(self._fd, line[written:])
        except OSError as error:
            raise storage_error(self.path, error) from error

    def close(self) -> None:
        """Close the file; appending afterwards is an error."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def storage_error(path: Path, error: OSError) -> StorageError:
    """Explain a failed write."""
    return StorageError(
        f"Cannot write {path}: {error.strerror or error}.",
        "Free some space or choose another folder with --out. What was written until then is kept, "
        "and counts as an incomplete run.",
    )


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file through a temporary one in the same folder. Makes the folder if needed.

    Raises:
        StorageError: it cannot be written; the old file, if any, is untouched.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise storage_error(path, error) from error


class FileDamage(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a raw file.

    Attributes:
        file: path within the run folder.
        line: number of the first unreadable line, from 1; 0 if the damage is not in a line.
        problem: the end of a sentence that begins with the path.
    """

    file: str
    line: int
    problem: str

    @property
    def sentence(self) -> str:
        """The damage as a sentence."""
        return f"{self.file} {self.problem}."


class RawFile(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A JSON lines file, read once.

    Attributes:
        name: path within the run folder.
        records: those that can be read, in the order of writing.
        damage: the first unreadable line; None if all can be read.
        sha256: SHA-256 of the content; None if there is no such file.
    """

    name: str
    records: list[T]
    damage: FileDamage | None
    sha256: str | None


class RunDir:
    """One run on disk.

    Args:
        path: the run folder. Use `create` for a new run, `open` for an existing one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path) -> RunDir:
        """Make the folder of a new run.

        Raises:
            UsageError: the folder already holds something, or cannot be written to.
        """
        try:
            if path.exists() and not path.is_dir():
                raise UsageError(f"{path} is a file, not a folder.", "Choose another folder with --out.")
            if path.is_dir() and any(path.iterdir()):
                what = "already holds a run" if (path / MANIFEST).exists() else "is not empty"
                raise UsageError(
                    f"{path} {what}.", "Choose another folder with --out; gradsoak never overwrites a run."
                )
            for folder in (HISTORY, "samples", "logs"):
                (path / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"Cannot create the run folder {path}: {error.strerror or error}.",
                "Choose a folder that you can write to with --out.",
            ) from error
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> RunDir:
        """Open the folder of an existing run.

        Raises:
            UsageError: there is no such folder, it cannot be read, or it holds no run.
        """
        try:
            if not path.is_dir():
                what = "is a file, not a folder" if path.exists() else "does not exist"
                raise UsageError(f"{path} {what}.", "Name the folder that `gradsoak run` printed.")
            there = (path / MANIFEST).is_file()
        except OSError as error:
            raise UsageError(
                f"Cannot read the folder {path}: {error.strerror or error}.",
                "Name the folder that `gradsoak run` printed.",
            ) from error
        if not there:
            raise UsageError(
                f"{path} holds no run: there is no {MANIFEST} in it.",
                "Name the folder that `gradsoak run` printed.",
            )
        return cls(path)

    # --- writing ---

    def history_path(self, worker: str) -> Path:
        """Path of a worker's history shard."""
        return self.path / HISTORY / f"{worker}.jsonl"

    def generator_samples_path(self, worker: str) -> Path:
        """Path of a worker's samples of itself."""
        return self.path / f"{GENERATOR_SAMPLES}{worker}.jsonl"

    def writer(self, name: str) -> JsonLinesWriter:
        """Open one of the raw files for appending."""
        return JsonLinesWriter(self.path / name)

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON document atomically."""
        self.write_bytes(name, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write a file atomically, making its folder if needed."""
        write_atomically(self.path / name, content)

    def seal(self, ended: Any, reason: str) -> Seal:
        """Close the run: count and hash every raw file, and write the seal. Nothing raw changes afterwards."""
        shards = {}
        for pattern in _RAW_PATTERNS:
            for file in sorted(self.path.glob(pattern)):
                content = file.read_bytes()
                shards[file.relative_to(self.path).as_posix()] = ShardSeal(
                    lines=content.count(b"\n"), bytes=len(content), sha256=hashlib.sha256(content).hexdigest()
                )
        seal = Seal(ended=ended, reason=reason, wall_ns=time.time_ns(), shards=shards)
        self.write_json(SEAL, seal)
        return seal

    # --- reading ---

    @property
    def workload_path(self) -> Path:
        """Path of the copy of the workload. The file may be missing."""
        return self.path / WORKLOAD

    def manifest(self) -> RunManifest:
        """Read the manifest.

        Raises:
            UsageError: it is unreadable, or of another schema version.
        """
        raw = (self.path / MANIFEST).read_bytes()
        try:
            version = msgspec.json.decode(raw).get("schema_version")
            if version != SCHEMA_VERSION:
                raise UsageError(
                    f"{self.path / MANIFEST} has schema version {version}; this gradsoak reads {SCHEMA_VERSION}.",
                    "Use the gradsoak that made the run.",
                )
            return msgspec.json.decode(raw, type=RunManifest)
        except (msgspec.DecodeError, UnicodeDecodeError, AttributeError) as error:
            raise UsageError(
                f"{self.path / MANIFEST} is damaged: {error}.", "The run cannot be read."
            ) from error

    def sealed(self) -> Seal | None:
        """The seal, or None if the run is incomplete."""
        try:
            return msgspec.json.decode((self.path / SEAL).read_bytes(), type=Seal)
        except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def read(self, name: str, kind: type[T]) -> RawFile[T]:
        """Read a raw file other than the history: the readable records, and the checksum. The file is read once."""
        file = self.path / name
        if not file.is_file():
            return RawFile(name=name, records=[], damage=None, sha256=None)
        digest = hashlib.sha256()
        with file.open("rb") as stream:
            records, problem = _decode_lines(msgspec.json.Decoder(kind), _hashed(stream, digest), 1)
        return RawFile(name=name, records=records, damage=_damage(name, problem), sha256=digest.hexdigest())

    def read_generator_samples(self) -> dict[str, RawFile[GeneratorSample]]:
        """Worker → the samples that this generator process took of itself."""
        found = {}
        for file in sorted(self.path.glob(f"{GENERATOR_SAMPLES}*.jsonl")):
            name = file.relative_to(self.path).as_posix()
            found[name.removeprefix(GENERATOR_SAMPLES).removesuffix(".jsonl")] = self.read(
                name, GeneratorSample
            )
        return found

    def examine_shards(self, *, lines: bool) -> dict[str, RawFile[HistoryRecord]]:
        """Worker → its history shard, read once for its checksum. No record is kept: a shard may be larger than memory.

        Args:
            lines: whether to find the first unreadable line, too.
        """
        found = {}
        decoder: msgspec.json.Decoder[HistoryRecord] = msgspec.json.Decoder(HistoryRecord)
        for file in self._shard_files():
            name, digest = f"{HISTORY}/{file.name}", hashlib.sha256()
            problem = None
            for first, _, block in _blocks(file):
                digest.update(block)
                if lines and problem is None:
                    _, problem = _decode_lines(decoder, io.BytesIO(block), first)
            found[file.stem] = RawFile[HistoryRecord](
                name=name, records=[], damage=_damage(name, problem), sha256=digest.hexdigest()
            )
        return found

    def changed_since(self, seal: Seal, sha256: Mapping[str, str]) -> list[FileDamage]:
        """Return the raw files that differ from the seal, or that the seal does not name.

        Args:
            seal: of the run.
            sha256: path within the run folder → checksum, of files that have been read. All others are read here.
        """
        there = sorted(
            file.relative_to(self.path).as_posix()
            for pattern in _RAW_PATTERNS
            for file in self.path.glob(pattern)
        )
        changed = []
        for name, expected in seal.shards.items():
            file = self.path / name
            if not file.is_file():
                changed.append(FileDamage(file=name, line=0, problem="is missing"))
            elif (sha256.get(name) or _sha256(file)) != expected.sha256:
                changed.append(FileDamage(file=name, line=0, problem="was changed after the run was sealed"))
        changed += [
            FileDamage(file=name, line=0, problem="is not in the seal")
            for name in there
            if name not in seal.shards
        ]
        return changed

    def worker_of(self, file: str) -> str | None:
        """The worker that wrote a history shard; None for any other file."""
        path = Path(file)
        return path.stem if path.parent.as_posix() == HISTORY else None

    def shards(self) -> dict[str, Callable[[list[str]], Iterator[HistoryRecord]]]:
        """Worker → a function that reads its history shard in the order of writing, a block at a time.

        The function takes a list of problems, and adds one sentence if a line of the shard cannot be read.
        """
        return {file.stem: partial(self._read_shard, file) for file in self._shard_files()}

    def _shard_files(self) -> list[Path]:
        return sorted((self.path / HISTORY).glob("*.jsonl"))

    def _read_shard(self, file: Path, problems: list[str]) -> Iterator[HistoryRecord]:
        return chain.from_iterable(self._read_blocks(file, problems))

    def _read_blocks(self, file: Path, problems: list[str]) -> Iterator[list[HistoryRecord]]:
        decoder: msgspec.json.Decoder[HistoryRecord] = msgspec.json.Decoder(HistoryRecord)
        reported = False
        for first, lines, block in _blocks(file):
            try:
                records = decoder.decode_lines(block)
            except (msgspec.DecodeError, UnicodeDecodeError):
                records = []
            if len(records) != lines:  # `decode_lines` skips empty lines
                records, problem = _decode_lines(decoder, block.splitlines(), first)
                if problem is not None and not reported:
                    reported = True
                    problems.append(f"{HISTORY}/{file.name} {problem[1]}.")
            yield records

    def history(self) -> tuple[dict[str, list[HistoryRecord]], list[FileDamage]]:
        """Read all history shards into memory: worker → records in the order of writing, and the damage."""
        kind = cast("type[HistoryRecord]", HistoryRecord)
        files = {file.stem: self.read(f"{HISTORY}/{file.name}", kind) for file in self._shard_files()}
        damages = [file.damage for file in files.values() if file.damage is not None]
        return {worker: file.records for worker, file in files.items()}, damages

    def events(self) -> list[RunEvent]:
        """Events of the run, oldest first."""
        return self.read(EVENTS, RunEvent).records

    def plateaus(self) -> list[Plateau]:
        """Settled measurements."""
        return self.read(PLATEAUS, Plateau).records

    def censuses(self) -> list[Census]:
        """Censuses of the app's objects at plateaus."""
        return self.read(CENSUS, Census).records

    def follow_up(self, name: str) -> RunDir | None:
        """The folder of a follow-up run; None without one of that name, for example `control` or `what-if/time_to_live=60`."""
        folder = self.path / name
        return RunDir(folder) if (folder / MANIFEST).is_file() else None

    def what_ifs(self) -> list[str]:
        """Names for `follow_up` of the runs that tried another setting."""
        return [f"{WHAT_IF}/{m.parent.name}" for m in sorted((self.path / WHAT_IF).glob(f"*/{MANIFEST}"))]

    def checks(self) -> Checks:
        """The verdicts in `derived/checks.json`."""
        return msgspec.json.decode((self.path / CHECKS).read_bytes(), type=Checks)


def _damage(name: str, problem: tuple[int, str] | None) -> FileDamage | None:
    return None if problem is None else FileDamage(file=name, line=problem[0], problem=problem[1])


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _hashed(lines: Iterable[bytes], digest: hashlib._Hash) -> Iterator[bytes]:
    for line in lines:
        digest.update(line)
        yield line


def _decode_lines(
    decoder: msgspec.json.Decoder[T], lines: Iterable[bytes], first: int
) -> tuple[list[T], tuple[int, str] | None]:
    """Return the records, and the first unreadable line: its number, and why.

    Args:
        decoder: of the records.
        lines: of the file.
        first: number of the first of them.
    """
    records: list[T] = []
    problem: tuple[int, str] | None = None
    for number, line in enumerate(lines, start=first):
        try:
            records.append(decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            problem = problem or (number, f"line {number} cannot be read: {error}")
    return records, problem


def _blocks(file: Path) -> Iterator[tuple[int, int, bytes]]:
    """Yield a file in blocks of whole lines: number of the first line, number of lines, and the block. The last line may be torn."""
    number = 1
    rest = b""
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            end = block.rfind(b"\n") + 1
            if end:
                lines = block.count(b"\n")
                yield number, lines, rest + block[:end]
                number += lines
                rest = block[end:]
            else:
                rest += block
    if rest:
        yield number, 1, rest
