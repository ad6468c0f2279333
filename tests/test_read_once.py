"""Models whose rows are read once: files, and models with a history."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.errors import ProjectError, RunFailed
from runner.files import consume
from runner.ledger import InputPosition
from runner.plan import Mode
from tests.desk import RAW, Desk, at, inbox, outcome
from tests.nouns import consumed, model, reads

# --- files that are read once ---------------------------------------------------------------------


def test_new_files_are_appended_and_consumed_ones_are_not_read_again(desk: Desk) -> None:
    of = inbox(desk)
    (desk.root / "in" / "a").write_text("1")
    plan = desk.plan(of)
    assert outcome(plan) == (Mode.APPEND, "")
    assert plan.summary() == "append: 1 of 1 files"
    (listed,) = plan.files
    desk.built(inbox=InputPosition(manifest=desk.manifests.write(consume(listed.fresh))))
    assert outcome(desk.plan(of)) == (Mode.NOTHING, "")

    (desk.root / "in" / "b").write_text("2")
    plan = desk.plan(of)
    assert outcome(plan) == (Mode.APPEND, "")
    assert [Path(f.path).name for f in plan.files[0].fresh] == ["b"]
    assert [Path(name).name for name in plan.files[0].consumed] == ["a"]
    assert plan.summary() == "append: 1 of 2 files"


def test_an_empty_folder_is_nothing_new(desk: Desk) -> None:
    assert outcome(desk.plan(inbox(desk))) == (Mode.NOTHING, "")


def test_a_model_of_files_is_never_rebuilt_when_it_changes(desk: Desk) -> None:
    of = inbox(desk)
    desk.built("f1", inbox=InputPosition(manifest=desk.manifests.write([])))
    assert outcome(desk.plan(of, fingerprint="f2")) == (Mode.NOTHING, "")


def test_a_model_of_files_refuses_full_refresh_with_the_way_out(desk: Desk) -> None:
    with pytest.raises(ProjectError) as error:
        desk.plan(inbox(desk), full_refresh=True)
    (fault,) = error.value.faults
    assert (fault.code, error.value.exit_code) == ("not-rebuildable", 2)
    assert "--lake" in fault.fix


def test_a_manifest_that_is_gone_is_no_empty_manifest(desk: Desk) -> None:
    of = inbox(desk)
    (desk.root / "in" / "a").write_text("1")
    desk.built(inbox=InputPosition(manifest="gone.json"))
    with pytest.raises(RunFailed) as error:
        desk.plan(of)
    assert error.value.fault.code == "manifest-missing"
    assert "gone.json" in error.value.fault.what


def test_a_consumed_file_that_changed_is_refused(desk: Desk) -> None:
    of = inbox(desk)
    path = desk.root / "in" / "a"
    path.write_text("now longer")
    desk.built(inbox=InputPosition(manifest=desk.manifests.write([consumed(str(path))])))
    with pytest.raises(ProjectError) as error:
        desk.plan(of)
    assert [f.code for f in error.value.faults] == ["consumed-file-changed"]


# --- history --------------------------------------------------------------------------------------


def test_a_model_with_history_appends_what_changed(desk: Desk) -> None:
    of = model(reads("bronze.raw"), history=True)
    head = desk.input()
    assert outcome(desk.plan(of)) == (Mode.APPEND, "")
    desk.built(raw=at(head))
    assert outcome(desk.plan(of, fingerprint="f2")) == (Mode.NOTHING, "")
    desk.lake.commit(RAW)
    desk.renew()
    assert outcome(desk.plan(of)) == (Mode.APPEND, "")


def test_a_model_with_history_refuses_full_refresh(desk: Desk) -> None:
    with pytest.raises(ProjectError) as error:
        desk.plan(model(reads("bronze.raw"), history=True), full_refresh=True)
    assert "history" in error.value.faults[0].why


def test_a_model_with_history_cannot_go_on_from_an_expired_snapshot(desk: Desk) -> None:
    first = desk.input()
    desk.built(raw=at(first))
    desk.lake.commit(RAW)
    desk.lake.expire("bronze.raw", first)
    with pytest.raises(RunFailed) as error:
        desk.plan(model(reads("bronze.raw"), history=True))
    assert error.value.fault.code == "snapshot-expired"
    assert str(first) in error.value.fault.what
