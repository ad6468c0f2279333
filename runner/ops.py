"""Run history in the lake: ``ops.runs``, a row a model and run, and ``ops.checks``, a row a check result.

In: a run's journal. Out: rows appended once each, one commit a table and run. A run that starts no engine,
or dies, leaves its journal pending, and the next run with an engine carries it over. History is no part of
a run's outcome: whatever goes wrong here is reported, and tried again by the next run.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from runner import ledger
from runner.catalog import TableState
from runner.crash import crash_point
from runner.engine import Engine
from runner.errors import Busy
from runner.lake import Lake
from runner.lock import target_lock
from runner.pending import PendingJournal, ended, remove
from runner.refs import TableRef

_log = logging.getLogger(__name__)

#: Seconds to wait for another run that writes history. Its own takes less; ours can wait for the next run.
_PATIENCE = 2.0

Row = dict[str, object]


@dataclass(frozen=True)
class OpsTable:
    """A table of run history. ``columns``: name → (type, comment); ``rows``: of one run's journal."""

    ref: TableRef
    columns: Mapping[str, tuple[str, str]]
    rows: Callable[[Mapping[str, Any]], list[Row]]

    def fitted(self, row: Row) -> Row:
        """A row with this table's columns only: a newer runner's journal may say more."""
        return {name: row[name] for name in self.columns if name in row}


class History:
    """A run's way into the tables of run history. ``warn`` takes what a person should know."""

    def __init__(self, lake: Lake, run_id: str, warn: Callable[[str], None]) -> None:
        self._lake, self._run_id, self._warn = lake, run_id, warn
        self._journal = PendingJournal(lake.journals, run_id)

    def keep(self, document: Mapping[str, Any]) -> None:
        """Make the journal's state outlive this process."""
        try:
            self._journal.store(document)
        except OSError as error:
            _log.exception("the journal of run %s cannot be stored", self._run_id)
            self._warn(f"the journal cannot be stored in {self._lake.journals}: {error.strerror or error}")

    def write(self, engine: Engine) -> None:
        """Carry over all journals whose runs have ended, this run's included."""
        self._journal.release()
        try:
            with target_lock(self._lake.locks, _RUNS.ref, timeout=_PATIENCE, run_id=self._run_id):
                _carry_over(self._lake, engine, self._warn)
        except Busy:
            return  # the next run finds our journal
        except Exception as error:  # noqa: BLE001  whatever it is, the run's outcome stands
            _log.exception("the history of run %s is not written", self._run_id)
            first = str(error).partition("\n")[0]
            self._warn(f"run history is not written, the next run tries again: {first}")

    def __enter__(self) -> History:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._journal.release()


def _carry_over(lake: Lake, engine: Engine, warn: Callable[[str], None]) -> None:
    """Append what the tables do not hold yet, then forget the journals. Under the lock of ``ops.runs``.

    Killed between the two commits or before the journals are gone, the next call finds in the commits
    which runs a table holds already.
    """
    found = ended(lake.journals)
    readable: dict[str, list[list[Row]]] = {}
    strange = list(found.unreadable)
    for path, document in found.documents.items():
        try:
            readable[path.stem] = [table.rows(document) for table in TABLES]
        except (AttributeError, KeyError, TypeError, ValueError):
            strange.append(path)
    for path in strange:
        warn(f"{path} is not a journal and is passed over; remove it")
    for index, table in enumerate(TABLES):
        state = lake.catalog.table(table.ref)
        held = ledger.runs(state)
        rows = {run: of[index] for run, of in readable.items() if run not in held and of[index]}
        if rows:
            _prepare(table, state, engine)
            appended = [table.fitted(row) for of_run in rows.values() for row in of_run]
            engine.append(table.ref, appended, {ledger.RUNS: " ".join(rows)})
            crash_point("after_ops_commit", str(table.ref))
    remove(lake.journals, readable)


def carried(lake: Lake) -> list[str]:
    """Ended runs whose journal is still there although the tables hold all of it."""
    held = {table.ref: ledger.runs(lake.catalog.table(table.ref)) for table in TABLES}
    found = []
    for path, document in ended(lake.journals).documents.items():
        try:
            wanting = [t for t in TABLES if path.stem not in held[t.ref] and t.rows(document)]
        except (AttributeError, KeyError, TypeError, ValueError):
            continue  # no journal: the next run says so
        if not wanting:
            found.append(path.stem)
    return found


def _prepare(table: OpsTable, state: TableState | None, engine: Engine) -> None:
    """Make the table, or give it the columns that an older runner did not have."""
    types = {name: type_ for name, (type_, _) in table.columns.items()}
    if state is None:
        comments = {name: comment for name, (_, comment) in table.columns.items()}
        engine.create_table(table.ref, types, partitions=["run_date"], comments=comments)
    elif missing := {name: type_ for name, type_ in types.items() if name not in state.columns}:
        engine.alter_table(table.ref, add=missing, widen={})


def _run(document: Mapping[str, Any]) -> Row:
    """What all rows of a run share."""
    about = document["metadata"]
    started = dt.datetime.fromisoformat(about["started_at"])
    return {"run_date": started.date(), "run_id": about["run_id"], "started_at": started}


def _run_rows(document: Mapping[str, Any]) -> list[Row]:
    about = document["metadata"]
    run = {
        **_run(document),
        "run_complete": about["complete"],
        "target": about["target"],
        "branch": about.get("branch"),  # of a journal that an older runner wrote, none
        "code_version": about["runner_version"],
    }
    return [
        {
            **run,
            "model": _model(result),
            "table_name": result["relation_name"],
            "status": result["status"],
            "mode": result["mode"] or None,
            "reason": result["reason"] or None,
            "execution_seconds": float(result["execution_time"]),
            **result["adapter_response"],
            "snapshot_id": result["snapshot_id"],
            "message": result["message"],
        }
        for result in document["results"]
    ]


def _check_rows(document: Mapping[str, Any]) -> list[Row]:
    run = _run(document)
    return [
        {
            **run,
            "model": _model(result),
            "table_name": result["relation_name"],
            "check_name": check["name"],
            "column_name": check["column"],
            "status": check["status"],
            "severity": check["severity"],
            "failures": check["failures"],
            "rows_checked": check["rows"],
            "declared_at": check["declared_at"],
        }
        for result in document["results"]
        for check in result["checks"]
    ]


def _model(result: Mapping[str, Any]) -> str:
    return str(result["unique_id"]).removeprefix("model.")


_SHARED = {
    "run_date": ("date", "UTC day on which the run started"),
    "run_id": ("string", "The run; data commits carry it as runner.run-id"),
    "started_at": ("timestamp", "When the run started"),
}
_MODEL = {
    "model": ("string", "pipeline.name"),
    "table_name": ("string", "The table that the model maintains"),
}
_RUNS = OpsTable(
    TableRef("ops", "runs"),
    {
        **_SHARED,
        "run_complete": ("boolean", "Whether every selected model has its row; false after a kill"),
        "target": ("string", "The target of profiles.yml"),
        "branch": ("string", "What the run wrote: main, or a development branch"),
        "code_version": ("string", "Version of the runner"),
        **_MODEL,
        "status": ("string", "success, nothing, error, gated, skipped or busy"),
        "mode": ("string", "nothing new, incremental, append or rebuild"),
        "reason": ("string", "Why in this mode, or why skipped"),
        "execution_seconds": ("double", "From plan to publication"),
        "rows_inserted": ("bigint", "Rows that the MERGE inserted"),
        "rows_updated": ("bigint", "Rows that the MERGE changed"),
        "rows_deleted": ("bigint", "Rows that the MERGE deleted"),
        "rows_read": ("bigint", "Rows that the query gave"),
        "rows_dropped": ("bigint", "Rows left out by `drop`"),
        "rows_quarantined": ("bigint", "Rows set aside"),
        "rows_late": ("bigint", "Rows later than `late` allows"),
        "files_scanned": ("bigint", "Data files read of tables read incrementally"),
        "files_total": ("bigint", "Data files of those tables"),
        "snapshot_id": ("bigint", "The snapshot that was published"),
        "message": ("string", "What was wrong"),
    },
    _run_rows,
)
_CHECKS = OpsTable(
    TableRef("ops", "checks"),
    {
        **_SHARED,
        **_MODEL,
        "check_name": ("string", "Unique in its model"),
        "column_name": ("string", "The column that the check stands with"),
        "status": ("string", "pass, warn, error or quarantined"),
        "severity": ("string", "warn, error or quarantine"),
        "failures": ("bigint", "Rows that failed; 1 for a check of the whole table"),
        "rows_checked": ("bigint", "Rows that were looked at"),
        "declared_at": ("string", "file:line:col of the check"),
    },
    _check_rows,
)

#: In the order of their commits.
TABLES = (_RUNS, _CHECKS)
