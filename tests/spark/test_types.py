"""The types that lint is certain of are those that Spark gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.expressions import COLUMNS, KNOWN, KNOWN_OVER, KNOWN_WINDOWS, UNKNOWN

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROW = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in COLUMNS.items())


@pytest.mark.parametrize("expressions", [KNOWN, KNOWN_OVER, KNOWN_WINDOWS], ids=["rows", "groups", "windows"])
def test_spark_gives_the_same_type(spark: SparkSession, expressions: dict[str, str]) -> None:
    items = ", ".join(f"{sql} AS c{i}" for i, sql in enumerate(expressions))
    given = dict(spark.sql(f"SELECT {items} FROM (SELECT {ROW}) AS e").dtypes)
    assert {sql: given[f"c{i}"] for i, sql in enumerate(expressions)} == expressions


def test_what_is_not_claimed_is_sound_sql(spark: SparkSession) -> None:
    items = ", ".join(f"{sql} AS c{i}" for i, sql in enumerate(UNKNOWN))
    assert len(spark.sql(f"SELECT {items} FROM (SELECT {ROW}) AS e").dtypes) == len(UNKNOWN)
