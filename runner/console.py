"""Text for people and JSON for programs: progress on stdout, what is wrong on stderr.

In: events of a run, faults, plain lines. Colours and the spinner are for terminals only; ``NO_COLOR``
is heeded.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from runner.errors import Busy, Fault, GateClosed, Place, ProjectError, RunFailed, RunnerError
from runner.findings import values
from runner.progress import Progress

if TYPE_CHECKING:
    from runner.run import Event

_COLOURS = {
    "ok": "32",
    "failed": "31",
    "gated": "31",
    "busy": "33",
    "skipped": "33",
    "stale": "31",
    "nothing": "2",
    "pass": "32",
    "warn": "33",
    "fail": "31",
    "info": "2",
}
_NARROW, _WIDE = 80, 100
#: Kinds of events that `--quiet` leaves out.
_AS_IT_SHOULD_BE = ("start", "ok", "nothing", "info", "pass")


@dataclass
class Console:
    """Where a command writes. ``root``: the project, so that places are shown from the current folder."""

    as_json: bool = False
    quiet: bool = False
    root: Path | None = None
    counts: dict[str, int] = field(default_factory=dict)
    _progress: Progress = field(default_factory=Progress)
    # Events come from every thread that runs a model.
    _one_at_a_time: threading.RLock = field(default_factory=threading.RLock)

    @property
    def coloured(self) -> bool:
        """Whether stdout shows colours."""
        return _colour(sys.stdout)

    def line(self, text: str = "") -> None:
        """A line on stdout; nothing of it is dropped by ``--quiet``."""
        self.write(text + "\n")

    def write(self, text: str) -> None:
        """Text on stdout, as it is."""
        sys.stdout.write(text)

    def note(self, text: str, *, wrong: bool = False, **values: object) -> None:
        """What a command did, for people; in JSON the ``values`` as well. ``wrong``: said when quiet, too."""
        if self.as_json:
            self.line(json.dumps({"kind": "note", "text": text, **values}, ensure_ascii=False, default=str))
        elif wrong or not self.quiet:
            self.line(text)
        sys.stdout.flush()  # of what goes on for hours somebody reads along

    def event(self, event: Event) -> None:
        """One step of a run, at once."""
        with self._one_at_a_time:
            self._progress.heed(event)
            if event.kind != "stage":
                self._write_event(event)
            # Stages are for those who watch.
            if not self.as_json and not self.quiet and _colour(sys.stdout):
                self._progress.show()

    def _write_event(self, event: Event) -> None:
        self._progress.hide()
        self.counts[event.kind] = self.counts.get(event.kind, 0) + 1
        if self.as_json:
            self.line(json.dumps(_event_values(event), ensure_ascii=False, default=str))
        elif not (self.quiet and event.kind in _AS_IT_SHOULD_BE):
            self.line(progress_line(event, width=_width(), colour=_colour(sys.stdout)))
        sys.stdout.flush()
        if event.faults and not self.as_json:
            self.faults(event.faults)

    def error(self, error: RunnerError) -> None:
        """The message of an error on stderr."""
        self._progress.hide()
        match error:
            case ProjectError() | GateClosed():
                self.faults(error.faults)
            case RunFailed() | Busy():
                self.faults((error.fault,))
            case _:
                self.complain("interrupted: what was unfinished is not published", code="interrupted")

    def faults(self, faults: Iterable[Fault], *, level: str = "error") -> None:
        """Faults on stderr, each with its place as seen from the current folder."""
        sys.stdout.flush()
        for fault in faults:
            if self.as_json:
                sys.stderr.write(json.dumps(values(fault, level), ensure_ascii=False) + "\n")
            else:
                what = fault.what if level == "error" else f"{level}: {fault.what}"
                here = dataclasses.replace(fault, place=self._from_here(fault.place), what=what)
                sys.stderr.write(f"{here}\n")
        sys.stderr.flush()

    def complain(self, text: str, *, code: str) -> None:
        """A line on stderr; in JSON as the fault ``code``."""
        self._progress.hide()
        if self.as_json:
            self.faults((Fault(code, None, text),))
            return
        sys.stdout.flush()
        sys.stderr.write(text + "\n")

    def close(self) -> None:
        """Stop what moves on the terminal."""
        self._progress.hide()

    def _from_here(self, place: Place | None) -> Place | None:
        if place is None or self.root is None or not (self.root / place.file).exists():
            return place
        return place._replace(file=os.path.relpath(self.root / place.file))


def progress_line(event: Event, *, width: int, colour: bool = False) -> str:
    """``2 of 6 OK      silver.cleaned_events ..... [+6,931 ~0 -0 | 4.1s]``, as wide as ``width``."""
    digits = len(str(event.total))
    word = event.kind.upper().ljust(8)
    head = f"{event.index:>{digits}} of {event.total} "
    bracket = " | ".join(
        part for part in (event.detail, "" if event.elapsed is None else f"{event.elapsed:.1f}s") if part
    )
    tail = f" [{bracket}]" if bracket else ""
    dots = "." * max(3, width - len(head) - len(word) - len(event.name) - 1 - len(tail)) if tail else ""
    if colour and (code := _COLOURS.get(event.kind)):
        word = f"\x1b[{code}m{word}\x1b[0m"
    return f"{head}{word}{event.name} {dots}{tail}".rstrip()


def summary_line(counts: dict[str, int], seconds: float, *, ok: str = "published") -> str:
    """``3 published, 2 with nothing new, 1 failed in 12.3s``; ``ok``: what those are that ended well."""
    words = {
        "ok": ok,
        "nothing": "with nothing new",
        "stale": "stale",
        "gated": "gated",
        "failed": "failed",
        "skipped": "skipped",
        "busy": "busy",
    }
    parts = [f"{counts[kind]} {word}" for kind, word in words.items() if counts.get(kind)]
    return f"{', '.join(parts) or 'nothing to run'} in {seconds:.1f}s"


def _width() -> int:
    if not sys.stdout.isatty():
        return _WIDE
    import shutil  # brings in what completion need not wait for

    return min(_WIDE, max(_NARROW, shutil.get_terminal_size().columns))


def _colour(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _event_values(event: Event) -> dict[str, object]:
    return {
        "kind": event.kind,
        "index": event.index,
        "total": event.total,
        "name": event.name,
        "detail": event.detail,
        "elapsed": event.elapsed,
        "faults": [values(fault) for fault in event.faults],
    }
