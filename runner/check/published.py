"""The checks of a model over its published table: every row of one snapshot, and nothing is written.

All row checks are counted in one pass. What a run makes sure of at each write is asked of the whole table
here: one row a key, and with ``partitions_fixed`` one partition a key.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import exp

from runner import ledger
from runner.catalog import Catalog, TableState
from runner.check.freshness import Commits, judge_freshness
from runner.check.gate import CheckResult, examples, result, row_fault, shown
from runner.check.table import Judged, Subject, judge_table
from runner.engine import Engine
from runner.errors import Fault
from runner.execute.masks import effective_checks, violation
from runner.execute.sql import newest_sql, timed
from runner.refs import TableRef
from runner.render import TARGET_VIEW, Rendered
from runner.spec import Check, CheckKind, Model, Severity, TableInput


@dataclass(frozen=True)
class Published:
    """A model's table as readers see it. ``commits``: when each input last changed."""

    model: Model
    rendered: Rendered
    state: TableState
    now: dt.datetime
    commits: Callable[[], Commits]

    def checks(self) -> tuple[Check, ...]:
        """All checks in the order in which they are told."""
        return (*self.row_checks, *self.table_checks, *self.model.freshness_checks)

    @property
    def row_checks(self) -> tuple[Check, ...]:
        return effective_checks(self.model, self.rendered.statement.null_safe)

    @property
    def table_checks(self) -> tuple[Check, ...]:
        """The declared ones, and those that every table has."""
        target = self.model.target
        found = self.model.table_checks
        if not any(_is_key(check, self.model) for check in found):
            found += (Check(CheckKind.UNIQUE, "key_unique", target.place),)
        if target.partitions_fixed and target.partitions:
            found += (Check(CheckKind.ONE_PARTITION, "key_in_one_partition", target.place),)
        return found


def judge_published(published: Published, engine: Engine, catalog: Catalog) -> Iterator[Judged]:
    """The result of each of :meth:`Published.checks`, in that order, and the fault where it fails."""
    model, head = published.model, published.state.head()
    engine.bind_table(TARGET_VIEW, model.target.table, head.id if head else None)
    present = {column.lower() for column in published.state.columns}
    missing = {check.name: _missing(check, present, model) for check in published.checks()}
    counts = _counts(published, engine, missing)
    rows = int(counts["rows"] or 0)
    for bit, check in enumerate(published.row_checks):
        yield _skipped(check, missing) or _row_check(check, bit, published, counts, engine)
    subject = Subject(
        model,
        published.rendered,
        TARGET_VIEW,
        rows,
        touched=TARGET_VIEW,
        key_within="",
        looked_at=rows,
        inputs=_inputs(published, catalog),
        published=True,
    )
    one_row_a_key = False
    for check in published.table_checks:
        if check.kind is CheckKind.ONE_PARTITION and one_row_a_key:
            yield result(check, 0, rows, False), None
            continue
        judged = _skipped(check, missing) or judge_table(check, subject, engine, catalog)
        one_row_a_key |= _is_key(check, model) and judged[0].status == "pass"
        yield judged
    yield from _freshness(published, counts, missing)


def _is_key(check: Check, model: Model) -> bool:
    """Whether a check says that no two rows of the whole table share the key."""
    whole = check.kind is CheckKind.UNIQUE and not check.where and check.severity is Severity.ERROR
    return whole and check.columns in ((), model.target.key) and not check.fail_above.allows(1, 1)


def _counts(
    published: Published, engine: Engine, missing: Mapping[str, str]
) -> Mapping[str, int | str | None]:
    """One pass over the table: rows, rows that fail each row check, newest values."""
    found = {"rows": "count(1)"}
    for bit, check in enumerate(published.row_checks):
        if not missing[check.name]:
            found[f"check_{bit}"] = f"count_if({violation(check)})"
            if check.where:
                found[f"rows_{bit}"] = f"count_if({check.where})"
    for i, check in enumerate(timed(published.model)):
        if not missing[check.name]:
            found[f"newest_{i}"] = newest_sql(check)
    listed = ", ".join(f"{sql} AS {name}" for name, sql in found.items())
    rows = engine.rows(f"SELECT {listed} FROM {TARGET_VIEW}")
    return rows[0] if rows else dict.fromkeys(found)


def _row_check(
    check: Check, bit: int, published: Published, counts: Mapping[str, int | str | None], engine: Engine
) -> Judged:
    failed = int(counts[f"check_{bit}"] or 0)
    total = int(counts[f"rows_{bit}" if check.where else "rows"] or 0)
    quarantines = check.severity is Severity.QUARANTINE
    # A row that belongs into quarantine is in the table: that is never tolerated.
    over = failed > 0 if quarantines else not check.fail_above.allows(failed, total)
    if not over:
        return CheckResult(check.name, "pass", failed, total, check.severity, check.place, check.column), None
    model = published.model
    columns = shown(check, model.target.key, tuple(published.state.columns))
    told = tuple(examples(engine, TARGET_VIEW, violation(check), columns))
    fault = row_fault(check, model, failed, total, told, fix=_fix(model))
    status = "warn" if check.severity is Severity.WARN else "error"
    return CheckResult(
        check.name, status, failed, total, check.severity, check.place, check.column, examples=told
    ), fault


def _fix(model: Model) -> str:
    if model.replayable:
        return f"mend the rows at their source or the query, then `runner -s {model.id} --full-refresh`"
    return "correct the rows in the table: it cannot be rebuilt from inputs that were read once"


def _skipped(check: Check, missing: Mapping[str, str]) -> Judged | None:
    if not (why := missing[check.name]):
        return None
    return CheckResult(check.name, "skipped", 0, 0, check.severity, check.place, check.column, why), None


def _missing(check: Check, present: set[str], model: Model) -> str:
    """Why a check cannot look at the table: a column is a helper of the query, or not yet added."""
    named = [check.column] if check.column else []
    named += list(check.columns)
    named += [str(check.args["column"])] if "column" in check.args else []
    sql = [check.where] + ([str(check.args["sql"])] if check.kind is CheckKind.EXPRESSION else [])
    for text in filter(None, sql):
        tree = sqlglot.parse_one(f"SELECT ({text})", dialect="spark")
        named += [column.parts[0].name for column in tree.find_all(exp.Column)]
    absent = next((name for name in named if name.lower() not in present), "")
    if not absent:
        return ""
    declared = absent.lower() in {c.lower() for c in model.target.column_names}
    return f"{absent} is not in the table yet" if declared else f"only the query has {absent}"


def _inputs(published: Published, catalog: Catalog) -> dict[str, tuple[TableRef, int | None]]:
    """The snapshots that the table was made from; where one is expired, the newest."""
    position = ledger.position(published.state)
    found: dict[str, tuple[TableRef, int | None]] = {}
    for source in published.model.sources:
        if not isinstance(source.origin, TableInput):
            continue
        table = source.origin.table
        state = catalog.table(table)
        if state is None:
            continue
        known = position.inputs.get(source.name) if position else None
        head = state.head()
        pinned = known.snapshot if known and known.snapshot in state.snapshots else None
        found[source.name] = table, pinned or (head.id if head else None)
    return found


def _freshness(
    published: Published, counts: Mapping[str, int | str | None], missing: Mapping[str, str]
) -> Iterator[Judged]:
    maxima = {
        ledger.maximum_name(check): str(counts.get(f"newest_{i}") or "")
        for i, check in enumerate(timed(published.model))
    }
    results, faults = judge_freshness(
        published.model, now=published.now, maxima=maxima, commits=published.commits
    )
    at: dict[object, Fault] = {fault.place: fault for fault in faults}
    for check, found in zip(published.model.freshness_checks, results, strict=True):
        yield _skipped(check, missing) or (found, at.get(check.place))
