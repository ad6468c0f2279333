"""Execute a plan: bind the inputs, stage the rows once, set failing rows aside, MERGE into a branch.

In: a :class:`runner.plan.ModelPlan` and the engine. Out: :class:`Staged`, then :class:`Written`.
Statements that run a job: stage and MERGE; the touched groups where a model reads ``affected``; the
quarantine's, only when rows are set aside or leave it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.catalog import MAIN
from runner.code_store import CodeStore
from runner.execute.fit import Change
from runner.execute.horizon import Horizon
from runner.execute.sql import Staging
from runner.files import Consumed, ManifestStore
from runner.plan import ModelPlan
from runner.spec import Check, Model


@dataclass(frozen=True)
class Run:
    """What the statements of one run share. ``scratch``: a folder for staged rows.

    ``onto``: main or the development branch that is published to; ``aside``: the branch on which the
    target's quarantine is read (None: main); ``frozen``: tables keep their schema; ``kafka``: settings of its
    clients.
    """

    id: str
    received_at: str  # UTC, `YYYY-MM-DD HH:MM:SS.mmm`: the only clock
    scratch: str
    code_version: str
    manifests: ManifestStore
    code: CodeStore
    onto: str = MAIN
    aside: str | None = None
    frozen: bool = False
    kafka: Mapping[str, str] = field(default_factory=dict)

    @property
    def branch(self) -> str:
        return f"audit_{self.id}"


@dataclass(frozen=True)
class Staged:
    """Rows on disk, checked, not yet in any table. ``counts``: what was observed while staging.

    ``pending``: the first rows of a table. Nothing is known of them yet, since the query runs when they are
    written; nobody looks at the table's branch before they are judged.
    """

    plan: ModelPlan
    view: str  # of the staged rows
    staging: Staging
    checks: tuple[Check, ...]
    counts: Mapping[str, Any]
    change: Change
    consumed: Mapping[str, tuple[Consumed, ...]]  # by source name: files that were read
    files_scanned: int = 0
    files_total: int = 0
    late: int = 0
    maxima: Mapping[str, str] = field(default_factory=dict)
    horizon: Horizon = field(default_factory=Horizon)
    pending: bool = False

    def count(self, name: str) -> int:
        return int(self.counts.get(name) or 0)

    @property
    def looked_at(self) -> int:
        """Rows that were checked: those that stay and those set aside."""
        return self.count("kept") + self.count("aside")

    @property
    def partitions(self) -> set[tuple[str | None, ...]]:
        """Partition tuples that the staged rows have, and that the target's rows of their keys had."""
        found = {tuple(row) for row in self.counts.get("parts") or ()}
        return found | {tuple(row) for rows in self.counts.get("was") or () for row in rows}


@dataclass(frozen=True)
class Written:
    """Rows in the audit branch (or in main, for ``publish: direct``), not yet published."""

    staged: Staged
    branch: str | None
    snapshot: int | None
    inserted: int
    updated: int
    deleted: int


def directly(model: Model, run: Run) -> bool:
    """Whether rows are merged into main itself: never while a development branch is written."""
    return model.target.publish == "direct" and run.onto == MAIN
