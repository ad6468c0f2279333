"""The events of the replay server as a log on disk: events go in once, framed bytes of any range come out.

A million events are 1.5 GB: only where each begins and its time are in memory. The lines of the ledger are
made here as well, so that serving costs nothing but reading and sending.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import tempfile
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import IO

from live.captures import Captured
from live.judge import judge

Change = Callable[[bytes], bytes]

_TOPICS = ("eqiad.mediawiki.recentchange", "codfw.mediawiki.recentchange")
_NEWLINE = re.compile(rb"\r\n|\r|\n")


class Spool:
    """Events in the order in which they happen, each framed as the server sends it."""

    def __init__(
        self,
        events: Iterable[Captured],
        *,
        changes: Mapping[int, Change] | None = None,
        upto: int | None = None,
    ) -> None:
        """``changes``: what to do to the bytes of the event at a position, before it is judged.

        ``upto``: how many events to take at first (all); :meth:`fill` takes more.
        """
        self._frames: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 – open as long as the spool is
        self._lines: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._frame_ends, self._line_ends = array("q", [0]), array("q", [0])
        self._highest = array("q")  # the highest time up to each event: it rises, so it can be searched
        self._events, self._changes = iter(events), dict(changes or {})
        self._ready = 0
        self.fill(upto)

    def fill(self, upto: int | None) -> None:
        """Takes events until there are so many, or no more; one thread fills while others read."""
        more = None if upto is None else max(upto - len(self), 0)
        for event in itertools.islice(self._events, more):
            self._put(event)
        self._frames.flush()
        self._lines.flush()
        self._ready = len(self._highest)  # only what is in the files is there for readers

    def _put(self, event: Captured) -> None:
        position = len(self._highest)
        newest = self._highest[-1] if self._highest else 0
        change = self._changes.get(position)
        data = event.data if change is None else change(event.data)
        verdict = judge(data)
        at = _time_of(event.id)
        if at is None:
            at = verdict.instant_ms if verdict.instant_ms is not None else newest
        sent = event.id if event.id is not None else _id_line(at)
        self._highest.append(max(newest, at))
        _append(self._frames, self._frame_ends, frame(data, sent))
        line = {
            "position": position,
            "event_id": verdict.event_id,
            "verdict": verdict.kind,
            "reason": verdict.reason,
            "domain": verdict.domain,
            "bytes": len(data),
            "md5": hashlib.md5(data).hexdigest(),
            "id": sent.decode(),
        }
        _append(self._lines, self._line_ends, json.dumps(line).encode() + b"\n")

    def __len__(self) -> int:
        return self._ready

    def frames(self, first: int, end: int) -> bytes:
        """The framed bytes of the events ``first`` to ``end``, that one not included."""
        return _read(self._frames, self._frame_ends, first, end)

    def ends(self, first: int, end: int) -> list[int]:
        """Where each of those events ends within their bytes."""
        begin = self._frame_ends[first]
        return [one - begin for one in self._frame_ends[first + 1 : end + 1]]

    def upto(self, first: int, most: int) -> int:
        """The end of a range from ``first`` of no more than ``most`` bytes, but at least one event."""
        end = bisect_left(self._frame_ends, self._frame_ends[first] + most + 1, hi=self._ready + 1) - 1
        return min(max(end, first + 1), len(self))

    def ledger_lines(self, first: int, end: int) -> bytes:
        """What the ledger says of those events, one JSON object a line."""
        return _read(self._lines, self._line_ends, first, end)

    def seek(self, timestamp_ms: int) -> int:
        """The first event that is not older, as Kafka finds it: later ones may be."""
        return bisect_left(self._highest, timestamp_ms, hi=self._ready)

    def close(self) -> None:
        """The files are gone."""
        self._frames.close()
        self._lines.close()


def frame(data: bytes, sent_id: bytes) -> bytes:
    """An event as the server sends it."""
    lines = b"\n".join(b"data: " + line for line in _NEWLINE.split(data))
    return b"event: message\nid: " + sent_id + b"\n" + lines + b"\n\n"


def _id_line(at: int) -> bytes:
    # The millisecond after the event: whoever resumes there has had it.
    place = {"topic": _TOPICS[0], "partition": 0, "timestamp": at + 1}
    other = {"topic": _TOPICS[1], "partition": 0, "offset": -1}
    return json.dumps([place, other], separators=(",", ":")).encode()


def _time_of(sent_id: bytes | None) -> int | None:
    match = re.search(rb'"timestamp":\s*(\d+)', sent_id or b"")
    return int(match[1]) - 1 if match else None


def _append(file: IO[bytes], ends: array[int], content: bytes) -> None:
    file.write(content)
    ends.append(ends[-1] + len(content))


def _read(file: IO[bytes], ends: array[int], first: int, end: int) -> bytes:
    # pread: several connections read at once, and share no position.
    return os.pread(file.fileno(), ends[end] - ends[first], ends[first])
