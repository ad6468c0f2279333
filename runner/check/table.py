"""Checks that need the table: uniqueness, row counts, relationships, and queries of the analyst's own.

In a run they look at the audit branch, before anyone else can see it, and where it is exact only at what
the run wrote; ``runner check`` asks the same of a published snapshot, and of the whole of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from runner.catalog import Catalog
from runner.check.gate import EXAMPLES, CheckResult, example, result
from runner.engine import Engine
from runner.errors import Fault, GateClosed, fail
from runner.execute import Staged, Written
from runner.execute.sql import names, partition_predicate, same
from runner.plan import Mode
from runner.refs import TableRef, quote
from runner.render import TARGET_VIEW, Rendered, view_name
from runner.spec import Check, CheckKind, Model, Severity

_OTHER, _FAILURES = "__other", "__failures"


@dataclass(frozen=True)
class Subject:
    """What is looked at. ``table``: its name in SQL; ``rows``: how many it has.

    ``touched``: the rows that a relationship is asked of, as a relation; ``key_within``: a predicate
    outside of which no key can have come twice (empty: anywhere); ``looked_at``: rows, where a check does
    not count its own; ``inputs``: the snapshots of the model's tables that a query reads; ``all_staged``:
    the table was empty before, so that it holds the staged rows and no other.
    """

    model: Model
    rendered: Rendered
    table: str
    rows: int
    touched: str
    key_within: str
    looked_at: int
    inputs: Mapping[str, tuple[TableRef, int | None]]
    published: bool = False
    all_staged: bool = False


Judged = tuple[CheckResult, Fault | None]


def check_table(
    written: Written, engine: Engine, catalog: Catalog, row_checks: tuple[CheckResult, ...] = ()
) -> tuple[CheckResult, ...]:
    """Results of all checks of a written model: ``row_checks``, and those of the table; raises GateClosed."""
    model = written.staged.plan.model
    checks = [check for check in model.table_checks if not check.scheduled]
    if not checks:
        return row_checks
    subject = _subject(written, engine, catalog)
    judged = [(check, *judge_table(check, subject, engine, catalog)) for check in checks]
    faults = [fault for check, _, fault in judged if fault and check.severity is Severity.ERROR]
    results = (*row_checks, *(found for _, found, _ in judged))
    if faults:
        raise GateClosed(tuple(faults), results)
    return results


def judge_table(check: Check, subject: Subject, engine: Engine, catalog: Catalog) -> Judged:
    """The result of one table check, and the fault where it fails, whatever its severity."""
    return _CHECKS[check.kind](check, subject, engine, catalog)


def require_references(model: Model, catalog: Catalog) -> None:
    """ProjectError where a table that ``relationships`` looks into is not there, before any work is done."""
    for check, to in model.references:
        if to != model.target.table and catalog.table(to) is None:
            raise fail(
                "input-not-built",
                check.place_of("to"),
                f"the check '{check.name}' of {model.id} looks into {to}, which is not in the lake yet",
                why="no value could be found in it",
                fix="run the model that maintains it first, or everything with `runner`",
            )


def _subject(written: Written, engine: Engine, catalog: Catalog) -> Subject:
    staged = written.staged
    plan, target = staged.plan, staged.plan.model.target
    state = catalog.table(target.table)
    snapshot = state.snapshots.get(written.snapshot) if state and written.snapshot is not None else None
    types = {c: target.column(c).type for c in target.partitions}
    within = partition_predicate("", types, staged.partitions) if plan.mode is not Mode.REBUILD else ""
    table = target.table.sql(engine.catalog, written.branch)
    return Subject(
        plan.model,
        plan.rendered,
        table,
        rows=snapshot.rows if snapshot else 0,
        touched=_touched(staged, table, within),
        key_within=within,
        looked_at=staged.looked_at,
        inputs={r.source.name: (r.table, r.until.id if r.until else None) for r in plan.tables},
        all_staged=plan.base is None or plan.base.rows == 0,
    )


def _touched(staged: Staged, table: str, within: str) -> str:
    """The rows of the branch that have a key of the staged rows: what this run can have written."""
    plan = staged.plan
    if plan.mode is Mode.REBUILD or plan.base is None:
        return table
    key = plan.model.target.key
    rows = f"(SELECT {names(key)} FROM {staged.view} WHERE NOT _aside AND NOT _gone)"
    # A clause of a history model may leave a row in a partition that no staged row has.
    where = f" WHERE {within}" if within and not plan.model.history else ""
    return f"(SELECT * FROM {table}{where}) AS w LEFT SEMI JOIN {rows} AS k ON {same(key, 'w', 'k')}"


def _row_count(check: Check, subject: Subject, engine: Engine, catalog: Catalog) -> Judged:
    # Without `where` the snapshot's own count answers, and nothing is read.
    rows = _count(engine, subject.table, check.where) if check.where else subject.rows
    low, high = (cast("int | None", check.args.get(name)) for name in ("min", "max"))
    over = (low is not None and rows < low) or (high is not None and rows > high)
    bounds = " and ".join(
        ([f"at least {low:,}"] if low is not None else [])
        + ([f"at most {high:,}"] if high is not None else [])
    )
    has = "has" if subject.published else "would have"
    among = f" where {check.where}" if check.where else ""
    fault = Fault(
        "check-failed",
        check.place,
        f"check '{check.name}' of {subject.model.target.table}: the table {has} {rows:,} rows{among}",
        f"it must have {bounds}",
        "look for what its inputs lost or gained, or change the bounds",
    )
    detail = f"{rows:,} rows" if subject.published else ""
    return result(check, int(over), rows, over, detail), fault if over else None


def _unique(check: Check, subject: Subject, engine: Engine, catalog: Catalog) -> Judged:
    key = subject.model.target.key
    columns = check.columns or key
    if columns == key and subject.all_staged:
        # The gate has counted the staged rows of each key.
        return result(check, 0, subject.looked_at, over=False), None
    # A key is looked for in the partitions that were touched; other columns in the whole table.
    tests = [subject.key_within] if columns == key and subject.key_within else []
    tests += [f"({check.where})"] if check.where else []
    shown, where = names(columns), " AND ".join(tests)
    found = engine.rows(
        f"SELECT {shown}, count(1) AS _copies, sum(count(1)) OVER () AS _rows FROM {subject.table}"
        f"{f' WHERE {where}' if where else ''}"
        f" GROUP BY {shown} HAVING count(1) > 1 ORDER BY {shown} LIMIT {EXAMPLES}"
    )
    return _judged(
        check,
        subject,
        found,
        lambda: _count(engine, subject.table, where),
        f"share ({', '.join(columns)}) with another",
        "make the query give one row for each, or remove the check",
    )


def _relationships(check: Check, subject: Subject, engine: Engine, catalog: Catalog) -> Judged:
    to, fields = cast(TableRef, check.args["to"]), cast("list[str]", check.args["field"])
    other = subject.table
    if to != subject.model.target.table:
        state = catalog.table(to)
        if state is None:
            # Only `runner check` comes here: a run asks for the table before it begins.
            detail = f"{to} is not in the lake"
            fault = Fault("check-failed", check.place, f"check '{check.name}': {detail}", "", "run its model")
            return result(check, subject.rows, subject.rows, True, detail), fault
        head = state.head()
        engine.bind_table(_OTHER, to, head.id if head else None)
        other = _OTHER
    columns = check.columns
    there = " AND ".join(f"{quote(c)} IS NOT NULL" for c in columns)
    where = f"{there} AND ({check.where})" if check.where else there
    pairs = zip(columns, fields, strict=True)
    found = engine.rows(
        f"SELECT {names(columns)}, count(1) AS _copies, sum(count(1)) OVER () AS _rows"
        f" FROM (SELECT {names(columns)} FROM (SELECT * FROM {subject.touched}) WHERE {where}) AS c"
        f" LEFT ANTI JOIN {other} AS o ON {' AND '.join(f'c.{quote(c)} = o.{quote(f)}' for c, f in pairs)}"
        f" GROUP BY {names(columns)} ORDER BY {names(columns)} LIMIT {EXAMPLES}"
    )
    return _judged(
        check,
        subject,
        found,
        lambda: _count(engine, f"(SELECT * FROM {subject.touched})", where),
        f"have ({', '.join(columns)}) that is not in {to} ({', '.join(fields)})",
        f"bring {to} up to date first, or mend the values at their source",
    )


def _sql(check: Check, subject: Subject, engine: Engine, catalog: Catalog) -> Judged:
    query = subject.rendered.expectations[check.name]
    if subject.table != TARGET_VIEW:
        engine.define(TARGET_VIEW, f"SELECT * FROM {subject.table}")
    for name, (table, snapshot) in subject.inputs.items():
        if view_name(name) in query.rendered:
            engine.bind_table(view_name(name), table, snapshot)
    engine.define(_FAILURES, query.rendered, at=query.at)
    failed = _count(engine, _FAILURES, "")
    over = not check.fail_above.allows(failed, 0)
    rows = engine.rows(f"SELECT * FROM {_FAILURES} LIMIT {EXAMPLES}") if over else []
    told = tuple(example(row) for row in rows)
    fault = Fault(
        "check-failed",
        check.place,
        f"check '{check.name}' of {subject.model.target.table}: {check.args['path']} returns"
        f" {failed:,} rows{_allowed(check)}",
        f"each is a failure; for example {'; '.join(told)}",
        "mend what they show, or the query of the check",
    )
    detail = f"{failed:,} rows returned" if subject.published else ""
    return result(check, failed, subject.rows, over, detail, told), fault if over else None


def _one_partition(check: Check, subject: Subject, engine: Engine, catalog: Catalog) -> Judged:
    target = subject.model.target
    parts = f"struct({names(target.partitions)})"
    found = engine.rows(
        f"SELECT {names(target.key)}, CAST(min({parts}) AS STRING) AS _one,"
        f" CAST(max({parts}) AS STRING) AS _other, count(1) OVER () AS _rows FROM {subject.table}"
        f" GROUP BY {names(target.key)} HAVING NOT (min({parts}) <=> max({parts}))"
        f" ORDER BY {names(target.key)} LIMIT {EXAMPLES}"
    )
    return _judged(
        check,
        subject,
        found,
        lambda: subject.rows,
        f"are keys ({', '.join(target.key)}) in more than one partition",
        "`partitions_fixed: true` relies on it: mend the rows, or remove it",
    )


def _judged(
    check: Check,
    subject: Subject,
    found: Sequence[Mapping[str, Any]],
    count: Callable[[], int],
    what: str,
    fix: str,
) -> Judged:
    """The result where ``found`` holds examples, each with ``_rows``, the number of all rows that fail."""
    failed = int(found[0]["_rows"]) if found else 0
    # Rows are counted only where a share of them is asked for, and something failed.
    total = count() if failed and check.fail_above.percent is not None else subject.looked_at
    over = not check.fail_above.allows(failed, total)
    told = tuple(
        example({k.removeprefix("_"): v for k, v in row.items() if k != "_rows"}) for row in found if over
    )
    fault = Fault(
        "check-failed",
        check.place,
        f"check '{check.name}' of {subject.model.target.table}: {failed:,} rows {what}{_allowed(check)}",
        f"for example {'; '.join(told)}",
        fix,
    )
    return result(check, failed, total, over, examples=told), fault if over else None


def _allowed(check: Check) -> str:
    return f" (allowed: {check.fail_above})" if str(check.fail_above) != "0" else ""


def _count(engine: Engine, relation: str, where: str) -> int:
    found = engine.rows(f"SELECT count(1) AS n FROM {relation}{f' WHERE {where}' if where else ''}")
    return int(found[0]["n"]) if found else 0


_CHECKS: Mapping[CheckKind, Callable[[Check, Subject, Engine, Catalog], Judged]] = {
    CheckKind.ROW_COUNT: _row_count,
    CheckKind.UNIQUE: _unique,
    CheckKind.RELATIONSHIPS: _relationships,
    CheckKind.SQL: _sql,
    CheckKind.ONE_PARTITION: _one_partition,
}
