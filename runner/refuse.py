"""Runs that are refused while they are planned: what would lose rows, or put older code over newer.

In: a model, how its inputs are read, the states that say who built the target. Out: the error to raise.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable

from runner import ledger
from runner.catalog import Snapshot, TableState
from runner.errors import Fault, ProjectError, RunFailed, fail
from runner.reads import TableRead
from runner.spec import Model, Read


def cannot_continue(model: Model, read: TableRead) -> RunFailed:
    """A model that is not rebuilt, and an input whose changes cannot be told any more."""
    return RunFailed(
        Fault(
            "snapshot-expired",
            read.source.place,
            f"snapshot {read.since} of {read.table}, which {model.id} consumed last, {read.lost}",
            f"without it, what changed in {read.table} since is unknown, and {model.id} cannot be rebuilt",
            "roll the table back to before the rows and run again, or build a new lake with --lake DIR",
        )
    )


def cannot_refresh(model: Model) -> ProjectError:
    """``--full-refresh`` of a model whose rows cannot be made again."""
    return fail(
        "not-rebuildable",
        model.place,
        f"{model.id} cannot be rebuilt with --full-refresh",
        why="its rows come from files or a stream that are read once"
        if not model.history
        else "`history: true` says that its rows are not a function of its inputs",
        fix="roll the table back to before the rows and run again, or build a new lake with --lake DIR",
    )


def newer_code(
    model: Model, fingerprint: str, target: TableState | None, code_version: str
) -> ProjectError | None:
    """The refusal to rebuild a target that newer code built since; None where ours is the newest.

    Newer is a later version of the runner, or code that built the target after ours did: two deployments
    with different code would otherwise rebuild it in turns, each over the other.
    """
    last = ledger.position_snapshot(target)
    if target is None or last is None:
        return None
    position = ledger.parse(last)
    if _release(position.code_version) > _release(code_version):
        since = f"runner {position.code_version}, and this is {code_version}"
    elif ours := _built_with(fingerprint, target, last):
        since = f"other code, after this code built it at {_utc(ours)}"
    else:
        return None
    # A position that maintenance carried over has the time of the maintenance.
    at = "" if ledger.CARRIED in last.summary else f" at {_utc(last)}"
    return fail(
        "newer-code",
        model.place,
        f"{model.target.table} was built last by newer code than this: in run {position.run_id}{at}",
        why=f"it was built with {since}; a rebuild would undo that, and the newer code would make it again",
        fix=f"deploy the newer code here; if this is a revert, `runner -s {model.id} --full-refresh`",
    )


def _built_with(fingerprint: str, target: TableState, last: Snapshot) -> Snapshot | None:
    """The newest ancestor of ``last`` that code of this fingerprint built."""
    for snapshot in target.ancestry(last.parent):
        if ledger.RESET in snapshot.summary:
            break
        # A position that maintenance carried over counts as well: the commit that wrote it may be expired.
        if ledger.INPUTS in snapshot.summary and snapshot.summary.get(ledger.FINGERPRINT) == fingerprint:
            return snapshot
    return None


def _release(version: str) -> tuple[int, ...]:
    """The numbers of a version, to compare: ``0.10.1`` → (0, 10, 1); empty where it is none."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(number) for number in found[0].split(".")) if found else ()


def _utc(snapshot: Snapshot) -> str:
    return f"{dt.datetime.fromtimestamp(snapshot.timestamp_ms / 1000, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def retained_rows(model: Model, reason: str, tables: Iterable[TableRead]) -> RunFailed | None:
    """The refusal of a rebuild that would delete rows whose sources left by retention; None where none would.

    Where the retention's column is one of the target, a rebuild spares the rows before its day.
    """
    for read in tables:
        if read.source.read is not Read.CHANGES or read.horizon is None:
            continue
        column, before = read.horizon
        if column not in model.target.column_names:
            return RunFailed(
                Fault(
                    "retained-rows",
                    read.source.place,
                    f"{model.id} is to be rebuilt ({reason}), and rows of {read.table} with {column} before"
                    f" {before} left by retention",
                    f"what was made of them would be deleted, and {model.target.table} has no '{column}' to"
                    " tell those rows by",
                    f"keep the column '{column}' in the target; or let them go with"
                    f" `runner -s {model.id} --full-refresh`",
                )
            )
    return None
