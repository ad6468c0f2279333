"""The position between runs: a small JSON file, replaced as a whole, held by one producer at a time."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Protocol

from producer.errors import Misconfigured, Unavailable, shown


class State(Protocol):
    """Where the position of a stream is kept."""

    def load(self) -> str | None:
        """The stored position; None before the first."""

    def save(self, position: str) -> None:
        """Keep it, so that a crash afterwards does not lose it."""

    def close(self) -> None:
        """Let others have it."""


class FileState:
    """``stream``: the address that the position belongs to; one of another stream is refused."""

    def __init__(self, path: Path, *, stream: str) -> None:
        self._path = path
        self._stream = stream
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise Misconfigured(
                "state-unusable",
                f"the state file {path} cannot be written: {error.strerror}",
                fix="name another with --state FILE, or keep it in Kafka: --state kafka:TOPIC",
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = shown(os.pread(self._lock, 100, 0).decode("utf-8", "replace")) or "unknown"
            os.close(self._lock)
            raise Unavailable(
                "state-locked",
                f"another producer holds {path} (process {holder})",
                why="two producers on one position would send everything twice",
                fix="stop it, or give this one a file of its own: --state FILE",
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)

    def load(self) -> str | None:
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise self._broken(str(error)) from error
        return parse(text, stream=self._stream, place=str(self._path))

    def save(self, position: str) -> None:
        fresh = self._path.with_name(self._path.name + ".tmp")
        try:
            with fresh.open("w", encoding="utf-8") as file:
                file.write(document(position, stream=self._stream))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)  # the new name, too
            finally:
                os.close(folder)
        except OSError as error:
            raise Unavailable(
                "state-not-saved",
                f"the position cannot be written to {self._path}: {error.strerror}",
                fix="make room or mend the folder, then start again: nothing is lost, some events come twice",
            ) from error

    def close(self) -> None:
        os.close(self._lock)

    def _broken(self, why: str) -> Misconfigured:
        return broken(str(self._path), why)


def document(position: str, *, stream: str) -> str:
    """The stored text of a position."""
    saved = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return json.dumps({"stream": stream, "position": position, "saved": saved}, indent=1) + "\n"


def parse(text: str, *, stream: str, place: str) -> str:
    """The position in a stored text; :class:`Misconfigured` when it holds none, or one of another stream."""
    try:
        found = json.loads(text)
        position, of = found["position"], found["stream"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise broken(place, "it holds no position") from error
    if not isinstance(position, str) or any(ord(char) < 32 for char in position) or not position.isascii():
        raise broken(place, "its position is no id of a stream")
    if of != stream:
        raise Misconfigured(
            "state-of-another-stream",
            f"{place} belongs to the stream {shown(of)}, not to {stream}",
            fix="give each stream a state of its own: --state FILE",
        )
    return position


def broken(place: str, why: str) -> Misconfigured:
    return Misconfigured(
        "state-broken",
        f"the position in {place} cannot be read: {why}",
        why="starting without it would leave a gap that nobody sees",
        fix="move it away and start again with --since TIME, a little before its last change: what is sent"
        " twice is merged downstream",
    )
