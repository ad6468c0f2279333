"""A replay server for a test: events and rules go in, a running server comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from live import captures, faults
from live.captures import Captured
from live.eventstreams import EventStreams, Rules
from live.spool import Spool

Serve = Callable[..., EventStreams]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.ndjson"


@pytest.fixture
def serve(ledger: Path) -> Iterator[Serve]:
    """``serve(events, faults=[texts], **rules)``; it closes after the last event unless ``end=False``."""
    with ExitStack() as running:

        def start(
            events: Iterable[Captured] | int = 200, *, wrong: Iterable[str] = (), **rules: Any
        ) -> EventStreams:
            if isinstance(events, int):
                events = captures.generated(events=events, seed=1)
            parsed = [faults.parse(text) for text in wrong]
            spool = Spool(events, changes=faults.changes(parsed))
            given = replace(Rules(end=True), **rules)
            return running.enter_context(EventStreams.start(spool, rules=given, faults=parsed, ledger=ledger))

        yield start
