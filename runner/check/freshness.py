"""Freshness, from metadata and values alone: how old is the newest value, or the newest commit of an input.

A run judges it when it has published, and where nothing is new without starting Spark: newer data must
become visible however old they are, and a table that nothing comes to is the very thing to tell. The
clock is read once, at the start of a run, and handed down.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import cast

from runner import ledger
from runner.catalog import Snapshot, TableState
from runner.check.gate import CheckResult
from runner.errors import Fault
from runner.refs import TableRef
from runner.spec import Check, KafkaInput, Model, Read, Severity, TableInput

_LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)
_FAR_AHEAD = dt.datetime.max.replace(tzinfo=dt.UTC)

Commits = Mapping[str, "dt.datetime | None"]


def judge_freshness(
    model: Model, *, now: dt.datetime, maxima: Mapping[str, str], commits: Callable[[], Commits]
) -> tuple[tuple[CheckResult, ...], tuple[Fault, ...]]:
    """Results of the freshness checks of a model, and the faults of those that are errors.

    ``maxima``: newest values by :func:`runner.ledger.maximum_name`; "" where there is none. ``commits``:
    when each input last changed; asked only where a check has no column.
    """
    results, faults = [], []
    for check in model.freshness_checks:
        found, fault = _judge(check, model, now, maxima, commits)
        results.append(found)
        faults += [fault] if fault else []
    return tuple(results), tuple(faults)


def commit_times(
    model: Model,
    state: Callable[[TableRef], TableState | None],
    modified_ms: Callable[[str], Iterable[int]],
) -> dict[str, dt.datetime | None]:
    """When the inputs that move last changed: commits of tables, modification times of files; of topics, when
    the target last took records from them.

    Inputs read ``all`` count only where there are no others: reference data may rest for years.
    ``modified_ms``: of the files of a source.
    """
    moving = [s for s in model.sources if s.read is not Read.ALL] or list(model.sources)
    found: dict[str, dt.datetime | None] = {}
    for source in moving:
        if isinstance(source.origin, TableInput):
            found[str(source.origin.table)] = _last_change(state(source.origin.table))
        elif isinstance(source.origin, KafkaInput):
            found[f"'{source.name}'"] = _last_change(state(model.target.table))
        else:
            newest = max(modified_ms(source.name), default=None)
            found[f"'{source.name}'"] = None if newest is None else _from_ms(newest)
    return found


def _last_change(table: TableState | None) -> dt.datetime | None:
    """The newest commit of main that is not a compaction: that changes no row."""
    head: Snapshot | None = table.head() if table else None
    if table is None or head is None:
        return None
    changes = (s for s in table.ancestry(head.id) if s.summary.get("operation") != "replace")
    return _from_ms(next(changes, head).timestamp_ms)


def _from_ms(milliseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)


def _judge(
    check: Check,
    model: Model,
    now: dt.datetime,
    maxima: Mapping[str, str],
    commits: Callable[[], Commits],
) -> tuple[CheckResult, Fault | None]:
    warn, error = (cast("dt.timedelta | None", check.args.get(n)) for n in ("warn_after", "error_after"))
    if "column" in check.args:
        name = ledger.maximum_name(check)
        if name not in maxima:
            # Adding a check rebuilds nothing, and only a pass over rows tells their newest value.
            detail = f"the newest {name} is not recorded before the next rows come; `runner check` reads it"
            return _result(check, "warn", detail), None
        since, what = _time(maxima[name]), f"the newest {name} is {_shown(maxima[name])}"
    else:
        times = commits()
        oldest = min(times, key=lambda name: times[name] or _LONG_AGO)
        since = times[oldest] or _LONG_AGO
        shown = f"{since:%Y-%m-%d %H:%M:%S}" if times[oldest] else ""
        what = f"{oldest} last changed {shown}" if shown else f"{oldest} never had a row"
    age = now - since
    old = f", {age_text(age)} ago" if dt.timedelta(0) <= age and since > _LONG_AGO else ""
    if error is not None and age > error:
        detail = f"{what}{old}"
        fault = Fault(
            "stale",
            check.place,
            f"check '{check.name}': {model.target.table} is stale: {detail}",
            f"error_after is {age_text(error)}; nothing was withheld, since older data would be staler still",
            "look for why nothing newer arrives at its inputs",
        )
        return _result(check, "error", detail), fault
    return _result(check, "warn" if warn is not None and age > warn else "pass", f"{what}{old}"), None


def _result(check: Check, status: str, detail: str) -> CheckResult:
    severity = Severity.WARN if status == "warn" else Severity.ERROR
    return CheckResult(
        check.name, status, int(status != "pass"), 0, severity, check.place, check.column, detail
    )


def _shown(text: str) -> str:
    return text or "missing: no row has one"


def _time(text: str) -> dt.datetime:
    """A date (its midnight) or timestamp as Spark prints it, UTC; years that Python lacks are far off."""
    if not text or text.startswith("-"):
        return _LONG_AGO
    try:
        return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
    except ValueError:
        return _FAR_AHEAD


def age_text(age: dt.timedelta) -> str:
    """``2d 3h``, ``17m``, ``40s``: the two largest units."""
    seconds = int(age.total_seconds())
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    parts = [f"{n}{unit}" for n, unit in ((days, "d"), (hours, "h"), (minutes, "m")) if n]
    return " ".join(parts[:2]) or f"{seconds}s"
