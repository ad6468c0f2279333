"""The way back of every table of a run, found in metadata."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import ledger
from runner.errors import ProjectError
from runner.ledger import InputPosition, Position
from runner.refs import TableRef
from runner.rollback import refuse_foreign, steps_of_run, steps_to
from tests.paper import PaperLake

ORDERS, ASIDE = TableRef("silver", "orders"), TableRef("silver", "orders__quarantine")


@pytest.fixture
def lake(tmp_path: Path) -> PaperLake:
    found = PaperLake(tmp_path)
    for table in (ORDERS, ASIDE):
        found.create(table, {"id": "string"})
    return found


def by(run: str) -> dict[str, str]:
    return Position(run, "silver.orders", "f1", "0.1.0", {"raw": InputPosition(snapshot=1)}).properties()


def test_every_table_of_the_run_goes_back_to_before_its_first_commit_of_it(lake: PaperLake) -> None:
    empty = lake.commit(ORDERS)
    lake.commit(ORDERS, by("r1"), rows=5)
    lake.commit(ORDERS, by("r2"), rows=9)
    lake.commit(ASIDE, {ledger.RUN_ID: "r1"}, rows=1)
    orders, aside = steps_of_run(lake.catalog, "r1")
    assert (orders.table, orders.to and orders.to.id, orders.runs) == (ORDERS, empty, ("r2", "r1"))
    assert (aside.table, aside.to) == (ASIDE, None)
    assert "9 → 0 rows" in orders.describe()
    assert "undoes r2, r1" in orders.describe()
    assert "none (emptied)" in aside.describe()


def test_compactions_are_not_taken_for_the_run_whose_position_they_carry(lake: PaperLake) -> None:
    first = lake.commit(ORDERS, by("r1"))
    lake.commit(ORDERS, ledger.carry(lake.state("silver.orders")), operation="replace")
    lake.commit(ORDERS, by("r2"))
    (step,) = steps_of_run(lake.catalog, "r2")
    assert step.to is not None
    assert step.to.parent == first
    refuse_foreign([step])


def test_an_unknown_run_names_those_there_are(lake: PaperLake) -> None:
    lake.commit(ORDERS, by("20261125T120000_aaaaaa"))
    with pytest.raises(ProjectError, match="did you mean '20261125T120000_aaaaaa'"):
        steps_of_run(lake.catalog, "20261125T120000_aaaaab")


def test_what_is_expired_cannot_be_gone_back_to(lake: PaperLake) -> None:
    first = lake.commit(ORDERS, by("r1"))
    lake.commit(ORDERS, by("r2"))
    lake.expire("silver.orders", first)
    with pytest.raises(ProjectError, match="is expired"):
        steps_of_run(lake.catalog, "r2")


def test_commits_of_others_are_refused_by_name(lake: PaperLake) -> None:
    lake.commit(ORDERS)
    lake.commit(ORDERS, by("r1"))
    by_hand = lake.commit(ORDERS, operation="overwrite")
    (step,) = steps_of_run(lake.catalog, "r1")
    assert [s.id for s in step.foreign] == [by_hand]
    with pytest.raises(ProjectError, match="--force"):
        refuse_foreign([step])


def test_to_a_snapshot_the_quarantine_follows_as_far_as_the_same_runs_wrote_it(lake: PaperLake) -> None:
    first = lake.commit(ORDERS, by("r1"))
    aside = lake.commit(ASIDE, {ledger.RUN_ID: "r1"})
    later = lake.commit(ORDERS, by("r2"))
    lake.commit(ASIDE, {ledger.RUN_ID: "r2"})
    steps = steps_to(lake.catalog, first, None)
    assert [(s.table, s.to and s.to.id) for s in steps] == [(ORDERS, first), (ASIDE, aside)]
    # And forward again: a snapshot that is no ancestor any more is as good.
    lake.rollback("silver.orders", first)
    (forward,) = steps_to(lake.catalog, later, ORDERS)
    assert (forward.to and forward.to.id, forward.undone) == (later, ())


def test_a_run_on_a_branch_is_dropped_with_it_and_not_rolled_back(lake: PaperLake) -> None:
    main = lake.commit(ORDERS, by("r1"))
    lake.branch(ORDERS, "dev", main)
    word = ledger.branched(lake.state("silver.orders"), "dev")
    dev = lake.commit(ORDERS, by("r2") | word, branch="dev")
    with pytest.raises(ProjectError, match=r"run 'r2' wrote the branch 'dev'.*main holds nothing"):
        steps_of_run(lake.catalog, "r2")
    with pytest.raises(ProjectError, match="belongs to the branch 'dev'"):
        steps_to(lake.catalog, dev, ORDERS)
    # Main's runs go back as before; the branch stays where it is.
    (step,) = steps_of_run(lake.catalog, "r1")
    assert (step.since.id, step.to) == (main, None)
    assert lake.head("silver.orders", "dev") == dev


def test_a_snapshot_that_no_table_has(lake: PaperLake) -> None:
    lake.commit(ORDERS)
    with pytest.raises(ProjectError, match="no table has a snapshot 7"):
        steps_to(lake.catalog, 7, None)
    with pytest.raises(ProjectError, match=r"silver\.orders has no snapshot 7"):
        steps_to(lake.catalog, 7, ORDERS)
