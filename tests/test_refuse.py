"""What is refused while it is planned, and inputs that cannot be read."""

from __future__ import annotations

import json

import pytest

from runner import ledger
from runner.errors import Fault, ProjectError, RunFailed
from runner.plan import Mode
from runner.spec import Read
from tests.desk import ORDERS, RAW, Desk, at, outcome
from tests.nouns import HERE, model, reads, target

# --- rebuilds that are refused --------------------------------------------------------------------


def newer_code(desk: Desk, fingerprint: str) -> Fault:
    """The refusal to rebuild with this code."""
    with pytest.raises(ProjectError) as error:
        desk.plan(model(reads("bronze.raw")), fingerprint=fingerprint)
    (fault,) = error.value.faults
    assert fault.code == "newer-code"
    return fault


def test_two_deployments_with_different_code_do_not_rebuild_in_turns(desk: Desk) -> None:
    head = at(desk.input())
    desk.built("f1", run="r1", raw=head)
    desk.built("f2", run="r2", raw=head)
    fault = newer_code(desk, "f1")
    assert "run r2 at 2023-11-14 22:13:21 UTC" in fault.what
    assert "after this code built it at 2023-11-14 22:13:21 UTC" in fault.why
    assert "--full-refresh" in fault.fix
    # The code that built it last goes on, and so does code that never built it.
    assert desk.plan(model(reads("bronze.raw")), fingerprint="f2").mode is Mode.NOTHING
    assert desk.plan(model(reads("bronze.raw")), fingerprint="f3").mode is Mode.REBUILD


def test_a_later_version_of_the_runner_is_newer_code_as_numbers_tell(desk: Desk) -> None:
    desk.built("f1", version="0.10.0", raw=at(desk.input()))
    assert "runner 0.10.0, and this is 0.9.0" in newer_code(desk, "f2").why


def test_a_revert_is_made_with_full_refresh_and_stands(desk: Desk) -> None:
    head = at(desk.input())
    desk.built("f1", raw=head)
    desk.built("f2", raw=head)
    plan = desk.plan(model(reads("bronze.raw")), fingerprint="f1", full_refresh=True)
    assert outcome(plan) == (Mode.REBUILD, "--full-refresh")
    desk.built("f1", run="r3", raw=head)
    assert desk.plan(model(reads("bronze.raw")), fingerprint="f1").mode is Mode.NOTHING
    assert "run r3" in newer_code(desk, "f2").what


def test_a_build_is_remembered_by_the_position_that_maintenance_carried_over(desk: Desk) -> None:
    head = at(desk.input())
    desk.built("f1", raw=head)
    desk.lake.commit(ORDERS, ledger.carry(desk.lake.state("silver.orders")), operation="replace")
    first, carried = desk.lake.metadata[ORDERS]["snapshots"]
    desk.built("f2", raw=head)
    desk.lake.expire("silver.orders", first["snapshot-id"])
    assert ledger.CARRIED in carried["summary"]
    with pytest.raises(ProjectError, match="newer code"):
        desk.plan(model(reads("bronze.raw")), fingerprint="f1")


def test_what_a_rollback_took_back_was_not_built(desk: Desk) -> None:
    head = at(desk.input())
    before = desk.built("f1", raw=head)
    desk.built("f2", raw=head)
    desk.lake.rollback("silver.orders", before)
    assert desk.plan(model(reads("bronze.raw")), fingerprint="f1").mode is Mode.NOTHING
    assert desk.plan(model(reads("bronze.raw")), fingerprint="f2").mode is Mode.REBUILD


def aged(desk: Desk) -> None:
    """A target of rows, of which some sources left by retention."""
    desk.built("f1", raw=at(desk.input()))
    word = json.dumps({"column": "seen_on", "before": "2026-10-01"})
    desk.lake.commit(RAW, {ledger.RETENTION: word}, operation="delete")


def test_a_rebuild_that_would_lose_what_was_made_of_retained_rows_is_refused(desk: Desk) -> None:
    aged(desk)
    with pytest.raises(RunFailed) as error:
        desk.plan(model(reads("bronze.raw")), fingerprint="f2")
    fault = error.value.fault
    assert fault.code == "retained-rows"
    assert "(the model changed)" in fault.what
    assert "seen_on before 2026-10-01" in fault.what
    assert "--full-refresh" in fault.fix


def test_retained_rows_refuse_no_run_that_keeps_them(desk: Desk) -> None:
    aged(desk)
    plain = model(reads("bronze.raw"))
    assert desk.plan(plain).mode is Mode.NOTHING
    assert desk.plan(plain, fingerprint="f2", full_refresh=True).mode is Mode.REBUILD
    telling = model(reads("bronze.raw"), target=target(columns={"id": "string", "seen_on": "date"}))
    assert desk.plan(telling, fingerprint="f2").mode is Mode.REBUILD
    assert desk.plan(model(reads("bronze.raw", Read.AFFECTED)), fingerprint="f2").mode is Mode.REBUILD


def test_a_first_run_after_retention_loses_nothing(desk: Desk) -> None:
    desk.input()
    word = json.dumps({"column": "seen_on", "before": "2026-10-01"})
    desk.lake.commit(RAW, {ledger.RETENTION: word}, operation="delete")
    assert outcome(desk.plan(model(reads("bronze.raw")))) == (Mode.REBUILD, "first run")


# --- what cannot be read --------------------------------------------------------------------------


def test_an_input_that_is_not_built_is_a_fault_that_says_what_to_run(desk: Desk) -> None:
    with pytest.raises(ProjectError) as error:
        desk.plan(model(reads("bronze.raw")))
    (fault,) = error.value.faults
    assert (fault.code, fault.place) == ("input-not-built", HERE)
    assert "runner --pipeline bronze" in fault.fix


@pytest.mark.parametrize("read", [Read.CHANGES, Read.AFFECTED])
def test_changes_of_a_v2_table_cannot_be_told(desk: Desk, read: Read) -> None:
    desk.input(format_version=2)
    with pytest.raises(ProjectError) as error:
        desk.plan(model(reads("bronze.raw", read)))
    assert [f.code for f in error.value.faults] == ["input-not-v3"]


def test_a_v2_table_can_be_read_whole(desk: Desk) -> None:
    desk.input(format_version=2)
    assert desk.plan(model(reads("bronze.raw", Read.ALL))).mode is Mode.REBUILD
