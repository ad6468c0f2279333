"""What has been consumed and run, as the commits of a target say it: the only truth of positions.

In: a table's snapshots. Out: the position that the newest ancestor carries, and the properties that
the next commit will carry in the same atomic step as its data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from runner.catalog import MAIN, Snapshot, TableState
from runner.spec import Check

PREFIX = "runner."
RUN_ID = PREFIX + "run-id"
MODEL = PREFIX + "model"
FINGERPRINT = PREFIX + "fingerprint"
CODE_VERSION = PREFIX + "code-version"
INPUTS = PREFIX + "inputs"
MAXIMA = PREFIX + "maxima"
#: A position that maintenance carried over from an earlier snapshot: that snapshot's id.
CARRIED = PREFIX + "carried-from"
#: Rows that left by a declared retention: ``{"column", "before"}``. Their leaving does not travel.
RETENTION = PREFIX + "retention"
#: The table was emptied by a rollback to before its first run: nothing older counts.
RESET = PREFIX + "reset"
#: Written on a development branch: ``{"name", "base"}``, the base being the snapshot of main that it left.
BRANCH = PREFIX + "branch"
#: Of the tables of run history: the runs whose rows a commit holds.
RUNS = PREFIX + "runs"

_POSITION = (RUN_ID, MODEL, FINGERPRINT, CODE_VERSION, INPUTS, MAXIMA)


@dataclass(frozen=True)
class InputPosition:
    """How far one input was consumed: a table's snapshot, a manifest of files, a content digest, or the
    next offsets of topics: topic → partition → offset."""

    snapshot: int | None = None
    sequence: int | None = None
    manifest: str | None = None
    digest: str | None = None
    offsets: Mapping[str, Mapping[str, int]] | None = None

    def to_json(self) -> dict[str, object]:
        return {key: value for key, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Position:
    """Who wrote a target's state, and from which inputs. ``maxima``: column → highest value seen,
    as Spark prints it; a column WHERE a predicate has a name of its own."""

    run_id: str
    model: str
    fingerprint: str
    code_version: str
    inputs: Mapping[str, InputPosition]
    maxima: Mapping[str, str] = field(default_factory=dict)

    def properties(self) -> dict[str, str]:
        """The commit properties that carry this position."""
        inputs = {name: position.to_json() for name, position in self.inputs.items()}
        return {
            RUN_ID: self.run_id,
            MODEL: self.model,
            FINGERPRINT: self.fingerprint,
            CODE_VERSION: self.code_version,
            INPUTS: json.dumps(inputs, separators=(",", ":")),
            MAXIMA: json.dumps(dict(self.maxima), separators=(",", ":")),
        }


def position(table: TableState | None, branch: str | None = None) -> Position | None:
    """What the branch's newest ancestor with a position consumed; None where there is none.

    Without ``branch`` the one that the table is read on.

    Commits of others (a hand-written UPDATE, a foreign compaction) carry no position and are walked
    past; a rollback brings the older position back with the older rows.
    """
    found = position_snapshot(table, branch)
    return parse(found) if found else None


def position_snapshot(table: TableState | None, branch: str | None = None) -> Snapshot | None:
    """The snapshot that carries a branch's position.

    A position carried over by maintenance counts only where the commit that wrote it is expired: a run
    may have published between the moment it was read and the moment it was carried over.
    """
    if table is None or (head := table.head(branch)) is None:
        return None
    carried = None
    for snapshot in table.ancestry(head.id):
        if RESET in snapshot.summary:
            break
        if INPUTS in snapshot.summary:
            if CARRIED not in snapshot.summary:
                return snapshot
            carried = carried or snapshot
    return carried


def carry(table: TableState) -> dict[str, str]:
    """The properties with which a commit of maintenance keeps main's position; empty where it has none."""
    found = position_snapshot(table)
    if found is None:
        return {}
    origin = found.summary.get(CARRIED, str(found.id))
    return {key: found.summary[key] for key in _POSITION if key in found.summary} | {CARRIED: origin}


def branched(table: TableState | None, branch: str) -> dict[str, str]:
    """The property of a commit on ``branch``; empty on main."""
    if branch == MAIN:
        return {}
    if table is not None and table.reading == branch:
        base = base_of(table, branch)
    else:
        head = table.head(MAIN) if table else None
        base = head.id if head else None
    return {BRANCH: json.dumps({"name": branch, "base": base}, separators=(",", ":"))}


def base_of(table: TableState, branch: str) -> int | None:
    """The snapshot of main from which a development branch was made; None where main had none.

    As its own commits tell it, whatever became of main since; of a branch that somebody else made, the
    newest snapshot that it shares with main.
    """
    main = {s.id for s in table.ancestry(table.branches.get(MAIN))}
    for snapshot in table.ancestry(table.branches.get(branch)):
        if snapshot.id in main:
            return snapshot.id
        if BRANCH in snapshot.summary:
            word = json.loads(snapshot.summary[BRANCH])
            if word["name"] == branch:
                base: int | None = word["base"]
                return base
    return None


def retention(snapshot: Snapshot) -> tuple[str, str]:
    """Column and day of the retention that a snapshot applied; KeyError when it applied none."""
    word = json.loads(snapshot.summary[RETENTION])
    return word["column"], word["before"]


def run_of(snapshot: Snapshot) -> str | None:
    """The run that made a snapshot; None for commits of others and of maintenance."""
    return None if CARRIED in snapshot.summary else snapshot.summary.get(RUN_ID)


def parse(snapshot: Snapshot) -> Position:
    """The position that a snapshot carries; KeyError when it carries none."""
    summary = snapshot.summary
    inputs = json.loads(summary[INPUTS])
    return Position(
        run_id=summary.get(RUN_ID, ""),
        model=summary.get(MODEL, ""),
        fingerprint=summary.get(FINGERPRINT, ""),
        code_version=summary.get(CODE_VERSION, ""),
        inputs={name: InputPosition(**value) for name, value in inputs.items()},
        maxima=json.loads(summary.get(MAXIMA, "{}")),
    )


def maximum_name(check: Check) -> str:
    """Under which name of ``maxima`` the newest value of a freshness check's column is recorded."""
    column = str(check.args["column"])
    return f"{column} WHERE {check.where}" if check.where else column


def newest(*values: str | None) -> str | None:
    """The latest of dates or timestamps, each as Spark prints it; None where there is none.

    Compared as text: Python's dates end at the years 1 and 9999, and Spark's do not.
    """
    return max((value for value in values if value), key=_by_time, default=None)


def _by_time(text: str) -> tuple[int, str]:
    sign = -1 if text.startswith("-") else 1
    year, _, rest = text.lstrip("+-").partition("-")
    return sign * int(year), rest


def runs(table: TableState | None) -> set[str]:
    """Ids of the runs whose rows main's commits brought."""
    if table is None or (head := table.head(MAIN)) is None:
        return set()
    return {run for snapshot in table.ancestry(head.id) for run in snapshot.summary.get(RUNS, "").split()}


def merge_counts(snapshot: Snapshot | None) -> tuple[int, int, int]:
    """Rows (inserted, updated, deleted) by the MERGE that made a snapshot, from its summary."""
    if snapshot is None:
        return 0, 0, 0
    key = "spark.merge-into.num-target-rows-"
    summary = snapshot.summary
    if key + "inserted" not in summary:  # an insert-only MERGE is written as an append
        return int(summary.get("added-records", 0)), 0, 0
    inserted, updated, deleted = (int(summary[key + what]) for what in ("inserted", "updated", "deleted"))
    return inserted, updated, deleted
