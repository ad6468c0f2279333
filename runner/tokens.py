"""Spark SQL as tokens with exact offsets: sqlglot's tokenizer, and what the runner asks of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sqlglot import Token, exp
from sqlglot.dialects.spark import Spark
from sqlglot.errors import ParseError, TokenError

_SPARK = Spark()
#: Words that mean the same in any case and cannot name anything.
_KEYWORDS = frozenset(
    [
        "SELECT",
        "FROM",
        "WHERE",
        "GROUP",
        "BY",
        "ORDER",
        "HAVING",
        "ON",
        "AND",
        "OR",
        "NOT",
        "CASE",
        "WHEN",
        "THEN",
        "ELSE",
        "END",
        "JOIN",
        "LEFT",
        "RIGHT",
        "FULL",
        "INNER",
        "CROSS",
        "OUTER",
        "UNION",
        "ALL",
        "DISTINCT",
        "WITH",
        "OVER",
        "PARTITION",
        "IN",
        "IS",
        "NULL",
        "TRUE",
        "FALSE",
        "BETWEEN",
        "LIKE",
        "USING",
        "MERGE",
        "INTO",
        "UPDATE",
        "SET",
        "INSERT",
        "MATCHED",
        "AS",
        "LATERAL",
        "VIEW",
        "EXISTS",
        "INTERSECT",
        "EXCEPT",
        "DESC",
        "ASC",
        "LIMIT",
        "FILTER",
    ]
)


@dataclass
class Unfinished(Exception):
    """A literal, quoted name or comment that does not end; ``start``: its offset."""

    start: int
    what: str
    closer: str


def tokens_of(text: str) -> list[Token]:
    """The tokens of ``text``; comments and blanks are between them. Unfinished, or sqlglot's TokenError."""
    try:
        return list(_tokens(text))
    except TokenError:
        if found := _unfinished(text):
            raise found from None
        raise


@lru_cache(maxsize=64)
def _tokens(text: str) -> tuple[Token, ...]:
    """Remembered, since a statement is cut, fingerprinted and looked through one after the other."""
    return tuple(_SPARK.tokenize(text))


def parsed(text: str) -> list[exp.Expr | None]:
    """The syntax trees of the statements in ``text``; sqlglot's errors where there are none."""
    try:
        return _SPARK.parser().parse(list(_tokens(text)), text)
    except TypeError as error:
        # The compiled sqlglot checks the types of its nodes, and reads `OR (SELECT 1)` as a call of OR.
        raise ParseError(f"a query stands where a condition belongs: {error}") from None


def line_col(text: str, offset: int) -> tuple[int, int]:
    """Line and column, from 1, of an offset."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def normal(text: str) -> str:
    """The text in one spelling: blanks and comments gone, keywords in upper case."""
    return " ".join(normal_words(text))


def normal_words(text: str) -> list[str]:
    """The tokens as they are written, keywords in upper case; equal lists are equal statements."""
    return list(_normal_words(text))


@lru_cache(maxsize=256)
def _normal_words(text: str) -> tuple[str, ...]:
    words: list[str] = []
    last = -1
    for token in tokens_of(text):
        # ``5L`` comes as three tokens at one place: the number, a cast and its type.
        if token.start != last:
            word = text[token.start : token.end + 1]
            upper = word.upper()
            words.append(upper if upper in _KEYWORDS else word)
        last = token.start
    return tuple(words)


def _unfinished(text: str) -> Unfinished | None:
    """The literal or comment that is still open at the end. Only asked after the tokenizer failed."""
    i = 0
    while i < len(text):
        if text.startswith("--", i):
            i = text.find("\n", i)
            if i < 0:
                return None
        elif text.startswith("/*", i):
            start, depth = i, 1
            i += 2
            while depth and i < len(text):
                step = {"/*": 1, "*/": -1}.get(text[i : i + 2], 0)
                depth += step
                i += 2 if step else 1
            if depth:
                return Unfinished(start, "the comment", "'*/'")
        elif text[i] in "'\"`":
            sign, start = text[i], i
            raw = sign != "`" and i > 0 and text[i - 1] in "rR"
            i += 1
            while i < len(text) and text[i] != sign:
                i += 2 if text[i] == "\\" and sign != "`" and not raw else 1
            if i >= len(text):
                what = "the quoted name" if sign == "`" else "the text"
                return Unfinished(start, what, f"a second {sign}")
            i += 1
        else:
            i += 1
    return None
