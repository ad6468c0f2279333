"""Comments that silence a line of lint, and those that do not."""

from __future__ import annotations

import pytest

from runner.lint.silence import silences_of_sql, silences_of_yaml


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a, -- lint: allow unused-cte: r\nb", [1]),
        ("-- lint: allow unused-cte: r\na", [2]),
        ("  -- lint: allow unused-cte: r\n-- more\n{# and more #}\na", [4]),
        ("-- lint: allow unused-cte: r\n\na", [2]),
        ("-- lint: allow unused-cte: r", [1]),
        ("{#- lint: allow unused-cte: r -#}\na", [2]),
        ("/* lint: allow unused-cte: r */ a", [1]),
        ("a -- LINT: allow unused-cte: r".replace("LINT", "lint"), [1]),
        ("'-- lint: allow unused-cte: r'", []),
        ("'it''s' -- lint: allow unused-cte: r", [1]),
        ("r'\\' -- lint: allow unused-cte: r", [1]),
        ("'\\' -- lint: allow unused-cte: r'", []),
        ("`-- lint: allow unused-cte: r`", []),
        ("-- don't\na -- lint: allow unused-cte: r", [2]),
        ("{{ var('x') }} -- lint: allow unused-cte: r", [1]),
        ("-- see lint: allow unused-cte: r", []),
    ],
)
def test_silences_of_sql(text: str, lines: list[int]) -> None:
    found = silences_of_sql(text, "a.sql")
    assert ([s.line for s in found.found], found.faults) == (lines, ())


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a: 1 # lint: allow unused-var: r", [1]),
        ("# lint: allow unused-var: r\na: 1", [2]),
        ("a: '# lint: allow unused-var: r'", []),
        ('a: "x # lint: allow unused-var: r" # lint: allow unused-var: r', [1]),
        ("a: >-\n  # lint: allow unused-var: r\nb: 1", []),
        ("a: x#lint:allow:r", []),
        ("a: {b: 1} # lint: allow unused-var: r # s", [1]),
        ("a: # lint: allow unused-var: r\n  b: 1", [1]),
    ],
)
def test_silences_of_yaml(text: str, lines: list[int]) -> None:
    found = silences_of_yaml(text, "a.yml")
    assert ([s.line for s in found.found], found.faults) == (lines, ())


@pytest.mark.parametrize(
    ("comment", "code"),
    [
        ("lint:", "bad-silence"),
        ("lint: off", "bad-silence"),
        ("lint: allow", "bad-silence"),
        ("lint: allow unused-cte", "bad-silence"),
        ("lint: allow unused-cte:", "bad-silence"),
        ("lint: allow unused-cte:  ", "bad-silence"),
        ("lint: allow unused-ctes: r", "unknown-rule"),
        ("lint: allow unknown-column: r", "cannot-be-silenced"),
        ("lint: allow not-deterministic: r", "cannot-be-silenced"),
        ("lint: allow type-clash: r", "cannot-be-silenced"),
        ("lint: allow useless-silence: r", "cannot-be-silenced"),
        ("lint: allow bad-silence: r", "cannot-be-silenced"),
    ],
)
def test_comments_that_silence_nothing(comment: str, code: str) -> None:
    for found in (
        silences_of_sql(f"a -- {comment}", "a.sql"),
        silences_of_yaml(f"a: 1 # {comment}", "a.yml"),
    ):
        assert ([fault.code for fault in found.faults], found.found) == ([code], ())
