"""Unit tests of models on Spark: what is given is what the model reads, and the MERGE meets what exists."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chispa import assert_df_equality
from pyspark.sql import SparkSession

from runner.errors import ProjectError
from runner.load import load_project
from runner.testing.conduct import Conductor, Outcome
from runner.testing.load import load_tests, reloading
from runner.testing.session import Session
from tests.projects import MERGE, write

TYPES = {
    "id": "string",
    "amount": "decimal(10,2)",
    "day": "date",
    "at": "timestamp",
    "local": "timestamp_ntz",
    "raw": "binary",
    "share": "double",
    "tags": "array<string>",
    "place": "struct<city:string,parts:array<struct<n:bigint,at:timestamp>>>",
}
COLUMNS = "".join(f"        {name}: {{type: '{of}'}}\n" for name, of in TYPES.items())
MODEL = """  - name: {name}
    sql: sql/{name}.sql
    sources:
      items: {source}
    target:
      table: shop.{name}
      key: [id]
      columns:
{columns}"""


@pytest.fixture
def check(spark: SparkSession, tmp_path: Path) -> Callable[..., Outcome]:
    """Runs the only test of a project with one model, ``shop.copies``, that reads `items` in some way."""

    def run(test: str, *, source: str, columns: str = COLUMNS, query: str = "", head: str = "") -> Outcome:
        names = ", ".join(line.split(":")[0].strip() for line in columns.splitlines())
        text = MERGE.replace("{{{{", "{{").replace("}}}}", "}}")
        text = text.replace("{query}", query or f"SELECT {names} FROM {{{{ source('items') }}}}")
        model = MODEL.format(name="copies", source=source, columns=columns)
        write(
            tmp_path,
            {
                "pipelines/shop.yml": f"pipeline: shop\nmodels:\n{model}",
                "sql/copies.sql": text,
                "tests/models/copies.yml": f"model: shop.copies\n{head}tests:\n{test}",
            },
        )
        project = load_project(tmp_path)
        (found,) = load_tests(project, reloading(lambda given: load_project(tmp_path, overrides=given)))
        return Conductor(Session(lambda: spark)).run(found)

    return run


CELLS = (
    "amount: 12.5, day: 0001-01-01, at: '9999-12-31 23:59:59.999999', local: '2024-03-31 02:30:00',"
    ' raw: aGVsbG8=, share: 0.1, tags: [a, null, ""],'
    " place: {city: 彗星, parts: [{n: 9223372036854775807, at: '2024-01-01 00:00:00'}, {n: null}]}"
)


def test_values_of_every_type_arrive_as_they_were_written(check: Callable[..., Outcome]) -> None:
    given = "".join(f"    {name}: '{of}'\n" for name, of in {**TYPES, "facts": "map<string,int>"}.items())
    outcome = check(
        f"""
  - name: types
    given: {{items: [{{id: a, facts: {{x: 1, y: 2}}, {CELLS}}}, {{id: b}}]}}
    expect:
      target:
        - {{id: a, facts_text: '{{"x":1,"y":2}}', {CELLS}}}
        - {{id: b, facts_text: null, amount: null, tags: null, place: null}}
""",
        source="{table: else.where, read: all}",
        head=f"columns:\n  items:\n{given}",
        columns=COLUMNS + "        facts_text: {type: string}\n",
        query=f"SELECT {', '.join(TYPES)}, to_json(facts) AS facts_text FROM {{{{ source('items') }}}}",
    )
    assert outcome.passed, outcome.lines


FEW = "        id: {type: string}\n        n: {type: bigint}\n"


def test_a_table_without_a_key_changes_by_whole_rows(check: Callable[..., Outcome]) -> None:
    outcome = check(
        """
  - name: moves
    steps:
      - given: {items: [{id: a, n: 1}, {id: b, n: 2}, {id: c, n: 3}]}
        expect: {counts: {inserted: 3}}
      - given: {items: [{id: a, n: 1}, {id: b, n: 5}]}
        expect:
          target: [{id: a, n: 1}, {id: b, n: 5}]
          counts: {inserted: 0, updated: 1, deleted: 1}
""",
        source="{table: else.where, read: changes}",
        columns=FEW,
    )
    assert outcome.passed, outcome.lines


@pytest.mark.parametrize("format", ["json", "parquet", "csv"])
def test_files_are_read_once(check: Callable[..., Outcome], format: str) -> None:
    outcome = check(
        """
  - name: files
    existing: [{id: a, n: 7}]
    steps:
      - given: {items: [{id: a, n: 1}, {id: b, n: 2}]}
        expect: {target: [{id: a, n: 1}, {id: b, n: 2}]}
      - given: {items: [{id: b, n: 3}]}
        expect: {target: [{id: a, n: 1}, {id: b, n: 3}], counts: {updated: 1}}
""",
        source=f"{{files: {{path: data, format: {format}}}, read: changes}}",
        columns=FEW,
        query="SELECT id, CAST(n AS BIGINT) AS n FROM {{ source('items') }}",
    )
    assert outcome.passed, outcome.lines


def test_lines_of_a_topic(check: Callable[..., Outcome]) -> None:
    outcome = check(
        """
  - name: topic
    now: 2024-01-31 10:15:00
    given: {items: [{id: 1}, two]}
    expect: {target: [{id: '{"id":1}', at: '2024-01-31 10:15:00'}, {id: two}]}
""",
        source="{kafka: {topic: items}, read: stream}",
        columns="        id: {type: string}\n        at: {type: timestamp}\n",
        query="SELECT value AS id, received_at AS at FROM {{ source('items') }}",
    )
    assert outcome.passed, outcome.lines


def test_a_model_that_reads_everything_whole_meets_what_exists(check: Callable[..., Outcome]) -> None:
    """It is built anew: what nobody produces goes, and equal rows are not touched."""
    outcome = check(
        """
  - name: whole
    existing: [{id: a, n: 1}, {id: b, n: 1}, {id: gone, n: 1}]
    given: {items: [{id: a, n: 1}, {id: b, n: 2}]}
    expect:
      target: [{id: a, n: 1}, {id: b, n: 2}]
      counts: {inserted: 0, updated: 1, deleted: 1}
""",
        source="{table: else.where, read: all}",
        columns=FEW,
    )
    assert outcome.passed, outcome.lines


def test_a_failure_names_rows_cells_counts_and_the_step(check: Callable[..., Outcome]) -> None:
    outcome = check(
        """
  - name: fails
    steps:
      - given: {items: [{id: a, n: 1}]}
        expect: {target: [{id: a, n: 1}]}
      - given: {items: [{id: a, n: 2}, {id: b, n: 3}]}
        expect:
          target: [{id: a, n: 1}, {id: c, n: 4}]
          counts: {updated: 0}
""",
        source="{table: else.where, read: changes}",
        columns=FEW,
        head="columns: {items: {id: string, n: bigint}}\n",
    )
    assert list(outcome.lines[1:]) == [
        "counts: 1 row updated, expected 0",
        "shop.copies: 1 row missing, 1 row unexpected, 1 row different",
        "     id  n",
        "  -  c   4",
        "  +  b   3",
        "  ~  a   1 → 2",
        "  - missing   + unexpected   ~ expected → actual",
    ]
    assert outcome.lines[0].startswith("after step 2 of 2 (tests/models/copies.yml:")


def test_a_query_that_fails_is_a_failure(check: Callable[..., Outcome]) -> None:
    outcome = check(
        """
  - name: fails
    given: {items: [{id: a, n: 0}]}
    expect: {target: []}
""",
        source="{table: else.where, read: all}",
        columns=FEW,
        query="SELECT id, 1 DIV n AS n FROM {{ source('items') }}",
    )
    assert "the run failed:" in outcome.lines
    assert "DIVIDE_BY_ZERO" in "\n".join(outcome.lines)


# in Python


def test_frames_of_a_model(run_model: Callable[..., Any], spark: SparkSession) -> None:
    event = {
        "event_date": dt.date(2026, 2, 26),
        "event_hour": 13,
        "domain": "de.wikipedia.org",
        "region": "europe",
        "user_normalized": "Ada",
        "title": "Komet",
        "is_valid": True,
        "is_anonymous": False,
    }
    rows = [{"event_id": str(n), "is_bot": n == 0, **event} for n in range(3)]
    made = run_model("gold.hourly_stats", {"events": spark.createDataFrame(rows)})
    expected = spark.createDataFrame(
        [(3, 1, 33.33)], "total_events bigint, bot_events bigint, bot_percentage double"
    )
    assert_df_equality(
        made.target.select("total_events", "bot_events", "bot_percentage"), expected, ignore_nullable=True
    )
    assert made.quarantined is None
    assert made.counts["rows_inserted"] == 1
    closed = run_model("gold.hourly_stats", {"events": [{**rows[0], "region": None}]})
    assert closed.closed_by == ("not_null_region",)
    assert closed.target.count() == 0


def test_frames_of_a_model_that_sets_rows_aside(run_model: Callable[..., Any]) -> None:
    made = run_model("bronze.raw_events", {"events": ["no json"]}, now=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    assert [row["payload"] for row in made.quarantined.collect()] == ["no json"]
    with pytest.raises(ProjectError, match="did you mean 'events'"):
        run_model("bronze.raw_events", {"event": []})
