"""Recorded events: a file of lines or a capture of the stream goes in, also compressed; events come out."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from producer.errors import Misconfigured
from producer.sse import HEAD, Event, events

_CHUNK = 1 << 18
_STREAM = (b":", b"event:", b"id:", b"data:", b"retry:")


def recorded(path: Path, *, limit: int) -> Iterator[Event]:
    """The events in order; of lines, the position is ``name:line``. An event of more than ``limit`` bytes is
    told with its beginning. :class:`Misconfigured` for a file that cannot be read to its end."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            file: IO[bytes] = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]  # reads alike
            first = file.read(_CHUNK)
            rest = iter(lambda: file.read(_CHUNK), b"")
            if first.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n").startswith(_STREAM):
                yield from events(_all(first, rest), limit=limit)
            else:
                yield from _lines(_all(first, rest), path.name, limit)
    except (OSError, EOFError, zlib.error) as error:
        raise Misconfigured("file-unreadable", f"{path} cannot be read: {error}") from error


def _all(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _lines(chunks: Iterator[bytes], name: str, limit: int) -> Iterator[Event]:
    number, size = 0, 0
    parts: list[bytes] = []
    for chunk in chunks:
        *whole, last = chunk.split(b"\n")
        for piece in whole:
            number += 1
            line = b"".join(parts) + piece
            size += len(piece)
            parts.clear()
            yield from _event(line, size, f"{name}:{number}", limit)
            size = 0
        size += len(last)
        if size <= max(limit, HEAD):
            parts.append(last)
        else:
            parts = [(b"".join(parts) + last)[:HEAD]]
    yield from _event(b"".join(parts), size, f"{name}:{number + 1}", limit)


def _event(line: bytes, size: int, position: str, limit: int) -> Iterator[Event]:
    if size > limit:
        yield Event(line[:HEAD], position, size)
    elif line := line.removesuffix(b"\r"):
        yield Event(line, position)
