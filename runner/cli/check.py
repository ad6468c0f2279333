"""The verb that asks published tables what runs ask of new rows."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING

import click

from runner.argv import Verb
from runner.cli.options import AS_OBJECTS, BRANCH, Ask, asks

if TYPE_CHECKING:
    from runner.audit import Checked

_WORDS = {"pass": "passed", "warn": "warned", "fail": "failed", "skipped": "skipped", "info": "not built"}


@click.command(cls=Verb)
@asks(selection=True, output=True)
@BRANCH
@AS_OBJECTS
def check(ask: Ask, *, branch: str, output: str) -> int:
    """Run all checks over the published tables, whole; nothing is written. Exit 3 where one fails."""
    from runner.audit import audit

    project, models, _ = ask.compiled()
    ask.console.as_json |= output == "json"
    seen: Counter[str] = Counter()
    started = time.monotonic()

    def tell(event: Checked) -> None:
        seen[_kind(event)] += 1
        _tell(ask, event)

    code = audit(project, models, tell, branch=branch)
    parts = [f"{seen[kind]} {word}" for kind, word in _WORDS.items() if seen[kind]]
    text = f"{', '.join(parts) or 'nothing to check'} in {time.monotonic() - started:.1f}s"
    ask.console.note(text, exit_code=code)
    return code


def _kind(event: Checked) -> str:
    if event.result is None:
        return "fail" if event.faults else "info"
    return {"error": "fail"}.get(event.result.status, event.result.status)


def _tell(ask: Ask, event: Checked) -> None:
    from runner.record import check_values
    from runner.run import Event

    if ask.console.as_json:
        values = check_values(event.result) if event.result else {"name": None, "status": _status(event)}
        if event.faults:
            values["message"] = "; ".join(fault.what for fault in event.faults)
        line = {"kind": "check", "model": event.model, "table": event.table, **values}
        ask.console.line(json.dumps(line, ensure_ascii=False, default=str))
        return
    if event.result is None and not event.faults:
        ask.console.note(f"{event.table}: not built yet")
        return
    if ask.console.quiet and _kind(event) == "skipped":
        return  # a check that cannot be asked here; a run's SKIPPED follows from what went wrong
    name, detail = event.table, ""
    if found := event.result:
        name = f"{event.table} {found.name}"
        rows = f"{found.failed:,} of {found.total:,} rows" + " fail" * (found.failed > 0)
        detail = f"{found.detail or rows} | {found.place}"
    ask.console.event(Event(_kind(event), event.index, event.total, name, detail, faults=event.faults))


def _status(event: Checked) -> str:
    return "failed" if event.faults else "not built"
