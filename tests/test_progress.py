"""The line that a terminal shows while models run."""

from __future__ import annotations

import pytest

from runner.progress import Progress
from runner.run import Event


@pytest.fixture
def progress(monkeypatch: pytest.MonkeyPatch) -> Progress:
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    found = Progress()
    found.heed(Event("start", 1, 3, "silver.events", "changes 6,948 rows"))
    found.heed(Event("stage", 1, 3, "silver.events", "merging 6,931 rows"))
    return found


def test_it_says_how_many_are_done_and_what_each_is_at(progress: Progress) -> None:
    assert progress.line(104.2, 80) == "0 of 3 done | silver.events: merging 6,931 rows, 4s"
    progress.heed(Event("start", 2, 3, "gold.stats"))
    assert progress.line(104.2, 80).endswith("4s | gold.stats: 4s")
    progress.heed(Event("ok", 1, 3, "silver.events"))
    assert progress.line(104.2, 80) == "1 of 3 done | gold.stats: 4s"


def test_a_skipped_model_is_done_and_a_stage_of_one_that_does_not_run_is_nothing(progress: Progress) -> None:
    progress.heed(Event("skipped", 3, 3, "gold.risk"))
    progress.heed(Event("stage", 3, 3, "gold.risk", "staging"))
    assert progress.line(100.0, 80) == "1 of 3 done | silver.events: merging 6,931 rows, 0s"


def test_it_is_never_wider_than_the_terminal(progress: Progress) -> None:
    assert progress.line(104.2, 20) == "0 of 3 done | silve…"
