"""The SQL that puts the differing rows of two relations side by side: pure text, no Spark.

In: a key, the columns' types on both sides. Out: a query over the views ``NEW`` and ``OLD``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runner.execute.sql import same
from runner.refs import quote

NEW, OLD, PAIRS = "__diff_new", "__diff_old", "__diff_pairs"


def pairs_sql(
    key: Sequence[str], types: Mapping[str, str], new: Mapping[str, str], old: Mapping[str, str]
) -> str:
    """The rows that differ, old and new side by side: columns ``n0…``, ``o0…`` in the order of ``types``.

    ``types``: what each column is compared as; ``new`` and ``old``: what it is on each side.

    Rows that both sides have are left out first, as many times as both have them. What is left of one
    key is paired in order.
    """
    new_rows, old_rows = (
        ", ".join(_comparable(c, side.get(c), of) for c, of in types.items()) for side in (new, old)
    )
    numbered = (
        f"row_number() OVER (PARTITION BY {', '.join(map(quote, key))}"
        f" ORDER BY {', '.join(map(quote, types))}) AS _nth"
    )
    sides = {"n": (f"SELECT {new_rows} FROM {NEW}", "o"), "o": (f"SELECT {old_rows} FROM {OLD}", "n")}
    ctes = [
        f"{alias} AS (SELECT *, {numbered} FROM ({rows} EXCEPT ALL {sides[other][0]}))"
        for alias, (rows, other) in sides.items()
    ]
    shown = [f"{alias}.{quote(c)} AS {alias}{i}" for alias in sides for i, c in enumerate(types)]
    return (
        f"WITH {', '.join(ctes)} SELECT n._nth AS _n, o._nth AS _o, {', '.join(shown)}"
        f" FROM n FULL OUTER JOIN o ON {same(key, 'n', 'o')} AND n._nth = o._nth"
    )


def _comparable(column: str, is_: str | None, compared: str) -> str:
    name = quote(column)
    if is_ is None:
        return f"NULL AS {name}"
    if compared_as(is_) != is_:
        return f"to_json({name}) AS {name}"
    return name if is_ == compared else f"CAST({name} AS {compared}) AS {name}"


def compared_as(type_: str) -> str:
    """Spark compares no maps: they are compared as JSON text."""
    return "string" if "map<" in type_ or "variant" in type_ else type_


def printed(column: str, type_: str) -> str:
    """Times as text: Python's end at the years 1 and 9999."""
    if type_ == "timestamp":
        return f"date_format({column}, \"yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'\") AS {column}"
    return f"CAST({column} AS STRING) AS {column}" if type_ == "date" else column
