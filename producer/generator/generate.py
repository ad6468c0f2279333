"""Events made from a seed, as lines in memory or as files: the stream of the demo, the tests and the bench.

The same seed, volume and start give the same bytes, in whatever number of days: a day more changes no
earlier day. A file that is there with equal bytes is not touched, so that its readers see nothing new.
"""

from __future__ import annotations

import filecmp
import gzip
import json
import os
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import IO, Any

from producer.generator.stream import RING, Day

START = date(2026, 10, 1)


@dataclass(frozen=True)
class Written:
    """One file: where, how many lines, and whether its bytes are new."""

    path: Path
    lines: int
    changed: bool


def counts(*, events: int, days: int) -> list[int]:
    """The lines of each day; what does not divide goes to the first days."""
    if events < 0 or days < 1:
        raise ValueError(f"events must be 0 or more and days 1 or more, not {events} and {days}")
    return [events // days + (day < events % days) for day in range(days)]


def by_day(
    *, events: int, days: int = 1, seed: int = 1, start: date = START
) -> Iterator[tuple[date, Iterator[str]]]:
    """Each day with the lines that arrive on it; read a day to its end before the next."""
    ring: deque[str] = deque(maxlen=RING)
    for day, count in enumerate(counts(events=events, days=days)):
        yield (
            start + timedelta(days=day),
            Day(seed=seed, start=start, day=day, count=count, ring=ring).lines(),
        )


def lines(*, events: int, days: int = 1, seed: int = 1, start: date = START) -> Iterator[str]:
    """Exactly ``events`` lines in the order of arrival, heartbeats, repeats and malformed ones included."""
    for _, arriving in by_day(events=events, days=days, seed=seed, start=start):
        yield from arriving


def events(
    *, events: int, days: int = 1, seed: int = 1, start: date = START
) -> Iterator[dict[str, Any] | str]:
    """The same as dictionaries; a line that is no JSON object stays the text that it is."""
    for line in lines(events=events, days=days, seed=seed, start=start):
        value = None
        with suppress(ValueError):
            value = json.loads(line)
        yield value if isinstance(value, dict) else line


def write(
    *, out: Path, events: int, days: int = 1, seed: int = 1, start: date = START, per_day: bool = False
) -> list[Written]:
    """One file, or with ``per_day`` or many days one file a day in the folder ``out``.

    A name that ends in ``.gz`` is compressed; the files of a folder are ``events-<day>.ndjson.gz``.
    """
    days_of = by_day(events=events, days=days, seed=seed, start=start)
    if days == 1 and not per_day:
        return [_write(out, arriving) for _, arriving in days_of]
    return [_write(out / f"events-{day}.ndjson.gz", arriving) for day, arriving in days_of]


def _write(path: Path, arriving: Iterator[str]) -> Written:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    fresh = Path(name)
    try:
        with os.fdopen(handle, "wb") as raw:
            if path.suffix == ".gz":
                # No name and no time in the header: the bytes follow from the lines alone.
                with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=4, mtime=0) as packed:
                    total = _copy(arriving, packed)
            else:
                total = _copy(arriving, raw)
        if path.is_file() and filecmp.cmp(fresh, path, shallow=False):
            return Written(path, total, changed=False)
        fresh.chmod(0o666 & ~_umask())
        fresh.replace(path)
        return Written(path, total, changed=True)
    finally:
        fresh.unlink(missing_ok=True)


def _copy(arriving: Iterator[str], to: IO[bytes] | gzip.GzipFile) -> int:
    total = 0
    while chunk := list(islice(arriving, 1_000)):
        to.write(("\n".join(chunk) + "\n").encode())
        total += len(chunk)
    return total


def _umask() -> int:
    """The permissions that new files of this process do not get; the system tells only while setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
