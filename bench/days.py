"""Lakes with days of history, and late events of one day: what benchmarks of increments share."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from bench.harness import measure, python
from producer.generator.generate import START, lines
from producer.generator.generate import write as write_events


def history(folder: Path, *, days: int, events: int, start: date = START) -> Path:
    """A folder with one file of events for each day."""
    write_events(out=folder, events=events, days=days, start=start, per_day=True)
    return folder


def late(path: Path, *, day: date, events: int, seed: int) -> Path:
    """A file of new events that all happened on ``day``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    happened = [line for line in lines(events=events, seed=seed, start=day) if _date(line) == str(day)]
    path.write_text("".join(line + "\n" for line in happened), encoding="utf-8")
    return path


def _date(line: str) -> str | None:
    try:
        return str(json.loads(line)["meta"]["dt"])[:10]
    except (ValueError, KeyError, TypeError):
        return None


def middle(start: date, days: int) -> date:
    """The day in the middle."""
    return start + timedelta(days=days // 2)


def build(lake: Path, events: Path, *, log: Path) -> float:
    """All models from nothing; seconds."""
    command = python("-m", "runner", "run", "-q", "--lake", lake, "--vars", f"events: {events}")
    return measure(command, log=log).seconds


def increments(lake: Path, batches: list[Path], *, log: Path) -> Any:
    """One process that runs the batches one after another: the report of ``bench.session``."""
    report = batches[-1].with_suffix(".report.json")
    measure(python("-m", "bench.session", "--lake", lake, "--report", report, *batches), log=log)
    return json.loads(report.read_text(encoding="utf-8"))
