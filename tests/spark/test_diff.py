"""What `runner diff` says of random histories, against the same comparison in plain Python."""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from runner.diff import Asked, Compared, differences
from runner.diff_text import row_values, values
from runner.refs import TableRef
from tests.lab import Lab

TABLE = TableRef("ext", "things")
COLUMNS = {
    "id": "bigint",
    "part": "string",
    "amount": "double",
    "day": "date",
    "tags": "array<string>",
    "place": "struct<x:int,y:string>",
    "notes": "map<string,int>",
}
KEY = ("id", "part")


def row_of(chance: random.Random) -> str:
    """The values of a row as SQL; NULL anywhere, and often what another row has, too."""

    def one(*choices: str) -> str:
        return chance.choice(("NULL", *choices))

    values = (
        one(*"123"),
        one("'a'"),
        one("0.0D", "-0.0D", "1.5D", "double('NaN')"),
        one("DATE'2026-10-01'", "DATE'0001-01-01'"),
        one("array()", "array(NULL)", "array('t')"),
        one("named_struct('x', 1, 'y', NULL)"),
        one("map()", "map('k', 1)"),
    )
    return f"({', '.join(values)})"


def steps(chance: random.Random) -> list[str]:
    """Kinds of commits, each more than once, in any order after a first insert."""
    found = ["insert"] * 5 + ["update"] * 3 + ["delete", "swap", "compact", "rollback"] * 2
    chance.shuffle(found)
    return ["insert", *found]


def step(lab: Lab, chance: random.Random, kind: str) -> None:
    """One commit on the table."""
    name = str(TABLE)
    match kind:
        case "insert":
            rows = ", ".join(row_of(chance) for _ in range(chance.randrange(3, 9)))
            lab.sql(f"INSERT INTO {name} SELECT {casts()} FROM VALUES {rows} AS v({', '.join(COLUMNS)})")
        case "update":
            lab.sql(f"UPDATE {name} SET amount = 2.5, tags = array('u') WHERE id % 3 = {chance.randrange(3)}")
        case "delete":
            lab.sql(f"DELETE FROM {name} WHERE id = {chance.randrange(1, 4)} AND part IS NULL")
        case "swap":  # the same rows, with other ids
            rows = lab.sql(f"SELECT count(1) AS n FROM {name} WHERE id = 2")
            if rows[0]["n"]:
                lab.sql(f"CREATE OR REPLACE TEMP VIEW kept AS SELECT * FROM parquet.`{dump(lab, name)}`")
                lab.sql(f"DELETE FROM {name} WHERE id = 2")
                lab.sql(f"INSERT INTO {name} SELECT * FROM kept")
        case "compact":
            lab.sql(
                f"CALL lake.system.rewrite_data_files(table => '{name}',"
                " options => map('rewrite-all', 'true'))"
            )
        case "rollback":
            state = lab.lake.catalog.table(TABLE)
            head = state.head() if state else None
            if head and head.parent:
                lab.keeper().set_head(TABLE, head.parent)


def casts() -> str:
    return ", ".join(f"CAST({c} AS {of}) AS {c}" for c, of in COLUMNS.items())


def dump(lab: Lab, name: str) -> str:
    folder = str(lab.folder / f"dump-{len(list(lab.folder.iterdir()))}")
    lab.engine().spark.sql(f"SELECT * FROM {name} WHERE id = 2").write.parquet(folder)  # type: ignore[attr-defined]
    return folder


def rows_at(lab: Lab, snapshot: int) -> list[dict[str, Any]]:
    return lab.sql(
        f"SELECT id, part, amount, CAST(day AS STRING) AS day, tags, place, to_json(notes) AS notes"
        f" FROM {TABLE} VERSION AS OF {snapshot}"
    )


def plainly(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows added, removed and changed by key; -0.0 is 0.0, and NaN is NaN."""

    def texts(rows: list[dict[str, Any]]) -> Counter[str]:
        return Counter(json.dumps({**row, "amount": _number(row["amount"])}) for row in rows)

    left, right = texts(old), texts(new)
    sides = [[json.loads(text) for text in side.elements()] for side in (left - right, right - left)]
    keyed: list[dict[str, list[dict[str, Any]]]] = [{}, {}]
    for side, rows in zip(keyed, sides, strict=True):
        for row in rows:
            side.setdefault(json.dumps([row[c] for c in KEY]), []).append(row)
    found: dict[str, Any] = {"added": 0, "removed": 0, "changed": 0, "sharing_a_key": 0}
    columns: Counter[str] = Counter()
    for key in {*keyed[0], *keyed[1]}:
        gone, come = keyed[0].get(key, []), keyed[1].get(key, [])
        found["added"] += max(0, len(come) - len(gone))
        found["removed"] += max(0, len(gone) - len(come))
        found["changed"] += min(len(gone), len(come))
        found["sharing_a_key"] += max(len(gone), len(come)) - 1
        if len(gone) == len(come) == 1:
            columns.update(c for c in COLUMNS if gone[0][c] != come[0][c])
    if not found["sharing_a_key"]:
        found["changed_columns"] = dict(columns)
    return found


def _number(value: float | None) -> float | str | None:
    return value if value is None else "NaN" if value != value else value + 0.0


def compared(lab: Lab, **asked: Any) -> Compared:
    (found,) = differences(lab.project(), lab.lake.catalog, Asked(str(TABLE), **asked), lab.engine)
    return found


@pytest.mark.parametrize("version", [3, 2])
def test_a_difference_is_that_of_plain_python(spark: SparkSession, tmp_path: Path, version: int) -> None:
    chance = random.Random(version)
    lab = Lab(spark, tmp_path)
    lab.engine().create_table(TABLE, COLUMNS, format_version=version)
    for kind in steps(chance):
        step(lab, chance, kind)
    state = lab.lake.catalog.table(TABLE)
    assert state is not None
    ids = list(state.snapshots)
    kinds: Counter[str] = Counter()
    neighbours = list(pairwise(ids))
    for since, until in (*chance.sample(neighbours, k=8), *(chance.sample(ids, k=2) for _ in range(8))):
        expected = plainly(rows_at(lab, since), rows_at(lab, until))
        found = values(compared(lab, since=str(since), until=str(until), key=KEY))
        assert {name: found[name] for name in expected} == expected, (since, until)
        kinds.update({name: 1 for name in ("added", "removed", "changed", "sharing_a_key") if found[name]})
    assert all(kinds[name] for name in ("added", "removed", "changed", "sharing_a_key")), kinds


def test_rows_are_told_in_the_order_of_their_key(spark: SparkSession, tmp_path: Path) -> None:
    lab = Lab(spark, tmp_path)
    lab.engine().create_table(TABLE, {"id": "bigint", "name": "string", "at": "timestamp"})
    lab.sql(f"INSERT INTO {TABLE} VALUES (1, 'a', NULL), (2, 'b', NULL), (3, 'c', NULL)")
    lab.sql(
        f"MERGE INTO {TABLE} AS t"
        " USING (SELECT * FROM VALUES (1, 'a'), (2, 'B'), (4, 'd') AS v(id, name)) AS s ON t.id = s.id"
        " WHEN MATCHED AND t.name <> s.name THEN UPDATE SET name = s.name,"
        " at = TIMESTAMP'9999-12-31 23:59:59.5Z'"
        " WHEN NOT MATCHED THEN INSERT (id, name, at) VALUES (s.id, s.name, NULL)"
        " WHEN NOT MATCHED BY SOURCE THEN DELETE"
    )
    asked = {"key": ("id",), "rows": True}

    def told(**given: Any) -> list[dict[str, Any]]:
        found = differences(lab.project(), lab.lake.catalog, Asked(str(TABLE), **asked, **given), lab.engine)
        return [row_values(TABLE, change) for each in found for change in each.changes]

    about = {"kind": "row", "table": "ext.things"}
    at = {"old": None, "new": "9999-12-31T23:59:59.500000Z"}
    two, three, four = (
        {
            **about,
            "key": {"id": 2},
            "change": "changed",
            "columns": {"name": {"old": "b", "new": "B"}, "at": at},
        },
        {**about, "key": {"id": 3}, "change": "removed", "row": {"id": 3, "name": "c", "at": None}},
        {**about, "key": {"id": 4}, "change": "added", "row": {"id": 4, "name": "d", "at": None}},
    )
    assert told() == [two, three, four]
    assert told(limit=1) == [two]
    assert told(ignored=("at", "name"))[0]["change"] == "removed"
    # By file difference alone: the untouched row's file is read only where it was rewritten.
    lab.sql(f"ALTER TABLE {TABLE} ADD COLUMN more string")
    lab.sql(f"UPDATE {TABLE} SET more = 'x' WHERE id = 1")
    found = compared(lab, key=("id",))
    assert found.sides.columns_added == ("more",)
    assert (found.difference.changed, found.difference.columns) == (1, {"more": 1})
