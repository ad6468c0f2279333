"""The SQL that stages a query's rows, and that of their quarantine: which rows are there, and how marked.

As in ``test_sql.py`` the text is run by SQLite where that means the same.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest
from sqlglot import exp

from runner.execute.sql import Staging, late_sql, old_keys_sql, quarantine_sql
from runner.spec import CheckKind, Dedupe, Drop, Late, Model, Severity
from tests.nouns import HERE, check, files, model, reads, target
from tests.on_sqlite import Row, parsed, run

full_joins = pytest.mark.skipif(
    sqlite3.sqlite_version_info < (3, 39), reason="this SQLite has no FULL JOIN; tests/spark runs the same"
)

# --- staging -------------------------------------------------------------------------------------

RETURNED = {"id": "string", "day": "date", "amount": "bigint", "arrival": "int", "kind": "string"}
SET_ASIDE = check(CheckKind.NOT_NULL, "has_day", of="day", severity=Severity.QUARANTINE)
POSITIVE = check(CheckKind.RANGE, "positive", of="amount", min=0)


def staging(of: Model | None = None, **given: Any) -> Staging:
    return Staging(
        of or model(checks=(SET_ASIDE, POSITIVE)), RETURNED, (SET_ASIDE, POSITIVE), rows="q", **given
    )


def row(
    id: str, day: str | None = "2026-01-01", amount: int = 1, arrival: int = 1, kind: str | None = "x"
) -> Row:
    return {"id": id, "day": day, "amount": amount, "arrival": arrival, "kind": kind}


def staged(of: Staging, rows: Sequence[Row], **tables: Sequence[Row]) -> list[Row]:
    parsed(of.sql())
    return sorted(run(of.sql(), {"q": rows, **tables}), key=lambda r: (str(r["id"]), r["arrival"] or 0))


def test_a_row_that_passes_is_staged_as_it_is() -> None:
    (found,) = staged(staging(), [row("a")])
    assert {c: found[c] for c in RETURNED} == row("a")
    assert (found["_mask"], found["_aside"], found["_gone"], found["_copies"]) == (0, 0, 0, 1)


def test_a_row_that_a_quarantine_check_finds_is_marked_and_a_row_that_an_error_finds_is_not() -> None:
    found = staged(staging(), [row("a", None), row("b", amount=-1), row("c", None, -1)])
    assert [(r["id"], r["_mask"], r["_aside"]) for r in found] == [("a", 1, 1), ("b", 2, 0), ("c", 3, 1)]


def test_dropped_rows_are_neither_checked_nor_staged_and_null_does_not_drop() -> None:
    of = model(drop=Drop("heartbeat", "kind = 'beat'", HERE), checks=(SET_ASIDE,))
    found = staged(staging(of), [row("a", None, kind="beat"), row("b"), row("c", kind=None)])
    assert [r["id"] for r in found] == ["b", "c"]
    assert staging(of).counts_read() == {
        "read": "count(1)",
        "dropped": "count_if(coalesce(kind = 'beat', false))",
    }
    assert staging().counts_read() == {"read": "count(1)"}


def test_of_rows_with_one_key_the_first_that_passed_stays() -> None:
    of = staging(model(dedupe=Dedupe(("arrival",), HERE), checks=(SET_ASIDE,)))
    rows = [row("a", None, arrival=1), row("a", amount=7, arrival=3), row("a", amount=5, arrival=2)]
    found = staged(of, rows)
    assert [(r["amount"], r["_aside"]) for r in found] == [(1, 1), (5, 0)], (
        "a row set aside hides no row that passed"
    )


def test_without_dedupe_rows_that_share_a_key_are_counted() -> None:
    found = staged(staging(), [row("a"), row("a", amount=2, arrival=2), row("a", None, arrival=3), row("b")])
    assert [(r["id"], r["_copies"]) for r in found] == [("a", 2), ("a", 2), ("a", 1), ("b", 1)]


def test_only_rows_of_touched_groups_are_staged() -> None:
    of = staging(groups="g", group_columns=("day",))
    found = staged(
        of, [row("a"), row("b", "2026-01-02"), row("c", None)], g=[{"day": "2026-01-02"}, {"day": None}]
    )
    assert [r["id"] for r in found] == ["b", "c"]


@full_joins
def test_an_old_key_that_is_not_produced_now_is_a_tombstone() -> None:
    of = staging(old_keys="o")
    found = staged(of, [row("a"), row("b")], o=[{"id": "b", "_was": "p1"}, {"id": "gone", "_was": "p2"}])
    assert [(r["id"], r["_gone"], r["_was"]) for r in found] == [
        ("a", 0, None),
        ("b", 0, "p1"),
        ("gone", 1, "p2"),
    ]
    tombstone = found[2]
    assert (tombstone["amount"], tombstone["_mask"], tombstone["_aside"], tombstone["_copies"]) == (
        None,
        0,
        0,
        1,
    )


@full_joins
def test_an_old_key_whose_row_is_set_aside_leaves_the_target() -> None:
    found = staged(staging(old_keys="o"), [row("a", None)], o=[{"id": "a", "_was": "p1"}])
    assert sorted((r["_aside"], r["_gone"]) for r in found) == [(0, 1), (1, 0)]


@full_joins
def test_null_is_a_key_like_any_other() -> None:
    found = staged(staging(old_keys="o"), [{**row("a"), "id": None}], o=[{"id": None, "_was": "p1"}])
    assert [(r["id"], r["_gone"], r["_was"]) for r in found] == [(None, 0, "p1")]


def test_a_key_that_is_held_in_quarantine_is_marked_where_it_passes_now() -> None:
    of = staging(held="h")
    rows = [row("a"), row("b", None), row("c")]
    found = staged(of, rows, h=[{"id": "a", "_in_quarantine": True}, {"id": "b", "_in_quarantine": True}])
    assert [(r["id"], r["_held"]) for r in found] == [("a", 1), ("b", 0), ("c", 0)]


def test_the_counts_that_the_gate_needs() -> None:
    of = staging()
    rows = [
        row("a"),
        row("a", arrival=2),
        row("b", None),
        row("c", amount=-1),
        row("d", None, -1),
        row("b", None),
    ]
    aggregates = ", ".join(f"{sql} AS `{name}`" for name, sql in of.counts_staged().items())
    (counts,) = run(f"SELECT {aggregates} FROM ({of.sql()})", {"q": rows})
    assert counts == {
        "kept": 3,
        "aside": 3,
        "tombstones": 0,
        "duplicates": 2,
        "split": 0,
        "check_0": 3,
        "check_1": 1,  # of the two, one is set aside
    }


def test_partitions_are_collected_of_rows_that_stay_and_of_what_was() -> None:
    of = model(target=target(partitions=("day",)))
    counts = staging(of).counts_staged()
    assert counts["parts"] == (
        "collect_set(CASE WHEN NOT _gone AND NOT _aside THEN struct(CAST(`day` AS STRING) AS `day`) END)"
    )
    assert "was" not in counts
    assert staging(of, old_keys="o").counts_staged()["was"] == "collect_set(_was)"
    assert staging(of, held="h").counts_staged()["leaving"] == "count_if(_held)"


def test_a_fixed_partition_is_compared_within_a_key() -> None:
    fixed = staging(model(target=target(partitions=("day",), partitions_fixed=True)))
    assert "(min(struct(`day`)) OVER" in fixed.sql()
    parsed(fixed.sql())
    assert "false AS _split" in staging(model(target=target(partitions=("day",)))).sql()


def test_old_keys_are_one_row_a_key_with_the_partitions_they_had() -> None:
    of = model(target=target(partitions=("day", "id")))
    assert old_keys_sql(of, ["a", "b"]) == (
        "SELECT `id`, collect_set(struct(CAST(`day` AS STRING) AS `day`, CAST(`id` AS STRING) AS `id`))"
        " AS _was"
        " FROM (SELECT `id`, `day` FROM a UNION ALL SELECT `id`, `day` FROM b) GROUP BY `id`"
    )
    parsed(old_keys_sql(model(), ["a"]))


def test_failed_checks_are_named() -> None:
    sql = staging().failed_checks()
    assert "(_mask & 1L) <> 0 THEN 'has_day'" in sql
    assert "(_mask & 2L) <> 0 THEN 'positive'" in sql
    parsed(f"SELECT {sql}")


def test_late_rows_are_counted_against_earlier_arrivals_and_earlier_runs() -> None:
    sql = late_sql("__staged", "at", ["arrival"], 300, "2026-01-01 00:00:00")
    parsed(sql)
    assert "ORDER BY `arrival` ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING" in sql
    assert "greatest(" in sql
    assert "TIMESTAMP'2026-01-01 00:00:00'" in sql
    assert "make_dt_interval(0, 0, 0, 300)" in sql
    assert "greatest(" not in late_sql("__staged", "at", ["arrival"], 300, None)
    late = staging(model(late=Late("at", dt.timedelta(minutes=5), HERE))).counts_staged()
    assert late["late_max"] == "CAST(max(CASE WHEN NOT _gone AND NOT _aside THEN `at` END) AS STRING)"


# --- quarantine ----------------------------------------------------------------------------------


def kept_aside(of: Model, *, rebuild: bool = False) -> exp.Merge:
    sql = quarantine_sql(
        staging(of), staged="s0", target="lake.s.t", quarantine="lake.s.q", run_id="r1", rebuild=rebuild
    )
    merge = parsed(sql)
    assert isinstance(merge, exp.Merge)
    return merge


def clauses(merge: exp.Merge) -> list[str]:
    return [when.sql("spark").split(" THEN ")[1].split(" ")[0] for when in merge.args["whens"].expressions]


def test_a_quarantine_gains_loses_and_mends_rows() -> None:
    merge = kept_aside(model(reads("bronze.raw"), checks=(SET_ASIDE,)))
    assert clauses(merge) == ["DELETE", "UPDATE", "INSERT"]
    assert "lake.s.t" not in merge.sql("spark"), "a rebuilt target is not asked"
    assert "NOT MATCHED BY SOURCE" not in merge.sql("spark")


def test_a_rebuild_removes_what_its_rows_do_not_explain() -> None:
    merge = kept_aside(model(reads("bronze.raw"), checks=(SET_ASIDE,)), rebuild=True)
    assert clauses(merge) == ["DELETE", "UPDATE", "INSERT", "DELETE"]
    assert "NOT MATCHED BY SOURCE" in merge.sql("spark")


def test_rows_that_are_read_once_are_never_mended_and_the_target_says_what_passed_before() -> None:
    merge = kept_aside(model(files("in"), checks=(SET_ASIDE,)))
    assert clauses(merge) == ["DELETE", "INSERT"]
    assert "lake.s.t AS t" in merge.sql("spark")


#: Staged rows: a passes, b is set aside, c passes and is set aside, d is gone, e is set aside twice.
STAGED = [
    {**row("a"), "_mask": 0, "_aside": False, "_gone": False},
    {**row("b", None), "_mask": 1, "_aside": True, "_gone": False},
    {**row("c"), "_mask": 0, "_aside": False, "_gone": False},
    {**row("c", None, arrival=2), "_mask": 1, "_aside": True, "_gone": False},
    {**row("d"), "_mask": 0, "_aside": False, "_gone": True},
    {**row("e", None, amount=2, arrival=2), "_mask": 1, "_aside": True, "_gone": False},
    {**row("e", None, amount=1, arrival=1), "_mask": 1, "_aside": True, "_gone": False},
]


def moved(of: Model, **tables: Sequence[Row]) -> dict[str, tuple[bool, int | None]]:
    """Key → whether it enters the quarantine, and the amount of the row that does."""
    source = kept_aside(of).args["using"].this.copy()
    for call in source.find_all(exp.Func):
        if call.sql_name().lower() in ("array_compact", "anonymous") and "array" in call.sql("spark").lower():
            call.replace(exp.Literal.string("names"))
    sql = source.sql("spark").replace("AS ARRAY<STRING>", "AS STRING")
    return {r["id"]: (bool(r["_aside"]), r["amount"]) for r in run(sql, {"s0": STAGED, **tables})}


def test_what_failed_enters_unless_its_key_passed_and_what_passed_or_is_gone_leaves() -> None:
    of = model(reads("bronze.raw"), dedupe=Dedupe(("arrival",), HERE), checks=(SET_ASIDE,))
    assert moved(of) == {
        "a": (False, None),
        "b": (True, 1),
        "c": (False, None),
        "d": (False, None),
        "e": (True, 1),
    }
