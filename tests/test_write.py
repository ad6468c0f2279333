"""Which rows of the target a MERGE looks at, and the position that its commit carries."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runner.catalog import Snapshot
from runner.code_store import CodeStore
from runner.execute import Run, Staged
from runner.execute.fit import Change
from runner.execute.sql import Staging
from runner.execute.write import position_of, pruning
from runner.files import InputFile, ManifestStore
from runner.ledger import InputPosition, Position
from runner.plan import Mode, ModelPlan
from runner.reads import FilesRead, TableRead
from runner.refs import TableRef
from runner.spec import Model, Read
from tests.nouns import consumed, files, model, reads, rendered, target

JAN, FEB = "2026-01-01", "2026-02-01"  # values come as Spark prints them
#: New rows lie in January, and one of their keys lay in February, in a partition without a region.
COUNTS: Mapping[str, Any] = {"parts": [(JAN, "north")], "was": [[(FEB, None)]]}


def staged(
    of: Model, mode: Mode = Mode.INCREMENTAL, counts: Mapping[str, Any] = COUNTS, **given: Any
) -> Staged:
    plan = ModelPlan(of, rendered(), mode, "", given.pop("tables", ()), given.pop("read", ()), None, None)
    read = given.pop("consumed", {})
    return Staged(plan, "__staged", Staging(of, {}, ()), (), counts, Change(), read, **given)


def partitioned(key: tuple[str, ...] = ("id",), *, fixed: bool = False, **given: Any) -> Model:
    columns = {"id": "string", "day": "date", "region": "string"}
    to = target(columns=columns, key=key, partitions=("day", "region"), partitions_fixed=fixed)
    return model(reads("bronze.raw"), target=to, **given)


# --- pruning -------------------------------------------------------------------------------------


def test_an_incremental_run_looks_at_the_new_and_the_old_partitions() -> None:
    assert pruning(staged(partitioned())) == (
        "((t.`day` IN (DATE'2026-01-01') AND t.`region` = 'north')"
        " OR (t.`day` IN (DATE'2026-02-01') AND t.`region` IS NULL))"
    )


def test_a_rebuild_looks_at_the_whole_target() -> None:
    assert pruning(staged(partitioned(fixed=True), Mode.REBUILD)) == ""


@pytest.mark.parametrize("given", [{"on_change": "keep"}, {"history": True}])
def test_where_old_rows_may_lie_elsewhere_nothing_is_left_out(given: dict[str, Any]) -> None:
    # Rows of older code, or of clauses of its own, may lie where the old images do not say.
    assert pruning(staged(partitioned(**given))) == ""


def test_partitions_that_are_part_of_the_key_are_exact_always() -> None:
    of = partitioned(("id", "day"), on_change="keep")
    assert pruning(staged(of)) == "t.`day` IN (DATE'2026-01-01', DATE'2026-02-01')"


def test_rows_that_are_appended_are_pruned_by_fixed_partitions_only() -> None:
    counts = {"parts": [(JAN, "north")]}
    assert pruning(staged(partitioned(fixed=True), Mode.APPEND, counts)).startswith(
        "((t.`day` IN (DATE'2026-01-01')"
    )
    assert pruning(staged(partitioned(), Mode.APPEND, counts)) == ""


def test_without_a_row_no_partition_is_looked_at() -> None:
    assert pruning(staged(partitioned(), counts={"parts": []})) == "false"


# --- position ------------------------------------------------------------------------------------


def position(tmp_path: Path, of: Staged) -> Position:
    store = ManifestStore(tmp_path)
    return position_of(
        of, Run("r2", "2026-01-01 00:00:00.000", str(tmp_path), "0.1.0", store, CodeStore(tmp_path / "code"))
    )


def test_a_table_is_consumed_up_to_the_snapshot_that_was_read(tmp_path: Path) -> None:
    source = reads("bronze.raw")
    read = TableRead(source, TableRef("bronze", "raw"), Snapshot(12, 11, 5, 0, {}), since=11)
    found = position(tmp_path, staged(model(source), tables=(read,)))
    assert found == Position(
        "r2", "silver.orders", "f1", "0.1.0", {"raw": InputPosition(snapshot=12, sequence=5)}
    )


def test_files_that_were_read_join_those_consumed_before(tmp_path: Path) -> None:
    source = files("in")
    old, new = consumed("/in/a"), consumed("/in/b")
    read = FilesRead(source, (InputFile(1, "/in/b", 1),), {"/in/a": old}, total=2)
    found = position(tmp_path, staged(model(source), read=(read,), consumed={"inbox": (new,)}))
    manifest = found.inputs["inbox"].manifest
    assert manifest is not None
    assert ManifestStore(tmp_path).read(manifest) == {"/in/a": old, "/in/b": new}


def test_files_that_are_read_whole_are_known_by_their_content(tmp_path: Path) -> None:
    source = files("rates.csv", Read.ALL, name="rates", format="csv")
    read = FilesRead(source, (), {}, total=1, digest="d1")
    assert position(tmp_path, staged(model(source), read=(read,))).inputs == {
        "rates": InputPosition(digest="d1")
    }


def test_the_highest_times_seen_are_remembered_with_it(tmp_path: Path) -> None:
    maxima = {"at": "2026-01-02 00:00:00"}
    of = staged(model(), maxima=maxima)
    assert position(tmp_path, of).maxima == maxima
