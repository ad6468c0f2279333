"""Expected rows against those that are there: which are missing, which nobody expected, which cells differ.

Order never counts, and a column that an expected row leaves out is not compared in that row.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.testing.types import Type

Values = Mapping[str, Any]
#: Sums of doubles depend on their order in the last digits; a float has seven.
_PRECISION = {"double": 1e-9, "float": 1e-6}


@dataclass(frozen=True)
class Changed:
    """A row that is there with other values in ``columns``."""

    expected: Values
    actual: Values
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """What tells the expected rows from the actual ones; false where nothing does."""

    missing: tuple[Values, ...] = ()
    unexpected: tuple[Values, ...] = ()
    changed: tuple[Changed, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.changed)


def compare(
    expected: Sequence[Values],
    actual: Sequence[Values],
    types: Mapping[str, Type],
    *,
    key: Sequence[str] = (),
    contains: bool = False,
) -> Difference:
    """The difference of two sets of rows; ``contains``: more rows may be there.

    Rows are told by ``key`` where every expected row has it, else by all that they say: the pairing that
    leaves the fewest rows without a partner, and of those the nearest ones.
    """
    if key and all(column in row for row in expected for column in key):
        pairs = _by_key(expected, actual, types, key)
    else:
        pairs = _matching(expected, actual, types)
        pairs |= _nearest(expected, actual, types, pairs)
    changed = []
    for i, j in sorted(pairs.items()):
        if columns := differing(expected[i], actual[j], types):
            changed.append(Changed(expected[i], actual[j], columns))
    taken = set(pairs.values())
    return Difference(
        missing=tuple(row for i, row in enumerate(expected) if i not in pairs),
        unexpected=() if contains else tuple(row for j, row in enumerate(actual) if j not in taken),
        changed=tuple(changed),
    )


def differing(expected: Values, actual: Values, types: Mapping[str, Type]) -> tuple[str, ...]:
    """The columns of ``expected`` that ``actual`` has another value in."""
    return tuple(c for c, value in expected.items() if not equal(value, actual.get(c), types[c]))


def equal(expected: Any, actual: Any, of: Type) -> bool:
    """Whether two values of a type are the same; NULL equals NULL, and NaN NaN."""
    if expected is None or actual is None:
        return expected is None and actual is None
    match of.name:
        case "double" | "float":
            if math.isnan(expected) or math.isnan(actual):
                return math.isnan(expected) and math.isnan(actual)
            return math.isclose(expected, actual, rel_tol=_PRECISION[of.name])
        case "timestamp" | "timestamp_ntz":
            return _utc(expected) == _utc(actual)
        case "binary":
            return bytes(expected) == bytes(actual)
        case "array":
            return len(expected) == len(actual) and all(
                equal(e, a, of.of[0]) for e, a in zip(expected, actual, strict=True)
            )
        case "struct":
            fields = zip(of.fields, of.of, strict=True)
            return all(equal(expected.get(name), actual.get(name), type_) for name, type_ in fields)
        case "map":
            return expected.keys() == actual.keys() and all(
                equal(value, actual[name], of.of[1]) for name, value in expected.items()
            )
    return bool(expected == actual)


def _utc(value: dt.datetime) -> dt.datetime:
    return value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value


def _by_key(
    expected: Sequence[Values], actual: Sequence[Values], types: Mapping[str, Type], key: Sequence[str]
) -> dict[int, int]:
    pairs: dict[int, int] = {}
    free = list(range(len(actual)))
    for i, row in enumerate(expected):
        wanted = {column: row[column] for column in key}
        for j in free:
            if not differing(wanted, actual[j], types):
                pairs[i] = j
                free.remove(j)
                break
    return pairs


def _matching(
    expected: Sequence[Values], actual: Sequence[Values], types: Mapping[str, Type]
) -> dict[int, int]:
    """The largest pairing of equal rows: a row that says little must not take another one's partner."""
    fits = [[j for j, a in enumerate(actual) if not differing(e, a, types)] for e in expected]
    owner: dict[int, int] = {}

    def place(i: int, seen: set[int]) -> bool:
        for j in fits[i]:
            if j not in seen:
                seen.add(j)
                if j not in owner or place(owner[j], seen):
                    owner[j] = i
                    return True
        return False

    for i in range(len(expected)):
        place(i, set())
    return {i: j for j, i in owner.items()}


def _nearest(
    expected: Sequence[Values], actual: Sequence[Values], types: Mapping[str, Type], pairs: Mapping[int, int]
) -> dict[int, int]:
    """Rows without a partner that agree in more than half of what is expected: they changed."""
    taken = set(pairs.values())
    near = sorted(
        (
            (len(differing(e, a, types)), i, j)
            for i, e in enumerate(expected)
            if i not in pairs
            for j, a in enumerate(actual)
            if j not in taken
        ),
    )
    found: dict[int, int] = {}
    for wrong, i, j in near:
        if i not in found and j not in found.values() and 2 * wrong < len(expected[i]):
            found[i] = j
    return found
