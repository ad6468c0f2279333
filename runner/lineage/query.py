"""A piece of an analyst's SQL, parsed, that knows where each of its nodes was written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from sqlglot import Token, TokenType, exp
from sqlglot.errors import ParseError, SqlglotError

from runner.errors import Fault, Place
from runner.tokens import line_col, parsed, tokens_of


@dataclass(frozen=True)
class Call:
    """``name(`` in the text: the name in lower case, and its offset."""

    name: str
    start: int


@dataclass(frozen=True)
class Query:
    """``tree`` is the parse of ``text``; ``locate`` turns an offset of it into a place."""

    tree: exp.Expr
    text: str
    locate: Callable[[int], Place]

    @cached_property
    def tokens(self) -> list[Token]:
        return tokens_of(self.text)

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        """Every name that an opening parenthesis follows, quoted or not, in the order of the text."""
        pairs = zip(self.tokens, self.tokens[1:], strict=False)
        return tuple(
            Call(token.text.lower(), token.start)
            for token, after in pairs
            if after.token_type is TokenType.L_PAREN and token.token_type is not TokenType.STRING
        )

    def place(self, node: exp.Expr | None) -> Place:
        """Where a node begins, as far as the parse tells: at its first name."""
        return self.locate(self.start(node))

    def start(self, node: exp.Expr | None) -> int:
        """The offset of the first name within a node; 0 where it has none."""
        if node is None:
            return 0
        starts = [found.meta["start"] for found in node.find_all(exp.Identifier) if "start" in found.meta]
        return min(starts, default=0)

    def place_of_word(self, node: exp.Expr, kind: TokenType) -> Place:
        """Where the first keyword of a kind stands after the beginning of ``node``."""
        start = self.start(node)
        return self.locate(
            next((t.start for t in self.tokens if t.token_type is kind and t.start > start), start)
        )

    def place_of_call(self, node: exp.Expr, *names: str) -> Place:
        """Where the call of one of ``names`` that ``node`` came from stands."""
        inside = self.start(node)
        before = [
            call.start for call in self.calls if call.name in names and (call.start < inside or not inside)
        ]
        return self.locate(before[-1] if before else inside)


def parse_query(text: str, locate: Callable[[int], Place]) -> Query | Fault:
    """The one query of ``text``, or the fault of a text that is none."""
    tree = _parsed(text, locate)
    if isinstance(tree, Fault):
        return tree
    inner = tree
    while isinstance(inner, exp.Subquery | exp.Paren) and isinstance(inner.this, exp.Expr):
        inner = inner.this
    if not isinstance(inner, exp.Select | exp.SetOperation):
        return Fault(
            "not-a-query",
            locate(0),
            "USING holds no SELECT",
            "the rows of the target are what a query returns",
            "write USING (SELECT … FROM {{ source('name') }}) AS s",
        )
    return Query(tree, text, locate)


def parse_expression(text: str, locate: Callable[[int], Place]) -> Query | Fault:
    """One expression of a spec, for example a predicate."""
    # In parentheses, as the engine will put it: what ends early, goes on or hides the end is refused.
    before = "SELECT ("
    sql = f"{before}{text})"
    tree = _parsed(sql, lambda offset: locate(max(0, offset - len(before))))
    if isinstance(tree, Fault):
        return tree
    only = tree.expressions[0] if isinstance(tree, exp.Select) and len(tree.expressions) == 1 else None
    if (
        not isinstance(only, exp.Paren | exp.Subquery)
        or tree.args.get("from_")
        or isinstance(only.this, exp.Alias)
    ):
        return Fault(
            "sql-syntax",
            locate(0),
            f"'{text}' is not one expression",
            "it is put into a statement of the engine",
            "write one predicate or value over columns",
        )
    return Query(
        only.this if isinstance(only, exp.Paren) else only,
        sql,
        lambda offset: locate(max(0, offset - len(before))),
    )


def _parsed(text: str, locate: Callable[[int], Place]) -> exp.Expr | Fault:
    try:
        trees = parsed(text)
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        line, col = first.get("line") or 1, first.get("col") or 1
        word = str(first.get("highlight") or "")
        # The column that sqlglot tells is that of the word's end.
        offset = _offset(text, line, col - len(word))
        said = re.sub(r" for <class '[^']*'>", "", str(first.get("description") or error)).rstrip(".")
        near = f" at '{' '.join(word.split())[:40]}'" if word.strip() else ""
        return Fault(
            "sql-syntax",
            locate(offset),
            f"this is not Spark SQL: {said.lower()}{near}",
            "a query that cannot be parsed cannot be checked",
            "check commas, brackets and keywords before this place",
        )
    except (SqlglotError, RecursionError) as error:
        return Fault(
            "sql-syntax",
            locate(0),
            f"this is not Spark SQL: {type(error).__name__}",
            "a query that cannot be parsed cannot be checked",
            "simplify the query",
        )
    if len(trees) != 1 or trees[0] is None:
        return Fault(
            "sql-syntax",
            locate(0),
            "this is not one query",
            "the rows of the target are what one query returns",
            "write one SELECT",
        )
    return trees[0]


def _offset(text: str, line: int, col: int) -> int:
    offset = 0
    for _ in range(line - 1):
        found = text.find("\n", offset)
        if found < 0:
            break
        offset = found + 1
    return min(offset + max(col, 0), len(text))


def locator(text: str, line: int, col: int, at: Callable[[int, int], Place]) -> Callable[[int], Place]:
    """Places of offsets of ``text``, which stands at ``line`` and ``col`` of a larger one."""

    def locate(offset: int) -> Place:
        down, right = line_col(text, offset)
        return at(line + down - 1, right + (col - 1 if down == 1 else 0))

    return locate


def selects(tree: exp.Expr) -> Iterator[exp.Select]:
    """Every SELECT of a query, outer ones first."""
    yield from tree.find_all(exp.Select)


def inside(node: exp.Expr) -> Iterator[exp.Expr]:
    """The nodes of one level: those of nested queries are left out."""
    yield from level(node)[0]


def level(node: exp.Expr) -> tuple[list[exp.Expr], list[exp.Expr]]:
    """The nodes of one level, and the queries directly within it."""
    nodes: list[exp.Expr] = []
    queries: list[exp.Expr] = []
    stack = [node]
    while stack:
        found = stack.pop()
        nodes.append(found)
        if type(found) is exp.Column:
            continue  # its parts are names
        for child in found.iter_expressions(reverse=True):
            (queries if isinstance(child, exp.Query) else stack).append(child)
    return nodes, queries
