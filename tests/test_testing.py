"""Unit tests of models without Spark: files become tests, values get their types, rows are compared."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import jsonschema
import pytest
import yaml

from runner.errors import ProjectError
from runner.load import load_project
from runner.load.nodes import parse_text
from runner.load.types import column_type
from runner.testing import schema
from runner.testing.cells import WrongCell, cell, text_cell
from runner.testing.compare import compare
from runner.testing.load import find_files, load_tests, reloading
from runner.testing.report import difference_lines
from runner.testing.spec import File, ModelTest, Table
from runner.testing.types import parse_type

ROOT = Path(__file__).resolve().parent.parent
BASE = ROOT / "tests" / "errors" / "base"
UTC = dt.UTC


def value(text: str, type_: str) -> object:
    faults: list[object] = []
    return cell(parse_text(f"v: {text}", "x", faults).get("v"), parse_type(column_type(type_)))  # type: ignore


@pytest.mark.parametrize(
    ("text", "type_", "expected"),
    [
        ("null", "string", None),
        ("~", "bigint", None),
        ("Ada", "string", "Ada"),
        ("'null'", "string", "null"),
        ('"{{ x }}"', "string", "{{ x }}"),
        ("true", "boolean", True),
        ("-7", "int", -7),
        ("9223372036854775807", "bigint", 2**63 - 1),
        ("7", "double", 7.0),
        ("-1.5e3", "double", -1500.0),
        (".inf", "double", float("inf")),
        ("12.5", "decimal(10,2)", Decimal("12.50")),
        ("'12.50'", "decimal(10,2)", Decimal("12.50")),
        ("2024-02-29", "date", dt.date(2024, 2, 29)),
        ("2024-01-31 10:15:00", "timestamp", dt.datetime(2024, 1, 31, 10, 15, tzinfo=UTC)),
        ("2024-01-31T10:15:00.123456Z", "timestamp", dt.datetime(2024, 1, 31, 10, 15, 0, 123456, tzinfo=UTC)),
        ("2024-01-31 10:15+02:00", "timestamp", dt.datetime(2024, 1, 31, 8, 15, tzinfo=UTC)),
        ("2024-01-31 10:15:00", "timestamp_ntz", dt.datetime(2024, 1, 31, 10, 15)),  # noqa: DTZ001  it has none
        ("aGVsbG8=", "binary", b"hello"),
        ("[1, null]", "array<int>", [1, None]),
        ("{a: 1, b: [x]}", "struct<a:int,b:array<string>>", {"a": 1, "b": ["x"]}),
        ("{1: 2024-01-01}", "map<string,date>", {"1": dt.date(2024, 1, 1)}),
    ],
)
def test_values(text: str, type_: str, expected: object) -> None:
    assert value(text, type_) == expected


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("no", "string"),
        ("1984", "string"),
        ("2024-01-01", "string"),
        ("", "string"),
        ("yes", "boolean"),
        ("1", "boolean"),
        ("'7'", "int"),
        ("2147483648", "int"),
        ("1.0", "bigint"),
        ("0x10", "bigint"),
        ("010", "int"),
        ("1e3", "int"),
        ("abc", "double"),
        ("1.005", "decimal(10,2)"),
        ("100000000", "decimal(10,2)"),
        (".nan", "decimal(10,2)"),
        ("2023-02-29", "date"),
        ("2024-01-31 10:15:00", "date"),
        ("2024-01-31", "timestamp"),
        ("31.01.2024 10:15", "timestamp"),
        ("2024-01-31 10:15:00Z", "timestamp_ntz"),
        ("hello", "binary"),
        ("x", "array<string>"),
        ("{c: 1}", "struct<a:int>"),
        ("[1]", "int"),
    ],
)
def test_wrong_values(text: str, type_: str) -> None:
    with pytest.raises(WrongCell) as wrong:
        value(text, type_)
    assert wrong.value.wrong.fix


def test_an_empty_csv_field_is_null() -> None:
    assert text_cell("", parse_type("string")) is None
    assert text_cell("no", parse_type("string")) == "no"
    assert text_cell("true", parse_type("boolean")) is True


# files


def load(tmp_path: Path, text: str) -> ModelTest:
    """The only test of a file about silver.orders of the base project."""
    path = tmp_path / "tests" / "models" / "orders.yml"
    path.parent.mkdir(parents=True)
    for part in ("pipelines", "sql"):
        shutil.copytree(BASE / part, tmp_path / part)
    path.write_text(text, encoding="utf-8")
    project = load_project(tmp_path)
    (found,) = load_tests(project, reloading(lambda given: load_project(tmp_path, overrides=given)))
    return found


def rows(test: ModelTest, name: str, step: int = 0) -> list[Mapping[str, object]]:
    given = test.steps[step].given[name]
    assert isinstance(given, Table)
    return [row.values for row in given.rows]


def test_defaults_fill_rows_and_csv(tmp_path: Path) -> None:
    test = load(
        tmp_path,
        """
model: silver.orders
defaults: {raw: {country: DE, amount: 1}}
tests:
  - name: one
    given:
      raw: {csv: "order_id,amount\\na,2.5\\nb,\\n"}
    expect: {target: []}
""",
    )
    assert rows(test, "raw") == [
        {"order_id": "a", "amount": Decimal("2.50"), "country": "DE"},
        {"order_id": "b", "amount": None, "country": "DE"},
    ]


def test_a_row_wins_over_defaults(tmp_path: Path) -> None:
    test = load(
        tmp_path,
        """
model: silver.orders
defaults: {raw: {country: DE, amount: 1}, existing: {region: north}}
tests:
  - name: one
    existing: [{order_id: x}]
    given: {raw: [{order_id: a}, {order_id: b, country: null}]}
    expect: {target: []}
""",
    )
    assert [row["country"] for row in rows(test, "raw")] == ["DE", None]
    assert [row.values for row in test.existing] == [{"order_id": "x", "region": "north"}]


def test_a_key_that_no_row_names_is_numbered(tmp_path: Path) -> None:
    test = load(
        tmp_path,
        """
model: silver.orders
tests:
  - name: one
    given: {raw: [{country: DE}, {country: FR}]}
    expect: {target: []}
""",
    )
    assert [row["order_id"] for row in rows(test, "raw")] == ["row-1", "row-2"]


def test_what_is_not_given_is_empty_or_the_projects_own(tmp_path: Path) -> None:
    test = load(tmp_path, "model: silver.orders\ntests: [{name: one, given: {}, expect: {target: []}}]\n")
    assert rows(test, "raw") == []
    assert "countries" not in test.steps[0].given


def test_lines_are_json_or_text_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "tests" / "models"
    path.mkdir(parents=True)
    (path / "raw.yml").write_text(
        """
model: bronze.raw_orders
defaults: {orders: {kind: order, meta: {id: x, dt: 2024-01-01}}}
tests:
  - name: one
    given:
      orders:
        - {meta: {id: "{{ a }}"}, amount: 1.50, tags: [true, null]}
        - '{"torn'
        - [1]
    expect: {target: []}
""",
        encoding="utf-8",
    )
    for part in ("pipelines", "sql"):
        shutil.copytree(BASE / part, tmp_path / part)
    project = load_project(tmp_path)
    (test,) = load_tests(project, lambda given: project)
    given = test.steps[0].given["orders"]
    assert isinstance(given, File)
    assert given.content.decode().splitlines() == [
        '{"meta":{"id":"{{ a }}","dt":"2024-01-01"},"amount":1.5,"tags":[true,null],"kind":"order"}',
        '{"torn',
        "[1]",
    ]


def test_variables_reach_the_model(tmp_path: Path) -> None:
    test = load(
        tmp_path,
        "model: silver.orders\n"
        "tests: [{name: one, vars: {large: 7}, given: {raw: []}, expect: {target: []}}]\n",
    )
    assert test.model.vars["large"] == 7


def test_faults_of_other_models_files_are_left_out(tmp_path: Path) -> None:
    with pytest.raises(ProjectError):
        load(tmp_path, "model: silver.orders\nnonsense: 1\n")
    project = load_project(tmp_path)
    assert load_tests(project, lambda given: project, models={"gold.daily_sales"}) == ()


def test_the_shipped_tests_are_sound_and_match_their_schema() -> None:
    project = load_project(ROOT)
    tests = load_tests(project, reloading(lambda given: load_project(ROOT, overrides=given)))
    assert {test.model.id for test in tests} == {model.id for model in project.models}
    for path in find_files(ROOT):
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
        assert document["tests"]
    assert (ROOT / schema.FILE).read_text(encoding="utf-8") == schema.schema_text(), (
        "run: python -m runner.testing.schema"
    )
    jsonschema.Draft202012Validator.check_schema(schema.file_schema())


def test_the_schema_accepts_the_shipped_tests_and_refuses_misspelt_keys() -> None:
    for path in find_files(ROOT):
        document = json.loads(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")), default=str))
        jsonschema.validate(document, schema.file_schema())
        document["tests"][0]["exspect"] = {}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document, schema.file_schema())


# rows

TYPES = {name: parse_type(of) for name, of in {"id": "string", "n": "bigint", "x": "double"}.items()}


def test_order_does_not_count_and_columns_left_out_are_not_compared() -> None:
    actual = [{"id": "a", "n": 1, "x": 0.5}, {"id": "b", "n": None, "x": None}]
    assert not compare([{"id": "b", "n": None}, {"n": 1}], actual, TYPES)


def test_a_row_that_says_little_does_not_take_another_ones_partner() -> None:
    actual = [{"id": "a", "n": 1}, {"id": "b", "n": 1}]
    assert not compare([{"n": 1}, {"id": "a", "n": 1}], actual, TYPES)


def test_missing_unexpected_and_changed() -> None:
    actual = [{"id": "a", "n": 1, "x": 1.0}, {"id": "c", "n": 3, "x": 3.0}]
    found = compare([{"id": "a", "n": 2}, {"id": "b", "n": 3}], actual, TYPES, key=["id"])
    assert [row["id"] for row in found.missing] == ["b"]
    assert [row["id"] for row in found.unexpected] == ["c"]
    assert [row.columns for row in found.changed] == [("n",)]
    assert not compare([{"id": "c"}], actual, TYPES, key=["id"], contains=True)
    assert compare([{"id": "c"}], actual, TYPES, key=["id"])


def test_without_a_key_the_nearest_rows_are_compared_cell_by_cell() -> None:
    actual = [{"id": "a", "n": 1, "x": 1.0}, {"id": "b", "n": 2, "x": 2.0}]
    found = compare([{"id": "b", "n": 2, "x": 9.0}, {"id": "a", "n": 1}], actual, TYPES)
    assert [(row.actual["id"], row.columns) for row in found.changed] == [("b", ("x",))]
    assert not found.missing
    assert not found.unexpected
    nothing_alike = compare([{"id": "z", "n": 8}], actual[:1], TYPES)
    assert nothing_alike.missing
    assert nothing_alike.unexpected


def test_equal_rows_count_as_often_as_they_are_there() -> None:
    assert compare([{"n": 1}], [{"n": 1}, {"n": 1}], TYPES).unexpected
    assert compare([{"n": 1}, {"n": 1}], [{"n": 1}], TYPES).missing


def test_doubles_are_compared_to_nine_digits() -> None:
    assert not compare([{"x": 33.333333333}], [{"x": 100 / 3}], TYPES)
    assert compare([{"x": 33.33}], [{"x": 100 / 3}], TYPES)
    assert not compare([{"x": float("nan")}], [{"x": float("nan")}], TYPES)
    assert compare([{"x": 0.0}], [{"x": None}], TYPES)


def test_a_difference_is_an_aligned_table_without_escape_sequences() -> None:
    types = {name: parse_type("string") for name in ("id", "title")}
    expected = [{"id": "a", "title": "彗星"}, {"id": "b", "title": "NULL"}, {"id": "c", "title": ""}]
    actual = [{"id": "a", "title": "\x1b[31mred"}, {"id": "d", "title": None}, {"id": "c", "title": ""}]
    lines = list(difference_lines("t", compare(expected, actual, types, key=["id"]), ["id"]))
    assert lines == [
        "t: 1 row missing, 1 row unexpected, 1 row different",
        "     id  title",
        "  -  b   'NULL'",
        "  +  d   NULL",
        "  ~  a   彗星 → \\x1b[31mred",
        "  - missing   + unexpected   ~ expected → actual",
    ]


def test_long_texts_are_shown_where_they_differ() -> None:
    types = {"title": parse_type("string")}
    long = "x" * 200
    found = compare([{"title": long + "a"}], [{"title": long + "b"}], types, key=["title"])
    assert found.missing
    from runner.testing.compare import Changed, Difference

    changed = Difference(changed=(Changed({"title": long + "a"}, {"title": long + "b"}, ("title",)),))
    assert "…xxxxxxxxa → …xxxxxxxxb" in "\n".join(difference_lines("t", changed, []))
