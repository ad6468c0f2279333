"""The MERGE is cut at its own clauses, and the engine's MERGE is made of the parts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.cut import cut
from runner.errors import Place, ProjectError
from runner.merge import ClauseKind, Statement, merge_text
from runner.tokens import normal

PAIRS = (Path(__file__).parent / "fixtures" / "merge.txt").read_text(encoding="utf-8")


def at(line: int, col: int) -> Place:
    return Place("m.sql", line, col)


def statement(text: str) -> Statement:
    return cut(text, at)


def pairs() -> list[object]:
    found = []
    for block in re.split(r"^# ", PAIRS, flags=re.MULTILINE)[1:]:
        head, _, body = block.partition("\n")
        title, *options = head.split("; ")
        given_, _, wanted = body.partition("=>\n")
        settings: dict[str, object] = {
            name: value or True for name, _, value in (option.partition("=") for option in options)
        }
        found.append(pytest.param(given_, settings, wanted.strip(), id=title))
    return found


@pytest.mark.parametrize(("text", "options", "wanted"), pairs())
def test_what_the_engine_runs(text: str, options: dict[str, object], wanted: str) -> None:
    found = merge_text(
        target_sql="`lake`.`silver`.`m`",
        statement=statement(text),
        source_sql="staged",
        columns=["id", "a", "b"],
        key=["id"],
        **options,  # type: ignore[arg-type]
    )
    assert found == wanted


def test_a_rebuild_is_never_pruned() -> None:
    found = statement("MERGE INTO m AS t USING (SELECT 1) AS s ON t.id = s.id WHEN NOT MATCHED THEN INSERT *")
    for options in ({"pruning": "t.d IN (1)"}, {"history": True}):
        with pytest.raises(ValueError, match="rebuil"):
            merge_text(
                target_sql="m",
                statement=found,
                source_sql="x",
                rebuild=True,
                columns=["id"],
                key=["id"],
                **options,
            )  # type: ignore[arg-type]


def test_parts_are_verbatim_and_know_their_places() -> None:
    found = statement(
        "-- comment; MERGE\n"
        "MERGE INTO a.b AS t\n"
        "USING (\n"
        "  SELECT ')' AS x, \"WHEN MATCHED\" AS y -- )\n"
        ") AS s\n"
        "ON t.id = s.id\n"
        "WHEN MATCHED AND CASE WHEN t.a THEN 1 END = 1 THEN DELETE\n"
        "WHEN NOT MATCHED BY TARGET AND s.`then` > 1 THEN INSERT *\n"
        "WHEN NOT MATCHED BY SOURCE THEN DELETE;\n"
    )
    assert found.using.text == "\n  SELECT ')' AS x, \"WHEN MATCHED\" AS y -- )\n"
    assert (found.using.line, found.using.col) == (3, 8)
    assert (found.target, found.target_alias, found.source_alias) == ("a.b", "t", "s")
    kinds = [ClauseKind.MATCHED, ClauseKind.NOT_MATCHED, ClauseKind.NOT_MATCHED_BY_SOURCE]
    assert [c.kind for c in found.clauses] == kinds
    conditions = [c.condition.text if c.condition else None for c in found.clauses]
    assert conditions == ["CASE WHEN t.a THEN 1 END = 1", "s.`then` > 1", None]
    assert [c.action.text for c in found.clauses] == ["DELETE", "INSERT *", "DELETE"]
    assert [(c.text.line, c.text.col) for c in found.clauses] == [(7, 1), (8, 1), (9, 1)]


def test_a_bare_relation_becomes_a_query_at_its_own_place() -> None:
    found = statement("MERGE INTO m AS t\nUSING __x AS s ON t.id = s.id WHEN NOT MATCHED THEN INSERT *")
    padded = "\n" * (found.using.line - 1) + " " * (found.using.col - 1) + found.using.text
    assert normal(padded) == "SELECT * FROM __x"
    assert padded.split("\n")[1].index("__x") == len("USING ")


@pytest.mark.parametrize(
    ("on", "pairs", "null_safe"),
    [
        ("t.id = s.id", ("id",), ()),
        ("s.id = t.id AND (t.`a` <=> s.a)", ("id", "a"), ("a",)),
        ("t.id = s.id OR t.a = s.a", None, ()),
        ("t.id = s.a", None, ()),
        ("t.id = t.id", None, ()),
        ("t.id = s.id AND t.d > 1", None, ()),
        ("id = s.id", None, ()),
        ("true", None, ()),
    ],
)
def test_on_as_columns(on: str, pairs: tuple[str, ...] | None, null_safe: tuple[str, ...]) -> None:
    found = statement(f"MERGE INTO m AS t USING (SELECT 1) AS s ON {on} WHEN NOT MATCHED THEN INSERT *")
    assert found.key_pairs == pairs
    assert found.null_safe == frozenset(null_safe)


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("", "empty-sql", (1, 1)),
        ("-- nothing", "empty-sql", (1, 1)),
        (";", "empty-sql", (1, 1)),
        ("SELECT 1", "not-a-merge", (1, 1)),
        ("INSERT INTO m SELECT 1", "not-a-merge", (1, 1)),
        ("ADD JAR '/x.jar'", "not-a-merge", (1, 1)),
        ("WITH x AS (SELECT 1) MERGE INTO m", "with-before-merge", (1, 1)),
        ("MERGE WITH SCHEMA EVOLUTION INTO m AS t", "schema-evolution", (1, 7)),
        ("MERGE m", "merge-syntax", (1, 7)),
        ("MERGE INTO m USING (SELECT 1) AS s ON 1", "no-alias", (1, 14)),
        ("MERGE INTO m AS t USING (SELECT 1) ON 1", "no-alias", (1, 36)),
        ("MERGE INTO m AS t USING () AS s ON 1", "empty-using", (1, 25)),
        ("MERGE INTO m AS t USING SELECT 1", "using-parentheses", (1, 25)),
        ("MERGE INTO m AS t USING (SELECT 1) AS s (a) ON 1", "merge-syntax", (1, 41)),
        ("MERGE INTO m AS t USING (SELECT 1) AS s WHEN", "merge-syntax", (1, 41)),
        ("MERGE INTO m AS t USING (SELECT 1) AS s ON t.a = s.a", "no-clause", (1, 52)),
        ("MERGE INTO m AS t USING (SELECT 1) AS s ON WHEN MATCHED THEN DELETE", "merge-syntax", (1, 44)),
        ("MERGE INTO m AS t USING (SELECT 1) AS s ON 1 WHEN MATCHED THEN", "merge-syntax", (1, 59)),
        ("MERGE INTO m AS t USING (SELECT 1) AS s ON 1 WHEN MATCHED DELETE", "merge-syntax", (1, 59)),
        ("MERGE INTO m AS t USING (SELECT 1) AS s ON 1 WHEN FOUND THEN DELETE", "merge-syntax", (1, 51)),
        ("MERGE INTO m AS t USING (SELECT (1) AS s", "unbalanced", (1, 25)),
        ("MERGE INTO m AS t USING SELECT 1)", "unbalanced", (1, 33)),
        ("MERGE INTO m AS t USING (SELECT 'x) AS s", "unfinished-sql", (1, 33)),
        ('MERGE INTO m AS t USING (SELECT "x) AS s', "unfinished-sql", (1, 33)),
        ("MERGE INTO m AS t\nUSING (SELECT `x) AS s", "unfinished-sql", (2, 15)),
        ("MERGE INTO m AS t /* a /* b */ USING", "unfinished-sql", (1, 19)),
        ("MERGE INTO m AS t USING x AS s ON 1 WHEN MATCHED THEN DELETE; SELECT 1", "two-statements", (1, 63)),
    ],
)
def test_what_is_not_one_merge(text: str, code: str, place: tuple[int, int]) -> None:
    with pytest.raises(ProjectError) as error:
        statement(text)
    (fault,) = error.value.faults
    assert (fault.code, fault.place) == (code, Place("m.sql", *place))
    assert fault.why
    assert fault.fix


pieces = st.sampled_from(
    [
        "'a ; WHEN'",
        '"ON ("',
        "`THEN`",
        "/* ) */",
        "-- (\n",
        "CASE WHEN x THEN y END",
        "(SELECT (1))",
        "r'\\'",
        "t.end",
        "a[0]",
        "'é😀'",
    ]
)


@settings(max_examples=60, deadline=None)
@given(query=st.lists(pieces, max_size=6), condition=st.lists(pieces, min_size=1, max_size=4))
def test_whatever_stands_inside_a_part_does_not_cut_it(query: list[str], condition: list[str]) -> None:
    inner, when = " + ".join(["SELECT 1", *query]), " OR ".join(["true", *condition, "true"])
    text = f"MERGE INTO m AS t USING ({inner}\n) AS s ON {when} WHEN MATCHED AND {when} THEN DELETE"
    found = statement(text)
    assert found.using.text == inner + "\n"
    assert found.on.text == when
    (clause,) = found.clauses
    assert clause.condition is not None
    assert (clause.condition.text, clause.action.text) == (when, "DELETE")


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("select  A from x", "SELECT A\nFROM x -- c", True),
        ("SELECT 5L", "SELECT 5", False),
        ("SELECT 'a'", "SELECT 'A'", False),
        ("SELECT a AS Foo", "SELECT a AS foo", False),
        ("SELECT `a`", "SELECT a", False),
    ],
)
def test_one_spelling(left: str, right: str, same: bool) -> None:
    assert (normal(left) == normal(right)) is same
