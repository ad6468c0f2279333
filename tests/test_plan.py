"""What a run will read, and why: every mode and every reason, from metadata alone."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runner import ledger
from runner.catalog import Catalog, TableState
from runner.errors import Fault, ProjectError, RunFailed
from runner.files import ManifestStore, consume, list_files
from runner.inputs import Pins
from runner.ledger import InputPosition, Position
from runner.plan import Mode, ModelPlan, make_plan
from runner.reads import FilesRead, Method, TableRead
from runner.refs import TableRef
from runner.spec import KafkaInput, Model, Read, Source
from tests.nouns import HERE, consumed, files, model, reads, rendered, target
from tests.paper import PaperLake

RAW, ORDERS, RATES = TableRef("bronze", "raw"), TableRef("silver", "orders"), TableRef("bronze", "rates")


@dataclass
class Desk:
    """A lake on paper with two input tables, and a run that is planned on it."""

    root: Path
    lake: PaperLake = field(init=False)

    def __post_init__(self) -> None:
        self.lake = PaperLake(self.root / "lake")
        self.manifests = ManifestStore(self.root / "lake" / "_manifests")
        self.renew()

    def renew(self) -> None:
        """The next run: pins of its own."""
        self.pins = Pins(self.lake.catalog, {})

    def input(self, table: TableRef = RAW, *, rows: int = 10, **given: Any) -> int:
        """A source table with one snapshot; its id."""
        self.lake.create(table, {"id": "string"}, **given)
        return self.lake.commit(table, rows=rows)

    def built(
        self, fingerprint: str = "f1", *, run: str = "r1", version: str = "0.1.0", **inputs: InputPosition
    ) -> int:
        """The target as a run left it that consumed ``inputs``."""
        self.lake.create(ORDERS, {"id": "string"})
        position = Position(run, "silver.orders", fingerprint, version, inputs)
        return self.lake.commit(ORDERS, position.properties(), rows=10)

    def plan(self, of: Model, *, fingerprint: str = "f1", full_refresh: bool = False) -> ModelPlan:
        return make_plan(
            of,
            rendered(fingerprint),
            root=self.root,
            pins=self.pins,
            manifests=self.manifests,
            code_version="0.9.0",
            full_refresh=full_refresh,
        )


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def at(snapshot: int | None) -> InputPosition:
    return InputPosition(snapshot=snapshot, sequence=snapshot and 1)


def outcome(plan: ModelPlan) -> tuple[Mode, str]:
    return plan.mode, plan.reason


# --- nothing, incremental ------------------------------------------------------------------------


def test_a_first_run_reads_everything(desk: Desk) -> None:
    head = desk.input()
    plan = desk.plan(model(reads("bronze.raw")))
    assert outcome(plan) == (Mode.REBUILD, "first run")
    assert (plan.base, plan.previous) == (None, None)
    (read,) = plan.tables
    assert (read.since, read.until and read.until.id) == (None, head)
    assert plan.summary() == "rebuild: bronze.raw 10 rows | first run"


@pytest.mark.parametrize("read", [Read.CHANGES, Read.AFFECTED])
def test_without_a_new_snapshot_there_is_nothing_to_do(desk: Desk, read: Read) -> None:
    desk.built(raw=at(desk.input()))
    assert outcome(desk.plan(model(reads("bronze.raw", read)))) == (Mode.NOTHING, "")


@pytest.mark.parametrize("read", [Read.CHANGES, Read.AFFECTED])
def test_a_new_snapshot_is_read_since_the_one_that_was_consumed(desk: Desk, read: Read) -> None:
    first = desk.input()
    base = desk.built(raw=at(first))
    added = {"added-records": "2", "added-data-files": "1", "total-data-files": "9"}
    head = desk.lake.commit(RAW, added, rows=12)
    plan = desk.plan(model(reads("bronze.raw", read)))
    assert outcome(plan) == (Mode.INCREMENTAL, "")
    (taken,) = plan.tables
    assert (taken.since, taken.until and taken.until.id) == (first, head)
    assert plan.base is not None
    assert plan.base.id == base
    assert plan.summary() == f"incremental: {read} of bronze.raw, 2 rows in 1 of 9 files"
    assert taken.position() == InputPosition(snapshot=head, sequence=2)


def test_the_position_is_that_of_the_target_and_no_other_commit_hides_it(desk: Desk) -> None:
    desk.built(raw=at(desk.input()))
    desk.lake.commit(ORDERS, operation="replace")
    assert desk.plan(model(reads("bronze.raw"))).mode is Mode.NOTHING


def test_a_rollback_of_the_target_brings_the_rows_again(desk: Desk) -> None:
    first = desk.input()
    before = desk.built(raw=at(first))
    second = desk.lake.commit(RAW)
    desk.built(raw=at(second))
    desk.lake.rollback("silver.orders", before)
    plan = desk.plan(model(reads("bronze.raw")))
    assert plan.mode is Mode.INCREMENTAL
    assert plan.tables[0].since == first


def test_a_rollback_of_the_source_is_a_change(desk: Desk) -> None:
    first = desk.input()
    desk.built(raw=at(desk.lake.commit(RAW)))
    desk.lake.rollback("bronze.raw", first)
    plan = desk.plan(model(reads("bronze.raw")))
    assert plan.mode is Mode.INCREMENTAL
    assert plan.tables[0].until is not None
    assert plan.tables[0].until.id == first


def test_compactions_alone_wake_nobody(desk: Desk) -> None:
    desk.built(raw=at(desk.input()))
    desk.lake.commit(RAW, operation="replace")
    desk.lake.commit(RAW, operation="replace")
    assert desk.plan(model(reads("bronze.raw"))).mode is Mode.NOTHING
    desk.lake.commit(RAW)
    desk.lake.commit(RAW, operation="replace")
    desk.renew()
    assert desk.plan(model(reads("bronze.raw"))).mode is Mode.INCREMENTAL


def test_a_compaction_on_another_line_of_snapshots_is_not_taken_for_nothing(desk: Desk) -> None:
    first = desk.input()
    desk.built(raw=at(desk.lake.commit(RAW)))
    desk.lake.rollback("bronze.raw", first)
    desk.lake.commit(RAW, operation="replace")
    assert desk.plan(model(reads("bronze.raw"))).mode is Mode.INCREMENTAL


def test_a_compaction_after_a_commit_that_is_expired_is_not_taken_for_nothing(desk: Desk) -> None:
    desk.built(raw=at(desk.input()))
    between = desk.lake.commit(RAW)
    desk.lake.commit(RAW, operation="replace")
    desk.lake.expire("bronze.raw", between)
    assert desk.plan(model(reads("bronze.raw"))).mode is Mode.INCREMENTAL


@pytest.mark.parametrize(
    ("commits", "method", "above"),
    [
        (["append"], Method.APPENDED, 1),
        (["append", "append"], Method.APPENDED, 1),
        (["append", "replace", "append"], Method.APPENDED, 1),
        (["append", "overwrite"], Method.DIFFERENCE, None),
        (["delete"], Method.DIFFERENCE, None),
    ],
)
def test_appended_files_are_enough_where_every_commit_added_or_moved_rows(
    desk: Desk, commits: list[str], method: Method, above: int | None
) -> None:
    desk.built(raw=at(desk.input()))
    for operation in commits:
        desk.lake.commit(RAW, operation=operation)
    (taken,) = desk.plan(model(reads("bronze.raw"))).tables
    assert (taken.method, taken.above) == (method, above)


def test_after_a_rollback_or_over_a_gap_only_the_file_difference_is_exact(desk: Desk) -> None:
    first = desk.input()
    desk.built(raw=at(desk.lake.commit(RAW)))
    desk.lake.rollback("bronze.raw", first)
    between = desk.lake.commit(RAW)
    assert desk.plan(model(reads("bronze.raw"))).tables[0].method is Method.DIFFERENCE
    desk.renew()
    desk.lake.commit(RAW)
    desk.lake.expire("bronze.raw", between)
    plan = desk.plan(model(reads("bronze.raw")))
    assert plan.tables[0].method is Method.DIFFERENCE
    assert plan.summary() == "incremental: changes of bronze.raw by file difference"


def test_a_snapshot_from_before_the_upgrade_to_v3_rebuilds(desk: Desk) -> None:
    first = desk.input()
    desk.built(raw=at(first))
    document = desk.lake.metadata[RAW]
    del document["snapshots"][0]["first-row-id"]
    desk.lake.commit(RAW, rows=11)
    plan = desk.plan(model(reads("bronze.raw")))
    assert outcome(plan) == (
        Mode.REBUILD,
        f"snapshot {first} of bronze.raw, last consumed, is from before the upgrade to format v3",
    )


def test_one_of_two_incremental_inputs_is_enough(desk: Desk) -> None:
    raw, rates = desk.input(), desk.input(RATES)
    desk.built(raw=at(raw), rates=at(rates))
    desk.lake.commit(RATES)
    both = model(reads("bronze.raw", Read.AFFECTED), reads("bronze.rates", Read.AFFECTED, name="rates"))
    plan = desk.plan(both)
    assert plan.mode is Mode.INCREMENTAL
    assert [read.changed for read in plan.tables] == [False, True]


# --- rebuilds ------------------------------------------------------------------------------------


def test_full_refresh_rebuilds_even_where_nothing_is_new(desk: Desk) -> None:
    desk.built(raw=at(desk.input()))
    plan = desk.plan(model(reads("bronze.raw")), full_refresh=True)
    assert outcome(plan) == (Mode.REBUILD, "--full-refresh")


def test_a_changed_model_is_rebuilt(desk: Desk) -> None:
    desk.built("f1", raw=at(desk.input()))
    plan = desk.plan(model(reads("bronze.raw")), fingerprint="f2")
    assert outcome(plan) == (Mode.REBUILD, "the model changed")


def test_on_change_keep_leaves_the_old_rows_of_a_changed_model(desk: Desk) -> None:
    desk.built("f1", raw=at(desk.input()))
    keeping = model(reads("bronze.raw"), on_change="keep")
    assert outcome(desk.plan(keeping, fingerprint="f2")) == (Mode.NOTHING, "")
    desk.lake.commit(RAW)
    desk.renew()
    assert outcome(desk.plan(keeping, fingerprint="f2")) == (Mode.INCREMENTAL, "")


@pytest.mark.parametrize(("on_change", "mode"), [("rebuild", Mode.REBUILD), ("keep", Mode.NOTHING)])
def test_a_change_of_a_table_that_is_read_whole_rebuilds(desk: Desk, on_change: str, mode: Mode) -> None:
    desk.built(raw=at(desk.input()), rates=at(desk.input(RATES)))
    desk.lake.commit(RATES)
    both = model(reads("bronze.raw"), reads("bronze.rates", Read.ALL, name="rates"), on_change=on_change)
    reason = "bronze.rates changed" if mode is Mode.REBUILD else ""
    assert outcome(desk.plan(both)) == (mode, reason)


def test_a_compaction_of_a_table_that_is_read_whole_rebuilds_nothing(desk: Desk) -> None:
    desk.built(raw=at(desk.input()), rates=at(desk.input(RATES)))
    desk.lake.commit(RATES, operation="replace")
    both = model(reads("bronze.raw"), reads("bronze.rates", Read.ALL, name="rates"))
    assert outcome(desk.plan(both)) == (Mode.NOTHING, "")


@pytest.mark.parametrize(("on_change", "mode"), [("rebuild", Mode.REBUILD), ("keep", Mode.NOTHING)])
def test_a_change_of_files_that_are_read_whole_rebuilds(desk: Desk, on_change: str, mode: Mode) -> None:
    (desk.root / "rates.csv").write_text("a,b\n")
    both = model(
        reads("bronze.raw"), files("rates.csv", Read.ALL, name="rates", format="csv"), on_change=on_change
    )
    head = desk.input()
    digest = desk.plan(both).files[0].digest
    desk.built(raw=at(head), rates=InputPosition(digest=digest))
    assert outcome(desk.plan(both)) == (Mode.NOTHING, "")

    (desk.root / "rates.csv").write_text("a,c\n")

    assert outcome(desk.plan(both)) == (mode, "'rates' changed" if mode is Mode.REBUILD else "")


def test_an_expired_snapshot_rebuilds_and_says_so(desk: Desk) -> None:
    first = desk.input()
    desk.built(raw=at(first))
    desk.lake.commit(RAW)
    desk.lake.expire("bronze.raw", first)
    plan = desk.plan(model(reads("bronze.raw"), on_change="keep"))
    assert outcome(plan) == (
        Mode.REBUILD,
        f"snapshot {first} of bronze.raw, last consumed, is expired",
    )


def test_an_input_that_was_emptied_rebuilds(desk: Desk) -> None:
    desk.lake.create(RAW, {"id": "string"})
    desk.built(raw=at(999))
    assert outcome(desk.plan(model(reads("bronze.raw")))) == (Mode.REBUILD, "bronze.raw is empty")


def test_an_input_that_was_not_read_before_rebuilds(desk: Desk) -> None:
    desk.input()
    desk.built(raw=at(None))
    assert outcome(desk.plan(model(reads("bronze.raw")))) == (Mode.REBUILD, "bronze.raw was not read before")


def test_a_target_that_others_filled_is_rebuilt_from_its_head(desk: Desk) -> None:
    desk.input()
    desk.lake.create(ORDERS, {"id": "string"})
    head = desk.lake.commit(ORDERS, rows=3)
    plan = desk.plan(model(reads("bronze.raw")))
    assert outcome(plan) == (Mode.REBUILD, "first run")
    assert plan.base is not None
    assert plan.base.id == head


def test_from_empty_inputs_nothing_is_built(desk: Desk) -> None:
    desk.lake.create(RAW, {"id": "string"})
    assert outcome(desk.plan(model(reads("bronze.raw")))) == (Mode.NOTHING, "the inputs are empty")


# --- rebuilds that are refused -------------------------------------------------------------------


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


# --- files that are read once --------------------------------------------------------------------


def inbox(desk: Desk) -> Model:
    (desk.root / "in").mkdir(exist_ok=True)
    return model(files("in"))


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


# --- history -------------------------------------------------------------------------------------


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


# --- what cannot be read -------------------------------------------------------------------------


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


def test_a_topic_is_refused_by_name(desk: Desk) -> None:
    topic = Source("events", KafkaInput("raw-events"), Read.STREAM, HERE)
    with pytest.raises(ProjectError) as error:
        desk.plan(model(topic))
    assert [f.code for f in error.value.faults] == ["stream-input"]


# --- pins ----------------------------------------------------------------------------------------


def test_all_models_of_a_run_read_a_table_in_the_same_state(desk: Desk) -> None:
    first = desk.input()
    one, two = model(reads("bronze.raw")), model(reads("bronze.raw"), target=target("gold.sales"))
    seen = [desk.plan(one).tables[0].until]
    desk.lake.commit(RAW)
    seen.append(desk.plan(two).tables[0].until)
    assert [s and s.id for s in seen] == [first, first]


def test_after_a_publication_readers_see_the_new_head(desk: Desk) -> None:
    desk.input()
    of = model(reads("bronze.raw"))
    desk.plan(of)
    second = desk.lake.commit(RAW)
    desk.pins.release(RAW)
    until = desk.plan(of).tables[0].until
    assert until is not None
    assert until.id == second


def test_a_pin_that_does_not_know_what_the_target_consumed_is_renewed(desk: Desk) -> None:
    desk.input()
    of = model(reads("bronze.raw"))
    desk.plan(of)
    # Meanwhile another run publishes the source, and the target from it.
    desk.built(raw=at(desk.lake.commit(RAW)))
    assert desk.plan(of).mode is Mode.NOTHING


def test_the_target_is_read_anew_for_every_plan(desk: Desk) -> None:
    head = desk.input()
    of = model(reads("bronze.raw"))
    assert desk.plan(of).mode is Mode.REBUILD
    desk.built(raw=at(head))
    assert desk.plan(of).mode is Mode.NOTHING


def test_a_state_is_read_once_a_run(desk: Desk) -> None:
    asked: list[TableRef] = []

    class Counting:
        def table(self, ref: TableRef) -> TableState | None:
            asked.append(ref)
            return desk.lake.catalog.table(ref)

        def tables(self) -> tuple[TableRef, ...]:
            raise AssertionError

    desk.input()
    catalog: Catalog = Counting()
    desk.pins = Pins(catalog, {})
    for name in ("silver.orders", "gold.sales"):
        desk.plan(model(reads("bronze.raw"), target=target(name)))
    assert asked.count(RAW) == 1


def test_a_source_finds_how_it_is_read(desk: Desk) -> None:
    desk.input()
    (desk.root / "in").mkdir()
    table, folder = reads("bronze.raw"), files("in")
    plan = desk.plan(model(folder, table))
    assert isinstance(plan.reading(table), TableRead)
    assert isinstance(plan.reading(folder), FilesRead)


def test_hidden_files_are_in_the_plan_to_be_told(desk: Desk) -> None:
    of = inbox(desk)
    (desk.root / "in" / ".part").write_text("1")
    assert desk.plan(of).files[0].hidden == list_files("in", root=desk.root, place=HERE).hidden != ()
