"""What maintenance decides from metadata: which snapshots go, who still needs them, what is said."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest

from runner import ledger
from runner.engine import Compacted
from runner.ledger import InputPosition, Position
from runner.maintain import Job, Settings, Upkeep, cutoff, due, expirable, needed, read_by_all
from runner.refs import TableRef
from runner.spec import Retention
from tests.nouns import target
from tests.paper import PaperLake

RAW, ORDERS = TableRef("bronze", "raw"), TableRef("silver", "orders")
DAY = dt.timedelta(days=1)
#: The paper lake's clock starts here and ticks a millisecond a commit.
START = dt.datetime.fromtimestamp(1_700_000_000, dt.UTC)
NOW = START + 30 * DAY


@pytest.fixture
def lake(tmp_path: Path) -> PaperLake:
    found = PaperLake(tmp_path)
    for table in (RAW, ORDERS):
        found.create(table, {"id": "string", "day": "date"})
    return found


def position(**inputs: int) -> dict[str, str]:
    read = {name: InputPosition(snapshot=snapshot) for name, snapshot in inputs.items()}
    return Position("r1", "silver.orders", "f1", "0.1.0", read).properties()


def gone(lake: PaperLake, table: TableRef = RAW, **given: object) -> tuple[list[int], list[int]]:
    settings = Settings(**{"expire_older_than": DAY, "keep": 1, **given})  # type: ignore[arg-type]
    doomed, spared = expirable(lake.state(str(table)), settings, NOW, needed(lake.catalog))
    return sorted(s.id for s in doomed), sorted(s.id for s in spared)


def test_old_snapshots_go_and_the_newest_stay(lake: PaperLake) -> None:
    ids = [lake.commit(RAW) for _ in range(5)]
    assert gone(lake) == (ids[:4], [])
    assert gone(lake, keep=3) == (ids[:2], [])
    assert gone(lake, expire_older_than=60 * DAY) == ([], [])


def test_age_counts_from_when_another_snapshot_took_its_place(lake: PaperLake) -> None:
    old = lake.commit(RAW)
    lake.commit(RAW)
    lake.commit(RAW)
    document = lake.metadata[RAW]
    # The first was current for a month: a run may be reading it still.
    document["snapshots"][1]["timestamp-ms"] = int(NOW.timestamp() * 1000) - 5
    lake.write(RAW)
    assert old not in gone(lake)[0]


def test_what_a_consumer_starts_from_stays_on_every_branch(lake: PaperLake) -> None:
    ids = [lake.commit(RAW) for _ in range(5)]
    first = lake.commit(ORDERS, position(raw=ids[1]))
    lake.branch(ORDERS, "dev", first)
    lake.commit(ORDERS, position(raw=ids[2]), branch="dev")
    assert needed(lake.catalog) == {ids[1], ids[2]}
    assert gone(lake) == ([ids[0], ids[3]], [ids[1], ids[2]])
    assert read_by_all(lake.state("bronze.raw"), needed(lake.catalog)) == 2


def test_between_a_branch_and_main_no_snapshot_goes(lake: PaperLake) -> None:
    """Main follows a branch only along an unbroken chain; and of a branch that has left it, too."""
    old = lake.commit(RAW)
    main = lake.commit(RAW)
    lake.branch(RAW, "dev", main)
    for _ in range(3):
        lake.commit(RAW, branch="dev")
    assert gone(lake) == ([old], [])
    lake.commit(RAW)
    assert gone(lake) == ([old, main], [])


def test_branches_and_tags_stay_with_what_they_stand_at(lake: PaperLake) -> None:
    ids = [lake.commit(RAW) for _ in range(4)]
    lake.branch(RAW, "audited", ids[1])
    assert gone(lake) == ([ids[0], ids[2]], [])


def test_whoever_carries_the_position_or_the_word_of_a_retention_stays(lake: PaperLake) -> None:
    head = lake.commit(RAW)
    carrier = lake.commit(ORDERS, position(raw=head))
    word = lake.commit(
        ORDERS, {ledger.RETENTION: '{"column":"day","before":"2023-01-01"}'}, operation="delete"
    )
    by_hand = lake.commit(ORDERS)
    lake.commit(ORDERS)
    assert gone(lake, ORDERS) == ([by_hand], [])
    assert {carrier, word} <= set(lake.state("silver.orders").snapshots)


def test_snapshots_that_a_rollback_left_go_by_their_own_age(lake: PaperLake) -> None:
    first, second = lake.commit(RAW), lake.commit(RAW)
    lake.rollback("bronze.raw", first)
    assert gone(lake) == ([second], [])


def test_settings_are_the_declared_ones_and_else_the_usual() -> None:
    declared = {"compact": {"target_file_size": "64MB"}, "expire": {"keep": 3}}
    found = Settings.of(target(maintenance=declared))
    assert (found.target_bytes, found.keep, found.expire_older_than) == (64 * 1024**2, 3, 7 * DAY)


def test_the_edge_of_a_retention_is_a_day_in_utc() -> None:
    late = dt.datetime(2026, 11, 25, 23, 30, tzinfo=dt.timezone(-dt.timedelta(hours=8)))
    assert cutoff(Retention("day", 90 * DAY), late) == "2026-08-28"


@pytest.mark.parametrize(
    ("upkeep", "said"),
    [
        (lambda: Upkeep(RAW), "nothing to do"),
        (
            lambda: Upkeep(RAW, compacted=Compacted(412, 31, 3 * 1024**2), expired=40, spared=1, orphans=3),
            (
                "412 files (3.0 MB) compacted into 31 | 40 snapshots expired (1 more are needed by consumers)"
                " | 3 orphan files removed"
            ),
        ),
        (
            lambda: Upkeep(RAW, retained_before="2026-08-27", rows_removed=3000, compaction_refused=True),
            "3,000 rows before 2026-08-27 left | not compacted: a writer came first",
        ),
        (
            lambda: Upkeep(RAW, retained_before="2026-08-27", unread=True),
            "rows before 2026-08-27 stay until its consumers have read them",
        ),
    ],
)
def test_it_says_what_was_won(upkeep: Callable[[], Upkeep], said: str) -> None:
    assert upkeep().describe() == said


def test_a_dry_run_tells_what_is_due(lake: PaperLake) -> None:
    assert due(Job(RAW, Settings()), lake.catalog, NOW) == "empty"
    for _ in range(12):
        lake.commit(RAW, {"total-data-files": "12"})
    job = Job(RAW, Settings(keep=10), Retention("day", 90 * DAY))
    edge = cutoff(Retention("day", 90 * DAY), NOW)
    assert due(job, lake.catalog, NOW) == (
        f"12 files | 2 of 12 snapshots to expire | rows before {edge} (day) leave"
    )


def test_a_carried_position_counts_only_where_the_original_is_gone(lake: PaperLake) -> None:
    first = lake.commit(ORDERS, position(raw=1))
    carried = ledger.carry(lake.state("silver.orders"))
    assert carried[ledger.CARRIED] == str(first)
    second = lake.commit(ORDERS, position(raw=2))
    # The compaction started before the second run published, and was committed after it.
    lake.commit(ORDERS, carried, operation="replace")
    assert ledger.position(lake.state("silver.orders")).inputs["raw"].snapshot == 2  # type: ignore[union-attr]
    found = ledger.carry(lake.state("silver.orders"))
    assert found[ledger.CARRIED] == str(second)
    lake.commit(ORDERS, found, operation="replace")
    lake.expire("silver.orders", first, second)
    assert ledger.position(lake.state("silver.orders")).inputs["raw"].snapshot == 2  # type: ignore[union-attr]


def test_after_a_reset_no_older_position_counts(lake: PaperLake) -> None:
    lake.commit(ORDERS, position(raw=1))
    lake.commit(ORDERS, {ledger.RESET: "true"}, operation="delete")
    assert ledger.position(lake.state("silver.orders")) is None
