"""What has been consumed and run, as the commits of a target say it: the only truth of positions.

In: a table's snapshots. Out: the position that the newest ancestor carries, and the properties that
the next commit will carry in the same atomic step as its data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from runner.catalog import MAIN, Snapshot, TableState

PREFIX = "runner."
RUN_ID = PREFIX + "run-id"
MODEL = PREFIX + "model"
FINGERPRINT = PREFIX + "fingerprint"
CODE_VERSION = PREFIX + "code-version"
INPUTS = PREFIX + "inputs"
MAXIMA = PREFIX + "maxima"
RUNS = PREFIX + "runs"  # of the tables of run history: the runs whose rows a commit holds


@dataclass(frozen=True)
class InputPosition:
    """How far one input was consumed: a table's snapshot, a manifest of files, or a content digest."""

    snapshot: int | None = None
    sequence: int | None = None
    manifest: str | None = None
    digest: str | None = None

    def to_json(self) -> dict[str, int | str]:
        return {key: value for key, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Position:
    """Who wrote a target's state, and from which inputs. ``maxima``: column → highest value seen, ISO."""

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


def position(table: TableState | None, branch: str = MAIN) -> Position | None:
    """What the branch's newest ancestor with a position consumed; None where there is none.

    Commits of others (a hand-written UPDATE, a foreign compaction) carry no position and are walked
    past; a rollback brings the older position back with the older rows.
    """
    if table is None or (head := table.head(branch)) is None:
        return None
    for snapshot in table.ancestry(head.id):
        if INPUTS in snapshot.summary:
            return parse(snapshot)
    return None


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


def runs(table: TableState | None) -> set[str]:
    """Ids of the runs whose rows main's commits brought."""
    if table is None or (head := table.head()) is None:
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
