"""Results → tables in Markdown, put between markers of a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class MarkerMissing(Exception):
    """The document has no place for a block."""


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; numbers are right-aligned, floats have two decimals."""
    numeric = [
        all(isinstance(row[i], int | float) and not isinstance(row[i], bool) for row in rows)
        for i in range(len(columns))
    ]
    lines = [_line(columns), _line(["---:" if n else "---" for n in numeric])]
    return "\n".join(lines + [_line([_cell(value) for value in row]) for row in rows])


def put(document: str, name: str, block: str) -> str:
    """The document with ``block`` between ``<!-- bench:name -->`` and ``<!-- /bench:name -->``."""
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    before, found, rest = document.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise MarkerMissing(f"{begin} … {end}")
    return f"{before}{begin}\n\n{block}\n\n{end}{after}"


def facts(of: Mapping[str, object]) -> str:
    """Names and values as one line."""
    return " · ".join(f"{name} {value}" for name, value in of.items())


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value).replace("|", "\\|")
