"""What went wrong in a test, as text for people: a table of the rows that differ, one line for each count.

Text of strangers is escaped, so that it cannot steer a terminal, and columns stand aligned in every script.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner.show import escaped, plain, terminal_width
from runner.testing.compare import Changed, Difference

_MOST_ROWS = 20
_MOST_SIGNS = 40
_AROUND = 8


def difference_lines(title: str, found: Difference, key: Sequence[str]) -> Iterator[str]:
    """The lines of a difference: a title that counts, then the rows, ``-`` missing, ``+`` unexpected and
    ``~`` with the cells that are to be and those that are."""
    counted = (
        (len(found.missing), "missing"),
        (len(found.unexpected), "unexpected"),
        (len(found.changed), "different"),
    )
    yield f"{title}: " + ", ".join(f"{n:,} {_rows(n)} {word}" for n, word in counted if n)
    columns = _columns(found, key)
    lines = [("-", [_text(row[c]) if c in row else "" for c in columns]) for row in found.missing]
    lines += [("+", [_text(row.get(c)) for c in columns]) for row in found.unexpected]
    lines += [("~", [_changed(row, c) for c in columns]) for row in found.changed]
    yield from _aligned(columns, lines[:_MOST_ROWS])
    if len(lines) > _MOST_ROWS:
        yield f"  … and {len(lines) - _MOST_ROWS:,} more"
    signs = {sign for sign, _ in lines}
    meaning = {"-": "- missing", "+": "+ unexpected", "~": "~ expected → actual"}
    yield "  " + "   ".join(text for sign, text in meaning.items() if sign in signs)


def _columns(found: Difference, key: Sequence[str]) -> list[str]:
    """The key, and what differs; of whole rows all that somebody expects."""
    names = [c for c in key if any(c in row for row in _all(found))]
    if found.missing or found.unexpected:
        named = [c for row in (*found.missing, *(r.expected for r in found.changed)) for c in row]
        # Where no row was expected at all, the first columns tell the rows apart.
        names += named or [c for row in found.unexpected for c, value in row.items() if value is not None][:6]
    names += [c for row in found.changed for c in row.columns]
    return list(dict.fromkeys(names))


def _all(found: Difference) -> Iterator[Mapping[str, Any]]:
    yield from found.missing
    yield from found.unexpected
    for row in found.changed:
        yield row.actual


def _changed(row: Changed, column: str) -> str:
    if column not in row.columns:
        return _text(row.actual.get(column))
    expected, actual = _full(row.expected[column]), _full(row.actual.get(column))
    start = _first_difference(expected, actual)
    return f"{_window(expected, start)} → {_window(actual, start)}"


def _first_difference(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _window(text: str, at: int) -> str:
    """The part of a text in which it differs from another."""
    if len(text) <= _MOST_SIGNS:
        return text
    start = max(0, at - _AROUND)
    cut = text[start : start + _MOST_SIGNS]
    return ("…" if start else "") + cut + ("…" if start + _MOST_SIGNS < len(text) else "")


def _text(value: object) -> str:
    return _window(_full(value), 0)


def _full(value: object) -> str:
    """A value as it can be told from all others: NULL from 'NULL', blanks at the ends seen."""
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value).lower()
        case str():
            safe = escaped(value)
            doubtful = not safe or safe != safe.strip() or safe == "NULL"
            return f"'{safe}'" if doubtful else safe
        case dt.datetime():
            time = (value.astimezone(dt.UTC) if value.tzinfo else value).replace(tzinfo=None)
            return time.isoformat(
                " ",
                "microseconds"
                if time.microsecond % 1000
                else "milliseconds"
                if time.microsecond
                else "seconds",
            )
    flat = plain(value)
    if isinstance(flat, list):
        return "[" + ", ".join(_full(item) for item in flat) + "]"
    if isinstance(flat, dict):
        return "{" + ", ".join(f"{escaped(name)}: {_full(item)}" for name, item in flat.items()) + "}"
    return escaped(str(flat))


def _aligned(columns: Sequence[str], lines: Sequence[tuple[str, list[str]]]) -> Iterator[str]:
    widths = [
        max([terminal_width(name), *(terminal_width(cells[i]) for _, cells in lines)])
        for i, name in enumerate(columns)
    ]
    for sign, cells in (("", list(columns)), *lines):
        padded = (
            text + " " * (width - terminal_width(text)) for text, width in zip(cells, widths, strict=True)
        )
        yield f"  {sign:1}  {'  '.join(padded)}".rstrip()


def _rows(number: int) -> str:
    return "row" if number == 1 else "rows"
