"""Record: ``target/run_results.json``, written after every node, so that a kill leaves what was done.

Each state of the journal also goes to ``keep``, which leads to the lake's tables of run history.

The shape follows dbt's run results where it fits: ``metadata``, ``results`` with ``unique_id``,
``status``, ``execution_time`` (seconds) and ``adapter_response`` (counts).
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner import __version__
from runner.check.gate import CheckResult
from runner.checksum import checksum
from runner.crash import crash_point
from runner.errors import Fault
from runner.files import write_atomically
from runner.render import Rendered
from runner.spec import Model, Project


@dataclass(frozen=True)
class NodeResult:
    """One model's end: ``status`` is success, nothing, error, gated, skipped or busy; times in seconds."""

    model: str
    table: str
    status: str
    seconds: float
    mode: str = ""
    reason: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    snapshot: int | None = None
    checks: Sequence[CheckResult] = ()
    faults: Sequence[Fault] = ()


def open_journal(
    path: Path,
    run_id: str,
    now: dt.datetime,
    project: Project,
    rendered: Mapping[str, Rendered],
    models: Sequence[Model],
    *,
    branch: str,
    args: Mapping[str, Any],
    keep: Callable[[Mapping[str, Any]], None],
) -> Journal:
    """A journal that has begun: what is going to run is on disk."""
    journal = Journal(
        path,
        run_id,
        f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z",
        project.profile.name,
        selected={m.id: checksum(m, rendered[m.id]) for m in models},
        args=args,
        keep=keep,
        branch=branch,
    )
    journal.begin()
    return journal


@dataclass
class Journal:
    """The run's results so far, on disk from :meth:`begin` on and after every :meth:`add`.

    ``selected``: model id → checksum, of those that there will be results of; ``args``: what the run was
    asked for.
    """

    path: Path
    run_id: str
    started_at: str
    target: str
    selected: Mapping[str, str]
    args: Mapping[str, Any] = field(default_factory=dict)
    keep: Callable[[Mapping[str, Any]], None] = lambda document: None
    results: list[NodeResult] = field(default_factory=list)
    branch: str = "main"
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def begin(self) -> None:
        """Say what is going to run, so that a kill before its first result leaves what was asked for."""
        self._write(self.document())

    def add(self, result: NodeResult) -> None:
        """Record how a model ended."""
        with self._one_at_a_time:
            self.results.append(result)
            crash_point("while_recording", result.model)
            document = self.document()
            self._write(document)
            self.keep(document)

    def put(self, result: NodeResult) -> None:
        """Record how a model stands, in place of what was recorded of it before."""
        with self._one_at_a_time:
            self.results[:] = [r for r in self.results if r.model != result.model]
        self.add(result)

    def _write(self, document: Mapping[str, Any]) -> None:
        write_atomically(self.path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")

    def document(self) -> dict[str, Any]:
        """The whole file, as plain values."""
        return {
            "metadata": {
                "runner_version": __version__,
                "run_id": self.run_id,
                "started_at": self.started_at,
                "target": self.target,
                "branch": self.branch,
                "complete": len(self.results) >= len(self.selected),
                "args": dict(self.args),
                "selected": dict(self.selected),
            },
            "results": [_node(result) for result in self.results],
            "elapsed_time": round(sum(r.seconds for r in self.results), 3),
        }


def check_values(check: CheckResult) -> dict[str, object]:
    """One check's result as plain values."""
    return {
        "name": check.name,
        "column": check.column,
        "status": check.status,
        "failures": check.failed,
        "rows": check.total,
        "severity": check.severity.value,
        "declared_at": str(check.place),
        "message": check.detail or None,
        "examples": list(check.examples),
    }


def _node(result: NodeResult) -> dict[str, object]:
    return {
        "unique_id": f"model.{result.model}",
        "relation_name": result.table,
        "status": result.status,
        "execution_time": round(result.seconds, 3),
        "mode": result.mode,
        "reason": result.reason,
        "snapshot_id": result.snapshot,
        "adapter_response": dict(result.counts),
        "checks": [check_values(c) for c in result.checks],
        "message": "\n".join(str(f) for f in result.faults) or None,
    }


def new_run_id(now: dt.datetime) -> str:
    """A name that sorts by time and meets no other: ``20261125T121815_ba4faf``."""
    return f"{now:%Y%m%dT%H%M%S}_{secrets.token_hex(3)}"
