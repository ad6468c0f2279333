"""A bounded source in front of sseclient: chunks of a stream go in, whole events with exact bytes come out.

Cut the stream anywhere and the events are the same. What is never finished is no event; what is too large
is told with its first bytes, and costs no more memory than that.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sseclient import SSEClient

#: Of an event that is too large, so many bytes are kept.
HEAD = 16_384
#: An event of more lines counts as too large: sseclient copies all that came before with every line.
LINES = 1_000
_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """``data``: the bytes as sent. ``position``: the last ``id`` of the stream, None before the first.
    ``size``: 0, or of an event that was too large its bytes; ``data`` is then the beginning of its data."""

    data: bytes
    position: str | None
    size: int = 0


class Source:
    """An iterable of chunks, each one whole event with ``\\n`` as line end, as sseclient digests it fast.

    ``limit``: most bytes of an event. ``position``: the last id, kept from event to event.
    """

    def __init__(self, chunks: Iterable[bytes], *, limit: int) -> None:
        self._chunks = chunks
        self._limit = limit
        # Nobody who writes into the stream can guess it.
        self.marker = f"oversize-{secrets.token_hex(8)}-"
        self.position: str | None = None
        self._parts: list[bytes] = []
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in _unix(_without_bom(self._chunks)):
            yield from self._blocks(chunk)

    def _blocks(self, chunk: bytes) -> Iterator[bytes]:
        # The blank line may lie across two chunks.
        if chunk.startswith(b"\n") and self._parts and self._parts[-1].endswith(b"\n"):
            yield from self._finish(b"")
            chunk = chunk[1:]
        pieces = chunk.split(b"\n\n")
        last = pieces.pop()
        for piece in pieces:
            yield from self._finish(piece)
        if last:
            self._keep(last)

    def _keep(self, part: bytes) -> None:
        room = max(0, max(HEAD, self._limit) - self._size)
        self._size += len(part)
        if len(part) <= room:
            self._parts.append(part)
        else:
            # Too large already: its beginning is enough, and whether the last byte ends a line.
            head = b"".join(self._parts)[:HEAD]
            head += part[: HEAD - len(head)]
            self._parts = [head, b"\n" if part.endswith(b"\n") else b""]

    def _finish(self, piece: bytes) -> Iterator[bytes]:
        if self._parts:
            if piece:
                self._keep(piece)
            block, size = b"".join(self._parts), self._size
            self._parts, self._size = [], 0
        else:
            block, size = piece, len(piece)
        block = block.strip(b"\n")
        if size > self._limit or block.count(b"\n") > LINES:
            block = b"\n".join(block[:HEAD].split(b"\n", LINES)[:LINES])
            yield b"%b\nevent: %b%d\n\n" % (block, self.marker.encode(), size)
        elif block.startswith(b"data") or b"\ndata" in block:
            # The usual name says nothing, and sseclient takes time for every line.
            yield block.removeprefix(b"event: message\n") + b"\n\n"
        else:
            # sseclient passes over it, with its id.
            for line in block.split(b"\n"):
                if line == b"id" or line.startswith(b"id:"):
                    self.position = line[3:].removeprefix(b" ").decode("latin-1")


def events(chunks: Iterable[bytes], *, limit: int) -> Iterator[Event]:
    """The events of a stream in order. ``limit``: most bytes of an event, lines and names included."""
    source = Source(chunks, limit=limit)
    # In latin-1 every byte is a character and back: no byte is invalid and none is lost.
    for event in SSEClient(iter(source), char_enc="latin-1").events():
        if event.id is not None:
            source.position = event.id
        size = 0
        if event.event.startswith(source.marker):
            size = int(event.event[len(source.marker) :])
        yield Event(event.data.encode("latin-1"), source.position, size)


def _without_bom(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks without the byte order mark that may begin the stream, in however many chunks."""
    arriving = iter(chunks)
    head = b""
    for chunk in arriving:
        head += chunk
        if not _BOM.startswith(head[:3]) or len(head) >= 3:
            break
    yield head.removeprefix(_BOM)
    yield from arriving


def _unix(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Every line end as ``\\n``; a ``\\r`` at the end of a chunk may be the first half of one."""
    half = False
    for chunk in chunks:
        if half and chunk:
            half = False
            if chunk.startswith(b"\n"):  # its \r was passed on as a line end already
                chunk = chunk[1:]
        if b"\r" in chunk:
            half = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if chunk:
            yield chunk
