"""Specs are read strictly, completely and to the letter."""

# ruff: noqa: E501 – a case is one line, so that cases can be compared

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from runner.errors import ProjectError
from runner.load import load_project, read_project
from runner.load.expand import expand
from runner.load.nodes import Unreadable, parse
from runner.load.types import column_type
from runner.load.values import Kind, Wrong, parse_scalar
from runner.refs import TableRef
from runner.root import find_root
from runner.spec import FilesInput, Threshold
from tests.projects import write

# --- variables, profiles, roots -------------------------------------------------------------------

MODEL = """
  - name: m
    sql: sql/m.sql
    sources: {{files: {{files: {{path: "{path}", format: text}}, read: changes}}}}
    target: {{table: p.m, key: [id], columns: {{id: {{type: string}}}}}}
"""


def project(
    root: Path, *, path: str = "{{ var('a') }}/x", variables: str = "{a: pipeline, b: 1}", profiles: str = ""
) -> Path:
    files = {
        "pipelines/p.yml": f"pipeline: p\nvars: {variables}\nmodels:{MODEL.format(path=path)}",
        "sql/m.sql": "",
    }
    return write(root, files | ({"profiles.yml": profiles} if profiles else {}))


def path_of(root: Path, **options: Any) -> str:
    origin = load_project(root, **options).models[0].sources[0].origin
    assert isinstance(origin, FilesInput)
    return origin.path


def test_the_command_line_wins_over_the_profile_and_that_over_the_pipeline(tmp_path: Path) -> None:
    project(tmp_path)
    assert path_of(tmp_path) == "pipeline/x"
    write(
        tmp_path,
        {"profiles.yml": "default: l\ntargets: {l: {type: local, vars: {a: profile}}, m: {type: local}}\n"},
    )
    assert path_of(tmp_path) == "profile/x"
    assert path_of(tmp_path, target="m") == "pipeline/x"
    assert path_of(tmp_path, overrides={"a": "line"}) == "line/x"
    assert load_project(tmp_path, overrides={"a": "line"}).models[0].vars == {"a": "line", "b": 1}


def test_the_lake_is_in_the_project_or_where_the_command_line_says(tmp_path: Path) -> None:
    project(tmp_path)
    assert load_project(tmp_path).profile.warehouse == str(tmp_path / ".lake")
    assert load_project(tmp_path, lake=tmp_path / "other").profile.warehouse == str(tmp_path / "other")


def test_the_root_is_the_nearest_folder_upwards(tmp_path: Path) -> None:
    project(tmp_path)
    deep = tmp_path / "sql" / "deep"
    deep.mkdir()
    assert find_root(deep) == tmp_path.resolve()
    assert find_root(Path("/")) is None


@pytest.mark.parametrize(
    ("text", "variables", "wanted"),
    [
        ("{{ var('n') }}", {"n": 5}, ("5", True)),
        ('{{var("n")}}', {"n": "5"}, ("5", False)),
        ("a {{ var('n') }} b", {"n": True}, ("a true b", False)),
        ("{{ var('n') }}{{ var('n') }}", {"n": "{{x}}"}, ("{{x}}{{x}}", False)),
        ("{a}", {}, ("{a}", True)),
    ],
)
def test_a_scalar_takes_variables(text: str, variables: dict[str, object], wanted: tuple[str, bool]) -> None:
    assert expand(text, True, variables) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "{{ n }}",
        "{{ var('n') | upper }}",
        "{% if 1 %}",
        "{# x #}",
        "{{ var(n) }}",
        "{{ var('x') }}",
        "{{ var('l') }}",
    ],
)
def test_a_scalar_takes_no_other_jinja(text: str) -> None:
    with pytest.raises(Wrong):
        expand(text, True, {"n": 1, "l": [1]})


# --- YAML -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: [" + "[" * 3, "yaml-syntax"),
        ("[" * 40 + "]" * 40, "yaml-too-large"),
        ("[" + "1," * 60_000 + "]", "yaml-too-large"),
        ("# " + "x" * (1 << 20), "file-too-large"),
        ("a: &x 1\nb: *x", "yaml-alias"),
        ("<<: *x", "yaml-alias"),
        ("a: !!python/object/apply:os.system [x]", "yaml-tag"),
        ("a: \x07", "bad-character"),
        ("", "empty-file"),
        ("---\n---\na: 1", "several-documents"),
        ("a: b: c", "yaml-syntax"),
        ("a:\n\t- b", "yaml-tab"),
    ],
)  # fmt: skip
def test_what_is_no_spec_is_refused_before_it_costs(text: str, code: str) -> None:
    with pytest.raises(Unreadable) as error:
        parse(text.encode(), "x.yml", [])
    assert error.value.fault.code == code


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        (Kind.DURATION, "5m", dt.timedelta(minutes=5)),
        (Kind.DURATION, "90d", dt.timedelta(days=90)),
        (Kind.THRESHOLD, "0.5%", Threshold(percent=0.5)),
        (Kind.THRESHOLD, "10", Threshold(count=10)),
        (Kind.FLAG, "True", True),
        (Kind.TABLE, "a.b", TableRef("a", "b")),
        (Kind.VALUE, "1.5", 1.5),
        (Kind.VALUE, "2026-01-01", "2026-01-01"),
        (Kind.SETTING, "true", "true"),
    ],
)
def test_scalars(kind: Kind, text: str, wanted: object) -> None:
    assert parse_scalar(kind, text, plain=True) == wanted


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Kind.TEXT, "no"), (Kind.TEXT, "12:30"), (Kind.TEXT, "1"), (Kind.TEXT, "~"), (Kind.NAME, "1a"), (Kind.NAME, "on"),
        (Kind.FLAG, "yes"), (Kind.FLAG, "1"), (Kind.COUNT, "-1"), (Kind.COUNT, "1.0"), (Kind.DURATION, "5 m"),
        (Kind.THRESHOLD, "101%"), (Kind.THRESHOLD, "-1"), (Kind.TABLE, "a"), (Kind.TABLE, "a.b.c"), (Kind.VALUE, "017"),
        (Kind.VALUE, "1:30"), (Kind.VALUE, "null"), (Kind.TYPE, "strng"), (Kind.SIZE, "256"),
    ],
)  # fmt: skip
def test_scalars_that_are_refused(kind: Kind, text: str) -> None:
    with pytest.raises(Wrong):
        parse_scalar(kind, text, plain=True)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Decimal(10, 2)", "decimal(10,2)"),
        ("decimal(5)", "decimal(5,0)"),
        ("LONG", "bigint"),
        ("struct< a : int , b:array<map<string,double>> >", "struct<a:int,b:array<map<string,double>>>"),
    ],
)
def test_types_have_one_spelling(text: str, wanted: str) -> None:
    assert column_type(text) == wanted == column_type(wanted)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "decimal",
        "decimal(39,1)",
        "array<int",
        "array<>",
        "struct<int>",
        "int int",
        "varchar(3)",
        "array<" * 40,
    ],
)
def test_types_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="; "):
        column_type(text)


def test_every_fault_of_every_file_at_once(tmp_path: Path) -> None:
    project(tmp_path, path="{{ var('c') }}")
    write(tmp_path, {"pipelines/q.yml": "pipeline: q\n", "pipelines/r.yml": "&"})
    with pytest.raises(ProjectError) as error:
        load_project(tmp_path, target="x", overrides={"zzz": 1})
    assert [fault.code for fault in error.value.faults] == [
        "unknown-var", "unknown-var", "missing-key", "yaml-syntax", "unknown-target",
    ]  # fmt: skip
    write(
        tmp_path,
        {
            "pipelines/q.yml": "pipeline: q\n",
            "pipelines/p.yml": "pipeline: p\nmodels:" + MODEL.format(path="x"),
        },
    )
    assert read_project(tmp_path).project.models, "what can be read is there nevertheless"
