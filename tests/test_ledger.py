"""The commits of a target say what it has consumed, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import ledger
from runner.catalog import Snapshot
from runner.ledger import InputPosition, Position
from runner.refs import TableRef
from tests.paper import PaperLake

ORDERS = TableRef("silver", "orders")


@pytest.fixture
def lake(tmp_path: Path) -> PaperLake:
    lake = PaperLake(tmp_path)
    lake.create(ORDERS, {"id": "string"})
    return lake


def at(snapshot: int, run: str = "r1") -> dict[str, str]:
    """Commit properties of a run that consumed ``snapshot``."""
    inputs = {"raw": InputPosition(snapshot=snapshot, sequence=snapshot)}
    return Position(run, "silver.orders", "f1", "0.1.0", inputs).properties()


def consumed(lake: PaperLake, branch: str = "main") -> int | None:
    position = ledger.position(lake.catalog.table(ORDERS), branch)
    return position.inputs["raw"].snapshot if position else None


def test_a_table_that_is_not_there_or_empty_has_consumed_nothing(lake: PaperLake) -> None:
    assert ledger.position(None) is None
    assert ledger.position(lake.catalog.table(ORDERS)) is None


def test_the_newest_commit_says_what_was_consumed(lake: PaperLake) -> None:
    lake.commit(ORDERS, at(1))
    lake.commit(ORDERS, at(2))
    assert consumed(lake) == 2


def test_commits_of_others_and_compactions_are_walked_past(lake: PaperLake) -> None:
    lake.commit(ORDERS, at(1))
    lake.commit(ORDERS, operation="overwrite")
    lake.commit(ORDERS, operation="replace")
    # Our own commits without a position, as maintenance may make them.
    lake.commit(ORDERS, {ledger.RUN_ID: "r2", ledger.MODEL: "silver.orders"})
    assert consumed(lake) == 1


def test_a_rollback_brings_the_older_position_back_with_the_older_rows(lake: PaperLake) -> None:
    first = lake.commit(ORDERS, at(1))
    lake.commit(ORDERS, at(2))
    lake.rollback("silver.orders", first)
    assert consumed(lake) == 1
    lake.commit(ORDERS)
    assert consumed(lake) == 1, "the snapshot that was rolled back is no ancestor"


def test_a_branch_has_a_position_of_its_own(lake: PaperLake) -> None:
    first = lake.commit(ORDERS, at(1))
    lake.branch(ORDERS, "dev", first)
    lake.commit(ORDERS, at(7), branch="dev")
    lake.commit(ORDERS, at(2))
    assert (consumed(lake), consumed(lake, "dev"), consumed(lake, "none")) == (2, 7, None)


def test_a_table_that_others_made_has_no_position(lake: PaperLake) -> None:
    lake.commit(ORDERS, rows=10)
    assert consumed(lake) is None


def test_where_the_commits_that_carried_positions_are_expired_nothing_is_known(lake: PaperLake) -> None:
    first = lake.commit(ORDERS, at(1))
    lake.commit(ORDERS)
    lake.expire("silver.orders", first)
    assert consumed(lake) is None


names = st.text(min_size=1, max_size=8)
ids = st.none() | st.integers(0, 2**63 - 1)
texts = st.none() | st.text(max_size=8)
positions = st.builds(
    Position,
    run_id=names,
    model=names,
    fingerprint=names,
    code_version=names,
    inputs=st.dictionaries(
        names, st.builds(InputPosition, snapshot=ids, sequence=ids, manifest=texts, digest=texts), max_size=3
    ),
    maxima=st.dictionaries(names, st.text(max_size=8), max_size=3),
)


@given(positions)
def test_a_position_comes_back_from_its_properties_as_it_was(position: Position) -> None:
    properties = position.properties()
    assert all(isinstance(value, str) for value in properties.values())
    assert ledger.parse(Snapshot(1, None, 1, 0, {"operation": "append", **properties})) == position


def test_counts_are_those_of_the_merge() -> None:
    counts = {
        f"spark.merge-into.num-target-rows-{what}": str(n)
        for n, what in enumerate(("inserted", "updated", "deleted"), 5)
    }
    merged = Snapshot(1, None, 1, 0, {"operation": "overwrite", "added-records": "99", **counts})
    assert ledger.merge_counts(merged) == (5, 6, 7)


def test_an_insert_only_merge_is_an_append_and_counts_its_records() -> None:
    appended = Snapshot(1, None, 1, 0, {"operation": "append", "added-records": "12"})
    assert ledger.merge_counts(appended) == (12, 0, 0)
    assert ledger.merge_counts(None) == (0, 0, 0)
