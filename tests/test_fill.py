"""Templates that are filled in without Jinja: the same text and the same map as Jinja gives, or none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.fill import fill
from runner.macros import Macros
from runner.render import _Rendering
from runner.template import Refused

VALUES = {"n": 7, "yes": True, "share": 0.5, "name": "it's {{ x }}\n", "empty": "", "none": None, "list": [1]}


def _var(name: str) -> Any:
    if name not in VALUES:
        raise Refused("unknown-var", name)
    return VALUES[name]


def _source(name: str) -> str:
    return f"__{name}"


GIVEN: dict[str, Any] = {
    "target": "a.b",
    "source": _source,
    "var": _var,
    "changed": lambda t, s: f"NOT ({t} <=> {s})",
}

PIECES = [
    "SELECT ",
    "\n",
    "  ",
    "{",
    "}",
    "}}",
    "#}",
    "'{{'",
    "{# no #}",
    "{% if true %}",
    "{% endif %}",
    "{{ target }}",
    "{{target}}",
    "{{ source('x') }}",
    '{{\n source( "x y" )\n}}',
    "{{ changed('t', 's') }}",
    "{{ changed('t') }}",
    "{{ var('n') }}",
    "{{ var('yes') }}{{ var('share') }}",
    "{{ var('name') }}",
    "{{ var('empty') }}",
    "{{- var('n') -}}",
    "{{ var('n') + 1 }}",
    "{{ source }}",
    "é\t",
]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_what_is_filled_in_is_what_jinja_renders(source: str) -> None:
    found = fill(source, "m.sql", GIVEN, Refused)
    if found is not None:
        by_jinja = _Rendering(None, "m.sql", source, Macros(), GIVEN)._by_jinja()  # type: ignore[arg-type]
        assert found == by_jinja


@pytest.mark.parametrize(
    "source",
    [
        "{{ target.x }}",
        "{{ target() }}",
        "{{ nothing }}",
        "{{ var('none') }}",
        "{{ var('list') }}",
        "{{ var('other') }}",
        "{{ var('a\\n') }}",
        "{{{ target }}}",
        "{{ var(n) }}",
        "{{ var() }}",
        "{% raw %}{{ target }}{% endraw %}",
        "{{ target",
    ],
)
def test_everything_else_is_left_to_jinja(source: str) -> None:
    assert fill(source, "m.sql", GIVEN, Refused) is None


def test_the_models_of_a_project_are_filled_in() -> None:
    source = "MERGE INTO {{ target }} AS t USING (\nSELECT * FROM {{ source('e') }}) AS s\nON t.a = s.a\n"
    found = fill(source, "m.sql", GIVEN, Refused)
    assert found is not None
    assert found.rendered == "MERGE INTO a.b AS t USING (\nSELECT * FROM __e) AS s\nON t.a = s.a\n"
    assert str(found.at(2, 15)) == "m.sql:2:15"
    assert str(found.at(3, 4)) == "m.sql:3:4"
