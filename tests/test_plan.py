"""What a run will read and why, decided from metadata alone."""

from __future__ import annotations

import pytest

from runner.catalog import Catalog, TableState
from runner.engine import Amount
from runner.files import list_files
from runner.inputs import Pins
from runner.ledger import InputPosition
from runner.plan import Mode
from runner.reads import FilesRead, Method, TableRead
from runner.refs import TableRef
from runner.spec import Read
from tests.desk import ORDERS, RATES, RAW, Desk, at, inbox, outcome
from tests.nouns import HERE, files, model, reads, target

# --- nothing, incremental -------------------------------------------------------------------------


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


# --- rebuilds -------------------------------------------------------------------------------------


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


# --- pins -----------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("rows", "amount"), [(30_000, Amount.HANDFUL), (30_001, Amount.FEW), (1_000_001, Amount.MANY)]
)
def test_how_much_is_read_is_told_by_metadata(desk: Desk, rows: int, amount: Amount) -> None:
    desk.input(rows=rows)
    assert desk.plan(model(reads("bronze.raw"))).amount is amount
