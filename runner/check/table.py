"""Checks that need the table: uniqueness over the touched partitions, and row counts.

They read the audit branch, before anyone else can see it.
"""

from __future__ import annotations

from typing import cast

from runner.catalog import Catalog
from runner.check.gate import EXAMPLES, CheckResult, example, result
from runner.engine import Engine
from runner.errors import Fault, GateClosed
from runner.execute import Written
from runner.execute.sql import names, partition_predicate
from runner.plan import Mode
from runner.spec import Check, CheckKind, Severity


def check_table(written: Written, engine: Engine, catalog: Catalog) -> tuple[CheckResult, ...]:
    """Results of the table checks of a written model; raises GateClosed."""
    results = []
    faults = []
    for check in written.staged.plan.model.table_checks:
        found, fault = _CHECKS[check.kind](check, written, engine, catalog)
        results.append(found)
        if fault and check.severity is Severity.ERROR:
            faults.append(fault)
    if faults:
        raise GateClosed(tuple(faults))
    return tuple(results)


def _row_count(
    check: Check, written: Written, engine: Engine, catalog: Catalog
) -> tuple[CheckResult, Fault | None]:
    target = written.staged.plan.model.target
    state = catalog.table(target.table)
    snapshot = state.snapshots.get(written.snapshot) if state and written.snapshot is not None else None
    rows = snapshot.rows if snapshot else 0
    low, high = (cast("int | None", check.args.get(name)) for name in ("min", "max"))
    over = (low is not None and rows < low) or (high is not None and rows > high)
    bounds = " and ".join(
        ([f"at least {low:,}"] if low is not None else [])
        + ([f"at most {high:,}"] if high is not None else [])
    )
    fault = Fault(
        "check-failed",
        check.place,
        f"check '{check.name}' of {target.table}: the table would have {rows:,} rows",
        f"it must have {bounds}",
        "look for what its inputs lost or gained, or change the bounds",
    )
    return result(check, int(over), rows, over), fault if over else None


def _unique(
    check: Check, written: Written, engine: Engine, catalog: Catalog
) -> tuple[CheckResult, Fault | None]:
    staged = written.staged
    target = staged.plan.model.target
    columns = tuple(cast("list[str]", check.args.get("columns") or target.key))
    # A key is looked for in the partitions that were touched; other columns in the whole table.
    within = ""
    if columns == target.key and target.partitions and staged.plan.mode is not Mode.REBUILD:
        types = {c: target.column(c).type for c in target.partitions}
        within = f" WHERE {partition_predicate('', types, staged.partitions)}"
    table = target.table.sql(engine.catalog, written.branch)
    shown = names(columns)
    found = engine.rows(
        f"SELECT {shown}, count(1) AS copies, sum(count(1)) OVER () AS rows"
        f" FROM {table}{within} GROUP BY {shown} HAVING count(1) > 1 ORDER BY {shown} LIMIT {EXAMPLES}"
    )
    failed = int(found[0]["rows"]) if found else 0
    over = not check.fail_above.allows(failed, staged.looked_at)
    examples = "; ".join(example({k: v for k, v in row.items() if k != "rows"}) for row in found)
    fault = Fault(
        "check-failed",
        check.place,
        f"check '{check.name}' of {target.table}: {failed:,} rows share ({', '.join(columns)}) with another",
        f"for example {examples}",
        "make the query give one row for each, or remove the check",
    )
    return result(check, failed, staged.looked_at, over), fault if over else None


_CHECKS = {CheckKind.ROW_COUNT: _row_count, CheckKind.UNIQUE: _unique}
