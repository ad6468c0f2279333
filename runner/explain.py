"""Previews of a run as text for people and as plain values for programs.

In: a :class:`runner.preview.Preview`. Out: lines, or a dictionary that JSON can write.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from runner.execute.fit import Change
from runner.plan import Mode, ModelPlan
from runner.preview import Preview
from runner.reads import FilesRead, Method, TableRead, TopicRead
from runner.spec import FilesInput, Read

#: Gives a text a look: ``paint("add", text)``; looks are add, remove, hunk, head and dim.
Paint = Callable[[str, str], str]

_INDENT = "    "
_LABEL = 10
_LONG = 120


def text(found: Preview, index: int, total: int, paint: Paint) -> Iterator[str]:
    """The lines of one model."""
    digits = len(str(total))
    head = f"{index:>{digits}} of {total} {paint('head', str(found.model.target.table))}"
    plan = found.plan
    if plan is None:
        yield f"{head}: {'skipped, ' + found.skipped_for + ' has faults' if found.skipped_for else 'faults'}"
        return
    reason = plan.reason or _after(found)
    yield f"{head}: {plan.mode}{f', {reason}' if reason else ''}"
    for label, value in _parts(found, plan):
        yield f"{_INDENT}{label:<{_LABEL}} {value}"
    for line in _code(found, plan):
        yield f"{_INDENT}{_painted(line, paint)}"


def _after(found: Preview) -> str:
    return f"after {', '.join(sorted(map(str, found.awaits)))} publishes" if found.awaits else ""


def _parts(found: Preview, plan: ModelPlan) -> Iterator[tuple[str, str]]:
    if plan.mode is Mode.NOTHING:
        return
    for table in plan.tables:
        yield table.source.name, _table(table, found, plan)
    for listed in plan.files:
        yield listed.source.name, _files(listed)
        for name in listed.hidden:
            yield "", f"passes over {name}: hidden, or a link to a folder"
    for read in plan.topics:
        yield read.source.name, read.summary()
    yield "checks", f"{found.checks:,}"
    if found.change:
        changes = ", ".join(_changes(found.change))
        yield "schema", f"{changes}; seen on main once rows have passed, before the table's checks"


def _table(read: TableRead, found: Preview, plan: ModelPlan) -> str:
    whole = _whole(read, plan)
    if read.table in found.awaits:
        what = "all rows" if whole else str(read.source.read)
        return f"{what} of {read.table}, after {read.table} publishes"
    parts = [read.summary(whole=whole)]
    if not whole and read.changed and read.until:
        parts.append(f"snapshots {read.since} to {read.until.id}")
        parts.append(str(read.method))
    elif read.until:
        parts.append(f"snapshot {read.until.id}")
    if read.source.read is Read.AFFECTED and plan.mode is Mode.INCREMENTAL and read.changed:
        parts.append("groups known at run")
    return " | ".join(parts)


def _whole(read: TableRead, plan: ModelPlan) -> bool:
    return plan.mode is Mode.REBUILD or read.source.read is Read.ALL or read.since is None


def _files(read: FilesRead) -> str:
    origin = read.source.origin
    path = origin.path if isinstance(origin, FilesInput) else ""
    size = _bytes(sum(file.size for file in read.fresh))
    if read.source.read is Read.ALL:
        return f"all of {path}, {read.total:,} file{'s' * (read.total != 1)}, {size}"
    return f"new files of {path}, {len(read.fresh):,} of {read.total:,}, {size}"


def _bytes(number: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} bytes"


def _changes(change: Change) -> Iterator[str]:
    yield from (f"rename {old} to {new}" for old, new in change.rename.items())
    yield from (f"add {name} {type_}" for name, type_ in change.add.items())
    yield from (f"widen {name} to {type_}" for name, type_ in change.widen.items())


def _code(found: Preview, plan: ModelPlan) -> Iterator[str]:
    if not found.now or plan.previous is None:
        return
    if not found.was:
        yield f"what built it in run {plan.previous.run_id} is not kept in the lake, so it is not compared"
        return
    yield from spec_differences(found.was, found.now)
    yield from sql_difference(found, plan)


def sql_difference(found: Preview, plan: ModelPlan) -> list[str]:
    """The unified diff of the SQL that built the target and ours; no lines where the text is the same."""
    run = plan.previous.run_id if plan.previous else ""
    before, after = (list(_lines(str(code.get("sql", "")))) for code in (found.was, found.now))
    return list(difflib.unified_diff(before, after, f"run {run}", found.model.sql, lineterm=""))


def _lines(sql: str) -> Iterator[str]:
    for line in sql.splitlines():
        # What `changed()` stands for is one line, in which nobody would find the column that differs.
        yield from line.replace(" AND ", "\n  AND ").splitlines() if len(line) > _LONG else (line,)


def spec_differences(was: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What the spec says otherwise: ``columns.amount: int → bigint``, ``columns.note: string, new``."""
    found: list[str] = []
    for key in dict.fromkeys((*was, *now)):
        name, before, after = f"{prefix}{key}", was.get(key), now.get(key)
        if before == after or name == "sql":
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            found += spec_differences(before, after, f"{name}.")
        elif key in was and key in now:
            found.append(f"{name}: {_told(before)} → {_told(after)}")
        else:
            value = after if key in now else before
            words = [] if isinstance(value, dict) else [_told(value)]
            found.append(f"{name}: {', '.join([*words, 'new' if key in now else 'gone'])}")
    return found


def _told(value: object) -> str:
    if isinstance(value, list):
        return f"({', '.join(map(_told, value))})"
    return "none" if value in (None, "") else str(value)


def _painted(line: str, paint: Paint) -> str:
    if line.startswith(("---", "+++")):
        return paint("dim", line)
    look = {"+": "add", "-": "remove", "@": "hunk"}.get(line[:1])
    return paint(look, line) if look else line


def summary(previews: Iterable[Preview]) -> str:
    """``5 models: 1 rebuild, 2 incremental, 2 with nothing new``."""
    counts = Counter(found.outcome for found in previews)
    words = {
        Mode.REBUILD.value: "rebuild",
        Mode.INCREMENTAL.value: "incremental",
        Mode.APPEND.value: "append",
        Mode.NOTHING.value: "with nothing new",
        "fault": "with faults",
        "skipped": "skipped",
    }
    total = sum(counts.values())
    parts = [f"{counts[outcome]} {word}" for outcome, word in words.items() if counts[outcome]]
    return f"{total} model{'s' * (total != 1)}: {', '.join(parts)}" if total else "no models"


def values(found: Preview) -> dict[str, Any]:
    """One model for programs."""
    plan = found.plan
    about: dict[str, Any] = {
        "kind": "plan",
        "model": found.model.id,
        "table": str(found.model.target.table),
        "mode": found.outcome,
        "reason": found.skipped_for and f"{found.skipped_for} has faults",
    }
    if plan is None:
        return about
    reads: tuple[TableRead | FilesRead | TopicRead, ...] = (*plan.tables, *plan.files, *plan.topics)
    about |= {
        "reason": plan.reason or _after(found),
        "inputs": [] if plan.mode is Mode.NOTHING else [_input(read, found, plan) for read in reads],
        "checks": found.checks,
        "schema": {
            "add": dict(found.change.add),
            "widen": dict(found.change.widen),
            "rename": dict(found.change.rename),
        },
        "changed": bool(found.now),
        "built_by": plan.previous.run_id if plan.previous else None,
        "spec_diff": spec_differences(found.was, found.now) if found.was else [],
        "sql_diff": sql_difference(found, plan) if found.was else [],
    }
    return about


def _input(read: TableRead | FilesRead | TopicRead, found: Preview, plan: ModelPlan) -> dict[str, Any]:
    about: dict[str, Any] = {"name": read.source.name, "read": read.source.read.value}
    if isinstance(read, FilesRead):
        size = sum(file.size for file in read.fresh)
        return about | {"files": len(read.fresh), "files_total": read.total, "bytes": size}
    if isinstance(read, TopicRead):
        return about | {
            "topic": read.topic,
            "records": read.records,
            "offsets": {str(p): [start, end] for p, (start, end) in read.fresh.items()},
        }
    about["table"] = str(read.table)
    if read.table in found.awaits:
        return about | {"since": read.since, "until": None, "after": str(read.table)}
    whole = _whole(read, plan)
    about["until"] = read.until.id if read.until else None
    if whole:
        rows, files = (read.until.rows, read.until.files) if read.until else (0, 0)
        return about | {"method": "all rows", "since": None, "rows": rows, "files": files}
    about |= {"method": read.method.value, "since": read.since}
    if read.method is Method.APPENDED:
        rows, files = read.added
        about |= {"rows": rows, "files": files}
    return about
