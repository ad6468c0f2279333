"""Judge the staged rows by the counts that were taken while they were staged.

In: :class:`runner.execute.Staged`. Out: a result for every row check; GateClosed, with examples, where
a check of severity error failed, a key came twice, or a key lies in two partitions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from runner.engine import Engine
from runner.errors import Fault, GateClosed, Place
from runner.execute import Staged
from runner.execute.masks import violation
from runner.refs import quote
from runner.spec import Check, Model, Severity

EXAMPLES = 3


@dataclass(frozen=True)
class CheckResult:
    """How one check went: ``status`` is pass, warn, error, quarantined or skipped.

    ``failed`` of ``total`` rows; ``detail``: what is told in place of them; ``examples``: failing rows.
    """

    name: str
    status: str
    failed: int
    total: int
    severity: Severity
    place: Place
    column: str | None = None
    detail: str = ""
    examples: tuple[str, ...] = ()

    @property
    def warns(self) -> bool:
        return self.status == "warn"


def judge(staged: Staged, engine: Engine) -> tuple[CheckResult, ...]:
    """Results of the row checks; raises GateClosed."""
    results = []
    faults: list[Fault] = []
    for bit, check in enumerate(staged.checks):
        failed = staged.count(f"check_{bit}")
        total = staged.count(f"rows_{bit}") if check.counts_rows else staged.looked_at
        over = not check.fail_above.allows(failed, total)
        results.append(result(check, failed, total, over))
        if over and check.severity is Severity.ERROR:
            columns = shown(check, staged.staging.key, staged.staging.columns)
            rows = examples(engine, staged.view, f"(_mask & {1 << bit}L) <> 0 AND NOT _aside", columns)
            faults.append(row_fault(check, staged.plan.model, failed, total, rows, fix=_FIX))
    faults += _key_faults(staged, engine)
    if faults:
        raise GateClosed(tuple(faults), tuple(results))
    return tuple(results)


def result(
    check: Check,
    failed: int,
    total: int,
    over: bool,
    detail: str = "",
    examples: tuple[str, ...] = (),
) -> CheckResult:
    """One check's result from its counts."""
    if check.severity is Severity.QUARANTINE:
        status = "quarantined" if failed else "pass"
    else:
        status = check.severity.value if over else "pass"
    return CheckResult(
        check.name, status, failed, total, check.severity, check.place, check.column, detail, examples
    )


def shown(check: Check, key: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The columns of an example: the key, and those that the check looks at."""
    sql = f"{check.args.get('sql', '')} {check.where}"
    looked_at = [check.column] if check.column else []
    looked_at += [c for c in known if c in sql]
    return tuple(dict.fromkeys((*key, *looked_at)))


_FIX = (
    "mend the rows at their source or the query, then run again;"
    " `severity: quarantine` sets such rows aside, `warn` lets them through"
)


def examples(engine: Engine, view: str, where: str, columns: Sequence[str]) -> list[str]:
    """A few rows that satisfy ``where``, each as JSON."""
    names = ", ".join(map(quote, columns))
    sql = f"SELECT {names} FROM {view} WHERE {where} ORDER BY {names} LIMIT {EXAMPLES}"
    return [example(row) for row in engine.rows(sql)]


def example(row: dict[str, object]) -> str:
    """A row in a message: JSON, values cut so that a stranger's text cannot fill the screen."""
    cut = {k: v if not isinstance(v, str) or len(v) <= 60 else v[:57] + "..." for k, v in row.items()}
    return json.dumps(cut, ensure_ascii=True, default=str)


def row_fault(check: Check, model: Model, failed: int, total: int, rows: Sequence[str], *, fix: str) -> Fault:
    """A row check that failed, with examples of rows."""
    allowed = f" (allowed: {check.fail_above})" if str(check.fail_above) != "0" else ""
    return Fault(
        "check-failed",
        check.place,
        f"check '{check.name}' of {model.target.table}: {failed:,} of {total:,} rows fail{allowed}",
        f"a row fails where {violation(check)}; for example " + "; ".join(rows),
        fix,
    )


def _key_faults(staged: Staged, engine: Engine) -> list[Fault]:
    target = staged.plan.model.target
    key = ", ".join(target.key)
    faults = []
    if copies := staged.count("duplicates"):
        rows = examples(engine, staged.view, "_copies > 1 AND NOT _aside", staged.staging.key)
        faults.append(
            Fault(
                "duplicate-key",
                target.place,
                f"{copies:,} rows of {staged.plan.model.sql} share their key ({key}) with another",
                "MERGE needs one row a key; for example " + "; ".join(rows),
                "make the query give one row a key, or declare `dedupe: {order: [...]}`",
            )
        )
    if split := staged.count("split"):
        columns = (*staged.staging.key, *target.partitions)
        rows = examples(engine, staged.view, "_split AND NOT _aside", columns)
        faults.append(
            Fault(
                "key-in-two-partitions",
                target.place,
                f"{split:,} keys of {staged.plan.model.sql} lie in more than one partition",
                "`partitions_fixed: true` says that a key never changes its partition,"
                " and the MERGE relies on it; for example " + "; ".join(rows),
                "mend the rows at their source, or remove `partitions_fixed`",
            )
        )
    return faults


def describe(results: Sequence[CheckResult]) -> list[str]:
    """One line for each check that warns."""
    return [
        f"check '{r.name}' warns: {r.failed:,} of {r.total:,} rows fail ({r.place})"
        for r in results
        if r.warns
    ]
