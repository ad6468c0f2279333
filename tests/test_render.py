"""Templates are rendered in a sandbox, and every place of the SQL leads back to the file."""

# ruff: noqa: E501 – a case is one line, so that cases can be compared

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runner.errors import Place, ProjectError
from runner.load import load_project
from runner.markers import mark, unmark
from runner.render import Rendered, render, view_name
from runner.spec import Model, Project
from runner.template import Budget, Sandbox
from tests.projects import MERGE, write

SPEC = """
pipeline: p
vars: {n: 5, l: [a, b], m: {k: v}, none: null, text: "it's"}
models:
  - name: m
    sql: sql/m.sql
    sources: {in: {table: other.t, read: changes}}
    target: {table: p.m, key: [id], columns: {id: {type: string}, a: {type: int}, b: {type: date}}}
"""


def model_of(root: Path, query: str, macros: str = "", **files: str) -> tuple[Model, Project]:
    write(
        root,
        {
            "pipelines/p.yml": SPEC,
            "sql/m.sql": MERGE.format(query=query),
            "sql/macros/m.sql": macros,
            **files,
        },
    )
    project = load_project(root)
    return project.models[0], project


def rendered(root: Path, query: str, macros: str = "") -> Rendered:
    return render(*model_of(root, query, macros))


def query_of(root: Path, query: str, macros: str = "") -> str:
    return rendered(root, query, macros).statement.using.text.strip()


def code_of(root: Path, query: str, macros: str = "") -> tuple[str, Place | None]:
    with pytest.raises(ProjectError) as error:
        rendered(root, query, macros)
    return error.value.faults[0].code, error.value.faults[0].place


# --- what templates can do ------------------------------------------------------------------------


def test_names(tmp_path: Path) -> None:
    found = rendered(tmp_path, "SELECT {{ var('n') }} FROM {{ source('in') }}")
    assert found.statement.target == "p.m"
    assert found.statement.using.text.strip() == f"SELECT 5 FROM {view_name('in')}" == "SELECT 5 FROM __in"
    (matched, _) = found.statement.clauses
    assert matched.condition is not None
    assert matched.condition.text == "NOT (t.`a` <=> s.`a` AND t.`b` <=> s.`b`)"


def test_macros_know_one_another_whatever_their_order(tmp_path: Path) -> None:
    macros = "{% macro a(x) %}[{{ b(x) }}{{ var('n') }}]{% endmacro %}{% macro b(x) %}{{ x }}{% endmacro %}"
    assert query_of(tmp_path, "{{ a('q') }}", macros) == "[q5]"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{% for x in var('l') %}{{ x }}{{ ', ' if not loop.last }}{% endfor %}", "a, b"),
        ("{{ var('l') | join(', ') }}", "a, b"),
        ("{{ var('m')['k'] }}", "v"),
        ("{% set x = 'a' ~ 1 ~ ('b' ~ 2) %}{{ x | upper }}", "A1B2"),
        ("{% if var('none') is none %}x{% endif %}", "x"),
        ("{% for i in range(3) %}{{ i * 2 }}{% endfor %}", "024"),
        ("{% for k, v in var('m') | items %}{{ k }}{{ v }}{% endfor %}", "kv"),
        ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("{{ 'a-b' | replace('-', '+') }}", "a+b"),
        ("{{ 2 ** 10 }}", "1024"),
        ("{% if true %}{% set x = 1 %}{% endif %}{{ x }}", "1"),
        (
            "{% macro f(a) %}<{{ a }}{{ caller() }}{{ varargs | length }}>{% endmacro %}{% call f(1, 2) %}x{% endcall %}",
            "<1x1>",
        ),
    ],
)
def test_structure(tmp_path: Path, template: str, text: str) -> None:
    assert query_of(tmp_path, template) == text


# --- what they cannot -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("{{ ''.__class__ }}", "template-attribute"),
        ("{{ ''['__class__'] }}", "template-attribute"),
        ("{% set a = '__cl' ~ 'ass__' %}{{ ''[a] }}", "template-attribute"),
        ("{{ source.__globals__ }}", "template-attribute"),
        ("{{ 'a'.upper() }}", "template-attribute"),
        ("{{ '%s' % 'x' }}", "template-format"),
        ("{% for x in [1] %}{{ loop.__class__ }}{% endfor %}", "template-attribute"),
        ("{{ ['x'] | map(attribute='__class__') | list }}", "unknown-filter"),
        ("{{ [1, 2] | random }}", "unknown-filter"),
        ("{{ ['a', 'b'] | sort(attribute='__class__') }}", "template-attribute"),
        ("{{ cycler }}", "unknown-name"),
        ("{{ namespace }}", "unknown-name"),
        ("{{ self }}", "not-printable"),
        ("{{ caller() }}", "unknown-name"),
        ("{{ __each }}", "not-printable"),
        ("{% include 'x' %}", "template-statement"),
        ("{% import 'x' as x %}", "template-statement"),
        ("{% extends 'x' %}", "template-statement"),
        ("{% block x %}{% endblock %}", "template-statement"),
        ("{% do 1 %}", "template-syntax"),
        ("{% if false %}{% set x = 1 %}{% endif %}{{ x }}", "unknown-name"),
        ("{{ var('l') }}", "not-printable"),
        ("{{ none }}", "not-printable"),
        ("{{ source }}", "not-printable"),
        ("{{ var('l')[5] }}", "unknown-name"),
        ("{{ 1 / 0 }}", "template-failed"),
        ("{{ source() }}", "template-failed"),
        ("{{ 1 + 'a' }}", "template-failed"),
        ("{{ source('i') }}", "unknown-source"),
        ("{{ var('nn') }}", "unknown-var"),
    ],
)
def test_reach(tmp_path: Path, template: str, code: str) -> None:
    found, place = code_of(tmp_path, f"SELECT\n  {template}")
    assert found == code
    assert place is not None
    assert (place.file, place.line) == ("sql/m.sql", 4)


DOUBLING = "".join(f"{{% set a{i + 1} = a{i} ~ a{i} %}}" for i in range(40))
SETS = "".join(f"{{% set a{i + 1} %}}{{{{ a{i} }}}}{{{{ a{i} }}}}{{% endset %}}" for i in range(40))
MACROS = "{% macro a0() %}x{% endmacro %}" + "".join(
    f"{{% macro a{i + 1}() %}}{{{{ a{i}() }}}}{{{{ a{i}() }}}}{{% endmacro %}}" for i in range(40)
)


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("{{ 'x' * 1000000000 }}", "template-too-large"),
        ("{{ ([1] * 1000000000) | length }}", "template-too-large"),
        ("{{ 10 ** 10 ** 10 }}", "template-too-large"),
        ("{% set a0 = 'x' %}" + DOUBLING, "template-too-large"),
        ("{% set a0 = ['x'] %}" + DOUBLING.replace("~", "+"), "template-too-large"),
        ("{% set a0 = 'x' %}" + SETS + "{{ a40 }}", "template-too-large"),
        (MACROS + "{{ a40() }}", "template-too-long"),
        ("{% for a in range(9000) %}{% for b in range(9000) %}{% endfor %}{% endfor %}", "template-too-long"),
        ("{% for a in range(100000) %}x{% endfor %}", "template-range"),
        ("{% set x = 'x' * 100000 %}{{ x | replace('x', x) }}", "template-too-large"),
        ("{{ ('x' * 9000) | list | join('x' * 9000) }}", "template-too-large"),
        ("{{ ('x\n' * 90000) | indent(90000) }}", "template-too-large"),
        ("{% for a in range(5000) %}{{ 'x' * 900 }}{% endfor %}", "template-too-large"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "template-too-deep"),
        ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "template-too-deep"),
    ],
)
def test_bounds(tmp_path: Path, template: str, code: str) -> None:
    assert code_of(tmp_path, template)[0] == code


def test_all_unknown_names_at_once(tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as error:
        rendered(tmp_path, "{{ sourc('in') }}\n{{ vars('n') }}", "")
    assert [(f.code, f.place.line, f.place.col) for f in error.value.faults if f.place] == [
        ("unknown-name", 3, 4), ("unknown-name", 4, 4),
    ]  # fmt: skip
    assert [f.fix for f in error.value.faults] == ["did you mean 'source'?", "did you mean 'var'?"]


def test_a_fault_in_a_macro_has_its_place_there(tmp_path: Path) -> None:
    macros = "{% macro a(x) %}\n  {{ var(x) }}{% endmacro %}"
    assert code_of(tmp_path, "{{ a('zz') }}", macros) == ("unknown-var", Place("sql/macros/m.sql", 2, 3))


def test_two_macros_of_one_name(tmp_path: Path) -> None:
    found = code_of(tmp_path, "SELECT 1", "{% macro a() %}{% endmacro %}\n{% macro var() %}{% endmacro %}")
    assert found == ("duplicate-macro", Place("sql/macros/m.sql", 2, 10))


# --- the way back ---------------------------------------------------------------------------------

WORDS = iter(range(10**9))
#: Pieces of a template in which every @ becomes a word that is nowhere else.
pieces = st.lists(
    st.sampled_from(
        [
            "@", " @ ", "\n", "\n  @", "{{ x }}", "{{- x -}}", " {{- x }} ", "{{ long }}", "{# c\n@c #}", "{#- c -#}",
            "{% if true %}@{% endif %}", "{%- if true -%} @\n {%- endif -%}", "{% for i in [1, 2] %}\n@{{ i }} @{% endfor %}",
            "{% raw %}{{ @ }}\n@{% endraw %}", "{% set y = 1 -%}\n", "{% set z %}\n a {{ x }}\n{% endset %}{{ z }}",
            "{% filter upper %}\nq{% endfilter %}", "é😀@", "\r\n@", "{% macro f() %}\nr{% endmacro %}{{ f() }}", "''", "\t@",
        ]
    ),
    max_size=25,
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(pieces=pieces)
@example(pieces=["{%- if true -%} @\n {%- endif -%}", "@", "{{- x -}}", "\n", " @ "])
def test_every_word_leads_back_to_where_it_was_written(pieces: list[str]) -> None:
    source = re.sub("@", lambda _: f"w{next(WORDS)}w", "".join(pieces)).replace("\r\n", "\n")
    sandbox = Sandbox(Budget())
    names: dict[str, Any] = {"x": "X\nX", "long": "L" * 50}
    marked = mark(source, sandbox)
    found = unmark(sandbox.from_string(marked.text).render(names), marked, "m.sql")

    assert found.rendered == sandbox.from_string(source).render(names), "marks change nothing"
    lines = source.split("\n")
    for word in re.finditer(r"w\d+w", found.rendered):
        line = found.rendered.count("\n", 0, word.start()) + 1
        col = word.start() - found.rendered.rfind("\n", 0, word.start())
        place = found.at(line, col)
        assert lines[place.line - 1][place.col - 1 :].startswith(word[0])
    for made in re.finditer("[XL]", found.rendered):
        place = found.at_offset(made.start())
        assert lines[place.line - 1][place.col - 1 :].startswith(("{{", "{% filter"))


def test_positions_outside_the_text_lead_to_its_ends(tmp_path: Path) -> None:
    places = rendered(tmp_path, "SELECT 1").places
    assert places.at(1, 1) == Place("sql/m.sql", 1, 1)
    assert places.at(999, 999).line >= 7


# --- the fingerprint ------------------------------------------------------------------------------


def print_of(root: Path, spec: str = SPEC, query: str = "SELECT a FROM {{ source('in') }}") -> str:
    write(root, {"pipelines/p.yml": spec, "sql/m.sql": MERGE.format(query=query)})
    project = load_project(root)
    return render(project.models[0], project).fingerprint


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (
            ("    sql: sql/m.sql", "    sql: sql/m.sql\n    owner: me\n    tags: [x]\n    description: y"),
            True,
        ),
        (("key: [id]", "key: [id]\n      ".replace("\n      ", "")), True),
        (("a: {type: int}", "a: {type: bigint}"), False),
        (("a: {type: int}", "a: {type: integer}"), True),
        (("a: {type: int}", "a: {type: int, checks: [not_null]}"), False),
        (("read: changes", "read: all"), False),
        (("table: other.t", "table: other.u"), False),
        (("key: [id]", "key: [id], partitions: [b]"), False),
        (("key: [id]", "key: [id], max_deleted: 5"), True),
    ],
)
def test_the_fingerprint_is_of_what_decides_rows(tmp_path: Path, change: tuple[str, str], same: bool) -> None:
    assert (print_of(tmp_path) == print_of(tmp_path, SPEC.replace(*change))) is same


def test_the_fingerprint_is_of_the_statement_not_of_its_layout(tmp_path: Path) -> None:
    first = print_of(tmp_path)
    assert print_of(tmp_path, query="select  a -- why\n  from {{ source('in') }}") == first
    assert print_of(tmp_path, query="SELECT b FROM {{ source('in') }}") != first
    assert print_of(tmp_path, query="SELECT {{ var('n') }} FROM {{ source('in') }}") != first
    changed = SPEC.replace("n: 5", "n: 6")
    assert print_of(tmp_path, changed, "SELECT {{ var('n') }}") != print_of(
        tmp_path, SPEC, "SELECT {{ var('n') }}"
    )
