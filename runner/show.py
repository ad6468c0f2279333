"""Print a table of the lake: for people as a table, for programs as CSV or NDJSON.

NDJSON: one object a row, columns in table order, NULL as ``null`` and never left out, UTF-8 unescaped,
dates ``YYYY-MM-DD``, timestamps ``YYYY-MM-DDTHH:MM:SS.mmmZ``, doubles in the shortest form that reads
back as the same value. The order of rows is not defined.
"""

from __future__ import annotations

import base64
import csv
import datetime as dt
import io
import itertools
import json
import math
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from runner.branch import require_there
from runner.catalog import MAIN, TableState
from runner.engine import Engine
from runner.errors import Fault, ProjectError, did_you_mean
from runner.lake import Lake
from runner.ledger import run_of
from runner.refs import TableRef, quote
from runner.spec import Project

Row = dict[str, Any]

_SHOWN = "__shown"


def show(
    project: Project,
    table: str,
    *,
    limit: int | None,
    format: str,
    at: str | None,
    write: Callable[[str], object],
    branch: str = MAIN,
    start_engine: Callable[[], Engine] | None = None,
    artifacts: Path | None = None,
) -> None:
    """Write the rows of ``table`` (``namespace.name``), at most ``limit``, at a snapshot id, or at the
    head of main or of a development branch.

    ``format`` is table, csv or ndjson. ProjectError for a table or snapshot that is not in the lake.
    """
    lake = Lake.of(project, branch)
    require_there(lake)
    state = _find(lake, table)
    snapshot = _snapshot(state, at)
    columns = list(state.columns)
    rows: Iterable[Row] = ()
    if snapshot is not None:
        from runner.sessions import start_spark  # the JVM starts only where there are rows to read

        engine = (
            start_engine or (lambda: start_spark(project, lake, artifacts or project.root / "target"))
        )()
        stop = "" if limit is None else f" LIMIT {limit}"
        engine.bind_table(_SHOWN, state.ref, snapshot)
        # An older snapshot has the columns of its time.
        types = engine.schema(_SHOWN)
        columns = list(types)
        shown = ", ".join(printed(name, type_) for name, type_ in types.items())
        rows = engine.stream_rows(f"SELECT {shown} FROM {_SHOWN}{stop}")
    for line in FORMATS[format](columns, rows):
        write(line)


def history(project: Project, table: str, write: Callable[[str], object], *, format: str) -> None:
    """Write the snapshots of a table, newest first, from its metadata: no Spark.

    ``line``: the branches and tags that stand at a snapshot; ``run``: who made it.
    """
    state = _find(Lake.of(project), table)
    refs: dict[int, list[str]] = {}
    for name, snapshot_id in sorted(state.branches.items()):
        refs.setdefault(snapshot_id, []).append(name)
    head = state.head()
    main = {s.id for s in state.ancestry(head.id)} if head else set()
    rows = [
        {
            "snapshot": s.id,
            "committed_at": f"{dt.datetime.fromtimestamp(s.timestamp_ms / 1000, dt.UTC):%Y-%m-%d %H:%M:%S}",
            "operation": s.operation,
            "rows": s.rows,
            "added": s.count("added-records"),
            "files": s.files,
            "run": run_of(s),
            "refs": ", ".join(refs.get(s.id, ())) or ("" if s.id in main else "(not in main)"),
        }
        for s in sorted(state.snapshots.values(), key=lambda s: -s.sequence)
    ]
    columns = ["snapshot", "committed_at", "operation", "rows", "added", "files", "run", "refs"]
    for line in FORMATS[format](columns, rows):
        write(line)


def printed(column: str, type_: str) -> str:
    """A column for reading: times as text, because Python's end at the years 1 and 9999."""
    name = quote(column)
    if type_ == "timestamp":
        return f"date_format({name}, \"yyyy-MM-dd'T'HH:mm:ss.SSS'Z'\") AS {name}"
    return f"CAST({name} AS STRING) AS {name}" if type_ == "date" else name


def _find(lake: Lake, table: str) -> TableState:
    try:
        ref = TableRef.parse(table)
    except ValueError:
        raise ProjectError(
            (Fault("unknown-table", None, f"'{table}' is not of the form namespace.table",
                   fix=did_you_mean(table, map(str, lake.catalog.tables()))),)
        ) from None  # fmt: skip
    state = lake.catalog.table(ref)
    if state is None:
        known = list(map(str, lake.catalog.tables()))
        raise ProjectError(
            (Fault("unknown-table", None, f"there is no table '{table}' in the lake {lake.warehouse}",
                   "" if known else "the lake holds no table yet",
                   did_you_mean(table, known) if known else "run the models first: `runner`"),)
        )  # fmt: skip
    return state


def _snapshot(state: TableState, at: str | None) -> int | None:
    if at is None:
        head = state.head()
        return head.id if head else None
    if not at.isdecimal() or int(at) not in state.snapshots:
        known = ", ".join(
            str(s) for s in sorted(state.snapshots, key=lambda i: state.snapshots[i].sequence)[-5:]
        )
        raise ProjectError(
            (Fault("unknown-snapshot", None, f"{state.ref} has no snapshot '{at}'",
                   "it never was, or it is expired", f"the newest are {known or 'none'}"),)
        )  # fmt: skip
    return int(at)


def plain(value: object) -> object:
    """A value as JSON has it: dates, timestamps, decimals, NaN and infinities as text, binary as base64."""
    match value:
        case dt.datetime():
            return value.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
        case dt.date():
            return value.isoformat()
        case bytes() | bytearray():
            return base64.b64encode(value).decode()
        case Decimal():
            return f"{value:f}"
        case float() if not math.isfinite(value):
            return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
        case dict():
            return {key if isinstance(key, str) else str(plain(key)): plain(of) for key, of in value.items()}
        case list() | tuple():
            return [plain(of) for of in value]
    return value


def ndjson(columns: list[str], rows: Iterable[Row]) -> Iterator[str]:
    """One JSON object a line."""
    for row in rows:
        yield (
            json.dumps({c: plain(row[c]) for c in columns}, ensure_ascii=False, separators=(",", ":")) + "\n"
        )


def csv_lines(columns: list[str], rows: Iterable[Row]) -> Iterator[str]:
    """A header and one line a row; NULL is an empty field, nested values are JSON."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for values in itertools.chain([columns], ([_cell(row[c], "") for c in columns] for row in rows)):
        writer.writerow(values)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def table_lines(columns: list[str], rows: Iterable[Row]) -> Iterator[str]:
    """Aligned columns for people: numbers to the right, long text cut, control characters escaped."""
    cells = [[cell(row[c]) for c in columns] for row in rows]
    numeric = [bool(cells) and all(_is_number(line[i]) for line in cells) for i in range(len(columns))]
    widths = [
        max([terminal_width(name), *(terminal_width(line[i]) for line in cells)])
        for i, name in enumerate(columns)
    ]

    def line(values: list[str]) -> str:
        padded = (
            " " * (width - terminal_width(text)) + text
            if right
            else text + " " * (width - terminal_width(text))
            for text, width, right in zip(values, widths, numeric, strict=True)
        )
        return "  ".join(padded).rstrip() + "\n"

    yield line(columns)
    yield line(["─" * width for width in widths])
    for values in cells:
        yield line(values)
    yield f"{len(cells):,} row{'s' if len(cells) != 1 else ''}\n"


def cell(value: object, null: str = "·") -> str:
    """A value for people: cut where it is long, control characters escaped."""
    return _short(_cell(value, null))


def _cell(value: object, null: str) -> str:
    flat = plain(value)
    if flat is None:
        return null
    if isinstance(flat, bool):
        return str(flat).lower()
    return json.dumps(flat, ensure_ascii=False) if isinstance(flat, dict | list) else str(flat)


def escaped(text: str) -> str:
    """Text without signs that are not printed: a stranger's escape sequences must not steer the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _short(text: str, most: int = 40) -> str:
    safe = escaped(text)
    return safe if len(safe) <= most else safe[: most - 1] + "…"


def terminal_width(text: str) -> int:
    """Cells of the terminal, not characters: 彗星 takes four."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def _is_number(text: str) -> bool:
    return text == "·" or text.lstrip("-").replace(".", "", 1).replace("e-", "", 1).isdigit()


FORMATS: dict[str, Callable[[list[str], Iterable[Row]], Iterator[str]]] = {
    "table": table_lines,
    "csv": csv_lines,
    "ndjson": ndjson,
}
