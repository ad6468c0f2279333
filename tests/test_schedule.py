"""Every model runs after those that it reads, some side by side, and a failure takes its readers."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import Interrupted
from runner.graph import ancestors, order
from runner.schedule import Work, run_in_order
from runner.spec import Model, Project
from tests.dags import acyclic, project

#: Long enough for any machine; only a run that hangs waits for it.
_PATIENCE = 60.0


def reads(found: Project) -> dict[str, set[str]]:
    return {m.id: {a.id for a in ancestors(found, m)} for m in found.models}


@settings(max_examples=60, deadline=None)
@given(edges=acyclic(), threads=st.integers(1, 4), fail_fast=st.booleans(), data=st.data())
def test_the_same_models_run_and_are_skipped_however_many_threads(
    edges: dict[str, list[str]], threads: int, fail_fast: bool, data: st.DataObject
) -> None:
    found = project(edges)
    failing = data.draw(st.sets(st.sampled_from(sorted(edges)), max_size=2))
    started: list[str] = []
    ended: list[str] = []
    skipped: dict[str, str] = {}
    lock = threading.Lock()

    def do(index: int, model: Model) -> bool:
        with lock:
            assert order(found)[index - 1] is model
            assert set(reads(found)[model.id]) <= set(ended)
            started.append(model.id)
        with lock:
            ended.append(model.id)
        return model.name not in failing

    run_in_order(
        order(found),
        reads(found),
        Work(do, lambda index, model, cause: skipped.update({model.id: cause}), lambda: None),
        threads=threads,
        fail_fast=fail_fast,
    )
    assert sorted([*started, *skipped]) == sorted(m.id for m in found.models)
    failed = {m.id for m in found.models if m.name in failing and m.id in started}
    below = {m.id for m in found.models if reads(found)[m.id] & failed}
    assert below <= set(skipped)
    assert set(skipped.values()) <= failed
    if not fail_fast:
        assert set(skipped) == below


def test_models_that_do_not_depend_on_one_another_run_at_the_same_time() -> None:
    found = project({"a": [], "b": [], "c": ["a", "b"]})
    meeting = threading.Barrier(2)
    done: list[str] = []

    def do(index: int, model: Model) -> bool:
        if model.name != "c":
            meeting.wait(_PATIENCE)  # broken where the two do not meet
        done.append(model.name)
        return True

    run_in_order(order(found), reads(found), Work(do, pytest.fail, lambda: None), threads=2, fail_fast=False)
    assert sorted(done[:2]) == ["a", "b"]
    assert done[2] == "c"


def test_an_interrupted_run_ends_what_runs_and_starts_nothing_more() -> None:
    found = project({"a": [], "b": [], "c": [], "d": []})
    cancelled = threading.Event()
    both = threading.Barrier(2)
    started: list[str] = []

    def do(index: int, model: Model) -> bool:
        started.append(model.name)
        both.wait(_PATIENCE)
        if model.name == "a":
            raise KeyboardInterrupt
        assert cancelled.wait(_PATIENCE)
        raise Interrupted

    work = Work(do, pytest.fail, cancelled.set)
    with pytest.raises(Interrupted):
        run_in_order(order(found), reads(found), work, threads=2, fail_fast=False)
    assert sorted(started) == ["a", "b"]
