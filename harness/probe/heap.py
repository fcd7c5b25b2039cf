"""Live heap: bytes in use by objects, without the free memory that allocators keep.

glibc's `mallinfo2` reports the bytes that malloc handed out (`uordblks`: from its arenas; `hblkhd`: mapped one by one).
CPython serves objects up to 512 bytes from arenas that it maps itself, without malloc. Their use comes from
`_PyObject_DebugMallocStats`, the function behind `sys._debugmallocstats`, which here writes into memory instead of stderr.

For every thread, glibc keeps up to seven free chunks of each small size and counts them as handed out. The cache of the probe's
thread would fill up over a dozen measurements, some 150 KiB in all, so it is filled before each measurement.

With a preloaded jemalloc, glibc hands out almost nothing, and jemalloc's `stats.allocated` is used instead. With any other
allocator in place of glibc's, the live heap is unknown.

Sources: mallinfo(3); CPython Objects/obmalloc.c; jemalloc(3), MALLCTL NAMESPACE.
"""

from __future__ import annotations

import ctypes
import os
import re

_IN_USE = re.compile(r"^# bytes in allocated blocks\s*=\s*([\d,]+)", re.MULTILINE)
_ARENAS = re.compile(r"^[\d,]+ arenas \* [\d,]+ bytes/arena\s*=\s*([\d,]+)", re.MULTILINE)

_CACHED_FROM, _CACHED_TO, _CACHED_CHUNKS = 24, 1032, 7


class _MallInfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


def _function(library: object, name: str, restype: object, argtypes: list[object]) -> object:
    try:
        function = getattr(library, name)
    except AttributeError:
        return None
    function.restype = restype
    function.argtypes = argtypes
    return function


def _c_library() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(None)
    except (OSError, TypeError):
        return None


_libc = _c_library()

_mallinfo2 = _function(_libc, "mallinfo2", _MallInfo2, [])
_malloc_trim = _function(_libc, "malloc_trim", ctypes.c_int, [ctypes.c_size_t])
_mallctl = _function(
    _libc,
    "mallctl",
    ctypes.c_int,
    [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t],
)


class _DlInfo(ctypes.Structure):
    _fields_ = [
        ("fname", ctypes.c_char_p),
        ("fbase", ctypes.c_void_p),
        ("sname", ctypes.c_char_p),
        ("saddr", ctypes.c_void_p),
    ]


def _library_of(name: str) -> str | None:
    """File of the library that a function of this process comes from; None if unknown."""
    function, dladdr = getattr(_libc, name, None), getattr(_libc, "dladdr", None)
    if function is None or dladdr is None:
        return None
    info = _DlInfo()
    found = dladdr(ctypes.cast(function, ctypes.c_void_p), ctypes.byref(info))
    return os.fsdecode(info.fname) if found and info.fname else None


def _jemalloc_size(name: bytes) -> int | None:
    """One of jemalloc's figures at the last epoch; None if jemalloc lacks it."""
    value, size = ctypes.c_size_t(), ctypes.c_size_t(ctypes.sizeof(ctypes.c_size_t))
    failed = _mallctl(name, ctypes.byref(value), ctypes.byref(size), None, 0)  # type: ignore[operator]
    return None if failed else int(value.value)


def _jemalloc_info() -> _MallInfo2 | None:
    """Bytes that jemalloc handed out and keeps free, in the fields that `mallinfo2` uses; None if unknown."""
    epoch = ctypes.c_uint64(1)  # jemalloc updates its figures only at a new epoch
    failed = _mallctl(b"epoch", None, None, ctypes.byref(epoch), ctypes.sizeof(epoch))  # type: ignore[operator]
    used, resident = _jemalloc_size(b"stats.allocated"), _jemalloc_size(b"stats.resident")
    if failed or used is None or resident is None:
        return None
    return _MallInfo2(uordblks=used, hblkhd=0, fordblks=max(0, resident - used))


def _jemalloc_trim(_: int) -> int:
    """Return this thread's cache and all unused pages to the system; 1 if jemalloc did, else 0."""
    _mallctl(b"thread.tcache.flush", None, None, None, 0)  # type: ignore[operator]
    # 4096 is MALLCTL_ARENAS_ALL.
    return int(_mallctl(b"arena.4096.purge", None, None, None, 0) == 0)  # type: ignore[operator]


if _mallctl and _library_of("malloc") == _library_of("mallctl"):
    _mallinfo2 = _jemalloc_info if _jemalloc_info() is not None else None
    _malloc_trim = _jemalloc_trim
elif _mallinfo2 and _library_of("malloc") != _library_of("mallinfo2"):
    _mallinfo2 = _malloc_trim = None
_open_memstream = _function(_libc, "open_memstream", ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_void_p])
_fclose = _function(_libc, "fclose", ctypes.c_int, [ctypes.c_void_p])
_free = _function(_libc, "free", None, [ctypes.c_void_p])
_malloc = _function(_libc, "malloc", ctypes.c_void_p, [ctypes.c_size_t])
_malloc_stats = _function(ctypes.pythonapi, "_PyObject_DebugMallocStats", ctypes.c_int, [ctypes.c_void_p])


def parse_statistics(text: str) -> tuple[int, int] | None:
    """Bytes in allocated blocks and in all arenas, from CPython's allocator statistics; None if the text lacks them."""
    used, arenas = _IN_USE.search(text), _ARENAS.search(text)
    if used is None or arenas is None:
        return None
    return int(used.group(1).replace(",", "")), int(arenas.group(1).replace(",", ""))


def _pymalloc() -> tuple[int, int] | None:
    """Bytes that CPython's small-object allocator has handed out and has mapped; None if unknown.

    Both are 0 under PYTHONMALLOC=malloc, because malloc then serves these objects.
    """
    if not (_malloc_stats and _open_memstream and _fclose and _free):
        return None
    buffer = ctypes.c_void_p()
    size = ctypes.c_size_t()
    stream = _open_memstream(ctypes.byref(buffer), ctypes.byref(size))  # type: ignore[operator]
    if not stream:
        return None
    active = _malloc_stats(stream)  # type: ignore[operator]
    _fclose(stream)  # type: ignore[operator]
    try:
        text = ctypes.string_at(buffer, size.value).decode("ascii", "replace")
    finally:
        _free(buffer)  # type: ignore[operator]
    return parse_statistics(text) if active else (0, 0)


def _fill_cache() -> None:
    """Fill glibc's cache of this thread to its limit (malloc/malloc.c: tcache_entry)."""
    if not (_malloc and _free):
        return
    for size in range(_CACHED_FROM, _CACHED_TO + 1, 16):
        chunks = [_malloc(size) for _ in range(_CACHED_CHUNKS)]  # type: ignore[operator]
        for chunk in chunks:
            _free(chunk)  # type: ignore[operator]


def measure() -> dict[str, int | None]:
    """Live heap in bytes, its parts, and the free bytes that both allocators keep; None for what is unknown on this platform."""
    used = mapped = free = None
    if _mallinfo2:
        _fill_cache()
        info = _mallinfo2()  # type: ignore[operator]
        used, mapped, free = int(info.uordblks), int(info.hblkhd), int(info.fordblks)
    objects = _pymalloc()
    live = None
    if used is not None and mapped is not None and free is not None and objects is not None:
        live = used + mapped + objects[0]
        free += objects[1] - objects[0]
    return {
        "live_bytes": live,
        "malloc_used_bytes": used,
        "malloc_mmapped_bytes": mapped,
        "pymalloc_used_bytes": None if objects is None else objects[0],
        "free_bytes": None if live is None else free,
    }


def trim() -> bool | None:
    """Return free memory to the system: whether any was returned; None without malloc_trim."""
    return bool(_malloc_trim(0)) if _malloc_trim else None  # type: ignore[operator]


def can_trim() -> bool:
    """Whether free memory can be returned on request."""
    return _malloc_trim is not None
