"""What ``runner show`` prints, to the letter."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.engine import Engine
from runner.engine.fake import FakeEngine
from runner.errors import ProjectError
from runner.show import csv_lines, ndjson, printed, show, table_lines
from runner.spec import Profile, Project
from tests.nouns import HERE
from tests.paper import PaperLake

moment = dt.datetime.fromisoformat


def one(value: object) -> str:
    """The JSON text of one value."""
    (line,) = ndjson(["v"], [{"v": value}])
    assert line.startswith('{"v":')
    assert line.endswith("}\n")
    return line[5:-2]


# --- ndjson --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (0, "0"),
        (2**63 - 1, "9223372036854775807"),
        ("naïve 東京 🙂", '"naïve 東京 🙂"'),
        ('a"b\\c\n\t\x00', '"a\\"b\\\\c\\n\\t\\u0000"'),
        (dt.date(2026, 1, 2), '"2026-01-02"'),
        (dt.date(87, 1, 2), '"0087-01-02"'),
        (moment("2026-01-02T03:04:05"), '"2026-01-02T03:04:05.000Z"'),
        (moment("2026-01-02T03:04:05.999999"), '"2026-01-02T03:04:05.999Z"'),
        (moment("0087-01-02"), '"0087-01-02T00:00:00.000Z"'),
        (0.1, "0.1"),
        (1.0, "1.0"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e300, "1e+300"),
        (float("nan"), '"NaN"'),
        (float("-inf"), '"-Infinity"'),
        (Decimal("1.50"), '"1.50"'),
        (Decimal("0E-10"), '"0.0000000000"'),
        (b"\x00\xff", '"AP8="'),
        ([], "[]"),
        ([1, None, dt.date(2026, 1, 2)], '[1,null,"2026-01-02"]'),
        ({"a": None, "b": {"c": moment("2026-01-02")}}, '{"a":null,"b":{"c":"2026-01-02T00:00:00.000Z"}}'),
        ({dt.date(2026, 1, 2): 1}, '{"2026-01-02":1}'),
    ],
)
def test_a_value_in_ndjson(value: object, text: str) -> None:
    assert one(value) == text


def test_one_object_a_line_with_columns_in_table_order_and_none_left_out() -> None:
    rows: list[dict[str, Any]] = [{"b": 1, "a": None}, {"a": "x\ny", "b": None}]
    assert list(ndjson(["a", "b"], rows)) == ['{"a":null,"b":1}\n', '{"a":"x\\ny","b":null}\n']


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_doubles_read_back_as_the_same_value(value: float) -> None:
    assert json.loads(one(value)) == value
    assert one(value) == repr(value)


@given(st.recursive(st.none() | st.text() | st.integers() | st.floats(), st.lists, max_leaves=5))
def test_every_line_is_strict_json_and_one_line(value: object) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    (line,) = ndjson(["v"], [{"v": value}])
    json.loads(line, parse_constant=refuse)
    assert line.count("\n") == 1


# --- csv -----------------------------------------------------------------------------------------


def test_csv_has_a_header_and_quotes_what_needs_it() -> None:
    rows: list[dict[str, Any]] = [
        {"a": 'x,"y"\nz', "b": None, "c": [1, None]},
        {"a": "é", "b": True, "c": {"d": 0.1}},
    ]
    text = "".join(csv_lines(["a", "b", "c"], rows))
    assert text == 'a,b,c\n"x,""y""\nz",,"[1, null]"\né,true,"{""d"": 0.1}"\n'


@given(
    st.lists(st.fixed_dictionaries({"a": st.text(st.characters(exclude_characters="\r")), "b": st.just("")}))
)
def test_csv_reads_back(rows: list[dict[str, str]]) -> None:
    text = "".join(csv_lines(["a", "b"], rows))
    assert list(csv.DictReader(io.StringIO(text, newline=""))) == rows


# --- table ---------------------------------------------------------------------------------------


def test_a_table_aligns_numbers_to_the_right_and_text_to_the_left() -> None:
    rows: list[dict[str, Any]] = [
        {"wiki": "dewiki", "events": 1200, "share": 0.5, "gone": None},
        {"wiki": "x", "events": 7, "share": None, "gone": None},
    ]
    assert "".join(table_lines(["wiki", "events", "share", "gone"], rows)) == (
        "wiki    events  share  gone\n"
        "──────  ──────  ─────  ────\n"
        "dewiki    1200    0.5     ·\n"
        "x            7      ·     ·\n"
        "2 rows\n"
    )


def test_a_table_says_how_many_rows_it_shows() -> None:
    assert list(table_lines(["a"], [{"a": 1}]))[-1] == "1 row\n"
    assert list(table_lines(["a"], [])) == ["a\n", "─\n", "0 rows\n"]


def test_a_table_cuts_long_text() -> None:
    text = list(table_lines(["a"], [{"a": "x" * 41}, {"a": "y" * 40}]))
    assert text[2] == "x" * 39 + "…\n"
    assert text[3] == "y" * 40 + "\n"


@pytest.mark.parametrize("evil", ["\x1b[2J", "\x07", "\r", "\n", "\x9b31m", "\u202e", "\u2028", "\x00"])
def test_text_from_strangers_cannot_steer_the_terminal(evil: str) -> None:
    _, _, row, _ = table_lines(["a"], [{"a": f"x{evil}y"}])
    assert evil not in row.removesuffix("\n")
    assert row.startswith("x\\")


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture
def lake(tmp_path: Path) -> PaperLake:
    lake = PaperLake(tmp_path / "lake")
    lake.create("silver.orders", {"id": "string", "amount": "bigint"})
    return lake


def shown(
    lake: PaperLake,
    table: str,
    engine: Engine | None = None,
    *,
    limit: int | None = None,
    at: str | None = None,
) -> str:
    """What is written; without an engine, starting one fails."""
    project = Project(lake.warehouse.parent, (), Profile("local", HERE, warehouse="lake"))
    lines: list[str] = []

    def start() -> Engine:
        assert engine is not None, "Spark is started where nothing is to be read"
        return engine

    show(project, table, limit=limit, format="ndjson", at=at, write=lines.append, start_engine=start)
    return "".join(lines)


def test_the_newest_rows_are_read_at_the_snapshot_that_was_looked_up(lake: PaperLake) -> None:
    lake.commit("silver.orders")
    head = lake.commit("silver.orders")
    types = {"id": "string", "amount": "bigint"}
    engine = FakeEngine({"schema": types, "stream_rows": [{"amount": 5, "id": "a"}]})
    assert shown(lake, "silver.orders", engine, limit=20) == '{"id":"a","amount":5}\n'
    (bound,) = engine.asked("bind_table")
    assert bound["snapshot"] == head
    assert engine.asked("stream_rows") == [{"sql": "SELECT `id`, `amount` FROM __shown LIMIT 20"}]


def test_times_are_printed_by_spark_whose_calendar_is_longer_and_whose_clock_is_utc() -> None:
    assert printed("at", "timestamp") == "date_format(`at`, \"yyyy-MM-dd'T'HH:mm:ss.SSS'Z'\") AS `at`"
    assert printed("day", "date") == "CAST(`day` AS STRING) AS `day`"
    assert printed("it`s", "bigint") == "`it``s`"


def test_without_a_limit_all_rows_are_read_and_at_reads_an_older_snapshot(lake: PaperLake) -> None:
    first = lake.commit("silver.orders")
    lake.commit("silver.orders")
    engine = FakeEngine({"schema": {"id": "string"}})
    shown(lake, "silver.orders", engine, at=str(first))
    (bound,) = engine.asked("bind_table")
    (call,) = engine.asked("stream_rows")
    assert (bound["snapshot"], call["sql"]) == (first, "SELECT `id` FROM __shown")


def test_an_empty_table_is_shown_without_spark(lake: PaperLake) -> None:
    assert shown(lake, "silver.orders") == ""


@pytest.mark.parametrize(
    ("table", "hint"),
    [
        ("silver.order", "did you mean 'silver.orders'?"),
        ("orders", "did you mean 'silver.orders'?"),
        ("gold.nothing_like_it", "silver.orders"),
    ],
)
def test_an_unknown_table_is_a_fault_that_names_the_known_ones(
    lake: PaperLake, table: str, hint: str
) -> None:
    with pytest.raises(ProjectError) as error:
        shown(lake, table)
    (fault,) = error.value.faults
    assert fault.code == "unknown-table"
    assert hint in fault.fix


def test_in_an_empty_lake_the_fault_says_to_run_the_models(tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as error:
        shown(PaperLake(tmp_path / "lake"), "silver.orders")
    assert "runner" in error.value.faults[0].fix


@pytest.mark.parametrize("at", ["1", "x", "-1", "²", "1.0", ""])
def test_an_unknown_snapshot_is_a_fault_that_names_the_newest(lake: PaperLake, at: str) -> None:
    snapshots = [lake.commit("silver.orders") for _ in range(7)]
    with pytest.raises(ProjectError) as error:
        shown(lake, "silver.orders", at=at)
    (fault,) = error.value.faults
    assert fault.code == "unknown-snapshot"
    assert fault.fix == f"the newest are {', '.join(map(str, snapshots[-5:]))}"


def test_wide_characters_take_two_cells() -> None:
    lines = list(table_lines(["page", "n"], [{"page": "彗星", "n": 1}, {"page": "abcd", "n": 2}]))
    assert lines[2:4] == ["彗星  1\n", "abcd  2\n"]
