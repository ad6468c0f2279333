"""What lint knows of a query without Spark: names, reach, and whether it is a function of its rows."""

# ruff: noqa: E501 – a case is one line, so that cases can be compared

from __future__ import annotations

from pathlib import Path

import pytest

from runner.errors import Place
from runner.header import csv_header
from runner.lineage import compile_project
from runner.load import load_project
from runner.spec import STREAM_COLUMNS
from tests.linted import R, S, codes, faults
from tests.projects import write

ROOT = Path(__file__).resolve().parent.parent


# --- what is fine ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT * FROM {S}",
        f"SELECT s.* FROM {S} AS s",
        f"SELECT ID FROM {S}",
        f"SELECT `id` FROM {S} WHERE o.a > 1 AND s_.o.b.c = 'x'".replace(S, S + " AS s_"),
        f"WITH a AS (SELECT id, k AS key FROM {S}), b (id, z) AS (SELECT id, key FROM a) SELECT id, z FROM b",
        f"SELECT id, n + 1 AS m, m + 1 AS l FROM {S}",
        f"SELECT id, count(*) AS c FROM {S} GROUP BY id HAVING c > 1 ORDER BY c",
        f"SELECT upper(k) AS id FROM {S} GROUP BY upper(k)",
        f"SELECT id, e FROM {S} LATERAL VIEW explode(list) AS e WHERE e > 1",
        f"SELECT id, t.p, t.q FROM {S} LATERAL VIEW OUTER posexplode(list) t AS p, q",
        f"SELECT s.id, z FROM {S} AS s, LATERAL explode(s.list) AS e(z)",
        f"SELECT id, inline(array(struct(1 AS a, 2 AS b))) AS (a, b) FROM {S}",
        f"SELECT id, transform(list, (v, i) -> v + i + n) AS l, filter(list, v -> exists(list, w -> w > v)) AS f FROM {S}",
        f"SELECT id FROM {S} AS s WHERE EXISTS (SELECT 1 FROM {R} AS r WHERE r.k = s.k)",
        f"SELECT id FROM {S} AS s WHERE k IN (SELECT k FROM {R})",
        f"SELECT id, (SELECT max(region) FROM {R} AS r WHERE r.k = s.k) AS region FROM {S} AS s",
        f"SELECT id, region FROM {S} JOIN {R} USING (k) WHERE k > 'a'",
        f"SELECT * FROM {S} JOIN {R} USING (k)",
        f"SELECT id FROM {S} AS s LEFT SEMI JOIN {R} AS r ON r.k = s.k",
        f"SELECT id FROM {S} UNION ALL SELECT k FROM {S}",
        f"(SELECT id FROM {S})",
        f"SELECT id, sum(n) OVER w AS t FROM {S} WINDOW w AS (PARTITION BY k ORDER BY d)",
        f"SELECT id, timestampdiff(HOUR, d, d) AS h, extract(year FROM d) AS y, trim(BOTH 'x' FROM k) AS t FROM {S}",
        f"SELECT id, user FROM {S}",
        f"SELECT * EXCEPT (x) FROM {S}",
        f"SELECT id FROM {S}, range(3) AS i",
        f"SELECT id, v.a FROM {S} JOIN (VALUES (1, 'x')) AS v(a, b) ON v.b = k",
        "SELECT id, whatever.deep FROM {{ source('f') }}",
        f"SELECT id, CASE k WHEN 'a' THEN 1 END AS c, n::string AS t, m['x'] AS y FROM (SELECT *, map('x', 1) AS m FROM {S})",
        f"SELECT id, sort_array(collect_set(k)) AS l, size(collect_set(k)) AS z FROM {S} GROUP BY id",
        f"SELECT id, listagg(k, ',') WITHIN GROUP (ORDER BY k) AS l FROM {S} GROUP BY id",
        f"SELECT id, sum(CAST(x AS DECIMAL(20, 6))) AS t, max(x) AS m, count(x) AS c FROM {S} GROUP BY id",
        f"SELECT id, rank() OVER (ORDER BY d) AS r FROM {S}",
        f"SELECT id, row_number() OVER (PARTITION BY k ORDER BY d, id) AS r FROM {S}",
        f"SELECT id, first_value(n) OVER (PARTITION BY id ORDER BY d) AS r FROM {S}",
        f"SELECT id, row_number() OVER (ORDER BY id) AS r FROM (SELECT k AS id, count(*) AS c FROM {S} GROUP BY k)",
        f"SELECT id, sum(n) OVER (PARTITION BY k ORDER BY d RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) AS t FROM {S}",
        f"SELECT id, sum(n) OVER (PARTITION BY k ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS t FROM {S}",
        f"SELECT id FROM {S} ORDER BY id LIMIT 5",
        f"SELECT id, unix_timestamp(d) AS u, assert_true(n > 1) AS a FROM {S}",
    ],
)  # fmt: skip
def test_accepted(tmp_path: Path, query: str) -> None:
    assert faults(tmp_path, query) == []


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "what", "fix"),
    [
        (f"SELECT idd AS id FROM {S}", "there is no column 'idd'", "did you mean 'id'?"),
        (f"SELECT s.idd AS id FROM {S} AS s", "'s' has no column 'idd'", "did you mean 'id'?"),
        (f"WITH a AS (SELECT id, k FROM {S}) SELECT id, n FROM a", "there is no column 'n'", ""),
        (f"SELECT id FROM (SELECT id, k AS kind FROM {S}) WHERE kid = 'x'", "there is no column 'kid'", "did you mean 'kind'?"),
        (f"SELECT id, n + 1 AS m FROM {S} WHERE m > 1", "there is no column 'm'", ""),
        (f"SELECT id FROM {S} AS s LEFT SEMI JOIN {R} AS r ON r.k = s.k WHERE r.regio = 'x'", "'r' has no column 'regio'", "did you mean 'region'?"),
        (f"SELECT id FROM {S} JOIN {R} USING (region)", "", ""),
        (f"SELECT id FROM {S} AS s WHERE EXISTS (SELECT 1 FROM {R} AS r WHERE r.k = s.kk)", "'s' has no column 'kk'", "did you mean 'k'?"),
        (f"SELECT id FROM {S} LATERAL VIEW explode(lists) AS e", "there is no column 'lists'", "did you mean 'list'?"),
        (f"SELECT id FROM {S} GROUP BY idd", "there is no column 'idd'", "did you mean 'id'?"),
        (f"SELECT id, filter(list, v -> v > m) AS f FROM {S}", "there is no column 'm'", ""),
        (f"SELECT id, count(*) FILTER (WHERE kk > 'a') AS c FROM {S} GROUP BY id", "there is no column 'kk'", ""),
    ],
)  # fmt: skip
def test_unknown_columns(tmp_path: Path, query: str, what: str, fix: str) -> None:
    found = [fault for fault in faults(tmp_path, query) if fault.code == "unknown-column"]
    if what:
        assert [fault.what for fault in found] == [what]
        assert fix in found[0].fix


def test_places_are_exact(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, f"SELECT\n    id,\n    upper(kk) AS k\nFROM {S}")
    assert fault.place == Place("m.sql", 4, 11)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT id FROM elsewhere", "unknown-relation"),
        ("SELECT id FROM other.s", "unknown-relation"),
        ("SELECT id FROM lake.other.s.branch_x", "unknown-relation"),
        ("SELECT id FROM parquet.`/etc`", "path-relation"),
        ("SELECT id FROM text.`/etc/passwd`", "path-relation"),
        (f"SELECT id FROM {S} VERSION AS OF 3", "time-travel"),
        ("SELECT id FROM identifier('a')", "forbidden-function"),
        ("SELECT id FROM read_files('/x')", "forbidden-function"),
        ("SELECT id FROM python_worker_logs()", "forbidden-function"),
        (f"SELECT id FROM {S} WHERE k IN (SELECT k FROM json.`x`)", "path-relation"),
        (f"SELECT id, reflect('a', 'b') AS z FROM {S}", "forbidden-function"),
        (f"SELECT id, `java_method`('a', 'b') AS z FROM {S}", "forbidden-function"),
        (f"SELECT id, TRY_REFLECT ('a', 'b') AS z FROM {S}", "forbidden-function"),
        (f"SELECT id, input_file_name() AS z FROM {S}", "forbidden-function"),
        (f"SELECT id, current_user() AS z FROM {S}", "forbidden-function"),
        (f"SELECT TRANSFORM (id) USING 'cat' AS (id) FROM {S}", "forbidden-script"),
        (f"SELECT id, identifier('ra' || 'nd')() AS z FROM {S}", "sql-syntax"),
        (f"SELECT id FROM (SELECT TRANSFORM (id) USING 'cat' AS (id) FROM {S})", "forbidden-script"),
    ],
)
def test_reach(tmp_path: Path, query: str, code: str) -> None:
    assert code in codes(tmp_path, query)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT FROM WHERE", "sql-syntax"),
        (f"SELECT id FROM {S} WHERE", "sql-syntax"),
        (f"SELECT id FROM {S} GROUP id", "sql-syntax"),
        ("SHOW TABLES", "not-a-query"),
        ("TABLE x", "not-a-query"),
        ("DELETE FROM x", "not-a-query"),
    ],
)
def test_what_is_no_query(tmp_path: Path, query: str, code: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert codes(tmp_path, query)[0] in (code, "sql-syntax")
    assert capfd.readouterr().err == "", "the parser says nothing by itself"


def test_the_query_returns_every_declared_column(tmp_path: Path) -> None:
    columns = "id: {type: string}, kind: {type: string}, n: {type: bigint}"
    (fault,) = faults(tmp_path, f"SELECT id, k AS kid, n, d FROM {S}", columns=columns)
    assert (fault.code, fault.fix) == ("missing-column", "it returns 'kid': write AS kind")
    assert codes(tmp_path, f"SELECT *, k AS id FROM {S}") == ["duplicate-column"]
    assert codes(tmp_path, "SELECT id, x.* FROM {{ source('f') }} AS x", columns=columns) == []


def test_a_cte_cannot_take_the_place_of_a_source(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, f"WITH __s AS (SELECT 'x' AS id)\nSELECT id FROM {S}")
    assert (fault.code, fault.place) == ("reserved-name", Place("m.sql", 2, 6))


def test_csv_files_have_a_header_and_streams_fixed_columns(tmp_path: Path) -> None:
    write(tmp_path, {"a/x.csv": "k,region\n1,2\n"})
    assert csv_header(tmp_path, "a/x.csv") == {"k": "string", "region": "string"}
    assert csv_header(tmp_path, "a") == csv_header(tmp_path, "a/*.csv") == csv_header(tmp_path, "a/x.csv")
    assert csv_header(tmp_path, "b") is None
    assert "arrival" in STREAM_COLUMNS


# --- determinism ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression",
    [
        "rand()", "RAND(5)", "`rand`()", "randn()", "uuid()", "shuffle(list)", "now()", "current_timestamp", "current_timestamp()",
        "current_date", "CURRENT_DATE()", "localtimestamp", "unix_timestamp()", "monotonically_increasing_id()", "spark_partition_id()",
        "date_diff(current_date, d)", "transform(list, v -> v * rand())",
    ],
)  # fmt: skip
def test_not_a_function_of_the_rows(tmp_path: Path, expression: str) -> None:
    query = f"SELECT id, {expression} AS z FROM {S}"
    assert codes(tmp_path, query) == ["not-deterministic"]
    assert codes(tmp_path, query, read="changes", more="    history: true\n") == []


@pytest.mark.parametrize(
    "expression",
    [
        "first(n)", "last(n)", "any_value(n)", "first_value(n)", "first(n) FILTER (WHERE n > 1)", "max_by(n, d)", "min_by(n, d)", "mode(n)",
        "collect_list(n)", "array_agg(n)", "concat_ws(',', collect_set(k))", "approx_count_distinct(n)", "percentile_approx(n, 0.5)",
        "stddev(n)", "corr(n, n)", "listagg(k, ',')",
    ],
)  # fmt: skip
def test_aggregates_that_chance_decides(tmp_path: Path, expression: str) -> None:
    assert codes(tmp_path, f"SELECT id, {expression} AS z FROM {S} GROUP BY id") == ["not-deterministic"]


@pytest.mark.parametrize("expression", ["sum(x)", "avg(x)", "sum(x + 1)", "sum(n / 2)", "sum(DISTINCT x)", "sum(n * 0.5e0)", "sum(coalesce(x, 0))",
                                        "sum(CAST(n AS DOUBLE))", "sum(CASE WHEN n > 1 THEN x END)", "try_sum(x)", "mean(x)", "sum(sqrt(n))"])  # fmt: skip
def test_float_sums(tmp_path: Path, expression: str) -> None:
    assert codes(tmp_path, f"SELECT id, {expression} AS z FROM {S} GROUP BY id") == ["float-sum"]
    assert codes(
        tmp_path, f"WITH a AS (SELECT id, x AS y, n, x FROM {S}) SELECT id, sum(y) AS z FROM a GROUP BY id"
    ) == ["float-sum"]


@pytest.mark.parametrize(
    "window",
    [
        "row_number() OVER (PARTITION BY k ORDER BY d)", "ntile(4) OVER (ORDER BY d)", "lag(n) OVER (PARTITION BY k ORDER BY d)",
        "lead(n) OVER (PARTITION BY k ORDER BY d)", "first_value(n) OVER (PARTITION BY k ORDER BY d)", "nth_value(n, 2) OVER (ORDER BY d)",
        "sum(n) OVER (PARTITION BY k ORDER BY d ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)", "first(n) IGNORE NULLS OVER (PARTITION BY k)",
        "row_number() OVER (PARTITION BY id ORDER BY upper(k))".replace("id", "k"),
    ],
)  # fmt: skip
def test_windows_without_a_total_order(tmp_path: Path, window: str) -> None:
    assert codes(tmp_path, f"SELECT id, {window} AS z FROM {S}") == ["no-total-order"]
    named = f"SELECT id, row_number() OVER w AS z FROM {S} WINDOW w AS (PARTITION BY k ORDER BY d)"
    assert codes(tmp_path, named) == ["no-total-order"]


@pytest.mark.parametrize("tail", ["LIMIT 5", "ORDER BY d LIMIT 5"])
def test_limits_without_a_total_order(tmp_path: Path, tail: str) -> None:
    assert codes(tmp_path, f"SELECT id FROM {S} {tail}") == ["not-deterministic"]
    assert codes(tmp_path, f"SELECT id FROM {S} TABLESAMPLE (10 PERCENT)") == ["not-deterministic"]


# --- inputs that are read piece by piece ----------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT id FROM {S} WHERE n > 1",
        f"SELECT id FROM {S} AS s LEFT JOIN {R} AS r ON r.k = s.k",
        f"SELECT id FROM {S} AS s JOIN {R} AS r ON r.k = s.k",
        f"SELECT id FROM {R} AS r JOIN {S} AS s ON r.k = s.k",
        f"SELECT id FROM {R} AS r RIGHT JOIN {S} AS s ON r.k = s.k",
        f"SELECT id FROM {S} AS s LEFT ANTI JOIN {R} AS r ON r.k = s.k",
        f"SELECT concat(id, '-', e) AS id FROM {S} LATERAL VIEW explode(list) AS e",
        f"WITH a AS (SELECT id, k FROM {S}), b AS (SELECT * FROM a) SELECT id FROM (SELECT * FROM b)",
        f"SELECT id FROM {S} AS s LEFT JOIN (SELECT k, max(region) AS m FROM {R} GROUP BY k) AS r ON r.k = s.k",
        f"SELECT id FROM {S} AS s WHERE s.k IN (SELECT k FROM {R})",
        f"SELECT id, aggregate(list, 0, (a, b) -> a + b) AS z FROM {S}",
    ],
)
def test_row_by_row(tmp_path: Path, query: str) -> None:
    assert faults(tmp_path, query, read="changes") == []


@pytest.mark.parametrize(
    ("query", "what"),
    [
        (f"SELECT id FROM {S} GROUP BY id", "GROUP BY"),
        (f"SELECT max(id) AS id FROM {S}", "aggregate max()"),
        (f"SELECT try_sum(n) AS id FROM {S}", "aggregate try_sum()"),
        (f"SELECT DISTINCT id FROM {S}", "DISTINCT"),
        (f"SELECT id FROM {S} ORDER BY id LIMIT 1", "LIMIT"),
        (f"SELECT id, rank() OVER (ORDER BY d) AS r FROM {S}", "window function"),
        (f"SELECT id FROM {S} UNION ALL SELECT k FROM {R}", "UNION"),
        (f"SELECT id FROM {S} EXCEPT SELECT k FROM {R}", "EXCEPT"),
        (f"SELECT k AS id FROM {R} WHERE k IN (SELECT k FROM {S})", "subquery of an expression"),
        (f"SELECT k AS id FROM {R} AS r WHERE EXISTS (SELECT 1 FROM {S} AS s WHERE s.k = r.k)", "subquery of an expression"),
        (f"SELECT r.k AS id FROM {R} AS r LEFT JOIN {S} AS s ON r.k = s.k", "LEFT JOIN"),
        (f"SELECT s.id FROM {S} AS s RIGHT JOIN {R} AS r ON r.k = s.k", "RIGHT JOIN"),
        (f"SELECT s.id FROM {S} AS s FULL JOIN {R} AS r ON r.k = s.k", "FULL JOIN"),
        (f"SELECT r.k AS id FROM {R} AS r LEFT SEMI JOIN {S} AS s ON r.k = s.k", "SEMI JOIN"),
        (f"SELECT id FROM {S} CROSS JOIN {R}", "CROSS JOIN"),
        (f"SELECT id FROM {S}, {R}", "CROSS JOIN"),
        (f"SELECT a.id FROM {S} AS a JOIN {S} AS b ON a.id = b.id", "read twice"),
        (f"WITH c AS (SELECT * FROM {S}) SELECT a.id FROM c AS a JOIN c AS b ON a.id = b.id", "read twice"),
        (f"WITH c AS (SELECT id, k FROM {S}) SELECT id FROM (SELECT id FROM c GROUP BY id)", "GROUP BY"),
        (f"WITH c AS (SELECT id FROM {S}) SELECT id FROM c UNION ALL SELECT k FROM {R}", "UNION"),
    ],
)  # fmt: skip
def test_not_row_by_row(tmp_path: Path, query: str, what: str) -> None:
    (fault,) = [f for f in faults(tmp_path, query, read="changes") if f.code == "not-row-wise"]
    assert what in fault.what
    assert "affected" in fault.fix
    assert "not-row-wise" not in codes(tmp_path, query, read="all")


# --- inputs that are read by groups ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "what"),
    [
        (f"SELECT id, rank() OVER (ORDER BY d) AS r FROM {S}", "PARTITION BY"),
        (f"SELECT id FROM {S} ORDER BY id LIMIT 5", "LIMIT"),
        (f"SELECT max(id) AS id FROM {S}", "max() over all rows"),
        (
            f"WITH a AS (SELECT * FROM {S}), b AS (SELECT max(d) AS last FROM a) SELECT id FROM a JOIN b ON a.d = b.last",
            "max()",
        ),
    ],
)
def test_nothing_looks_across_groups(tmp_path: Path, query: str, what: str) -> None:
    (fault,) = faults(tmp_path, query, read="affected")
    assert fault.code == "not-group-wise"
    assert what in fault.what
    assert codes(tmp_path, query, read="all") == []


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT id, count(*) AS c FROM {S} GROUP BY id",
        f"SELECT id, rank() OVER (PARTITION BY id ORDER BY d) AS r FROM {S}",
        f"SELECT s.id, m FROM {S} AS s CROSS JOIN (SELECT max(region) AS m FROM {R}) AS r",
        f"SELECT id, sum(sum(n)) OVER (PARTITION BY id) AS t FROM {S} GROUP BY id, k",
        f"SELECT DISTINCT id FROM {S} UNION SELECT k FROM {S}",
    ],
)
def test_group_by_group(tmp_path: Path, query: str) -> None:
    assert faults(tmp_path, query, read="affected") == []


# --- the shipped project --------------------------------------------------------------------------


def test_the_shipped_project_has_no_faults() -> None:
    project = load_project(ROOT)
    assert set(compile_project(project)) == {model.id for model in project.models}
