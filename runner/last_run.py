"""What the last run left in ``run_results.json``: what was asked of it, and how each of its models ended.

In: the file that :mod:`runner.record` writes. Out: :class:`LastRun`. ProjectError where there is none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import fail

FILE = "run_results.json"
_DONE = frozenset({"success", "nothing"})


@dataclass(frozen=True)
class LastRun:
    """One run as its journal tells it.

    ``selected``: model id → checksum, in the order in which they run; ``ends``: model id → words of
    :data:`runner.selectors.RESULTS`; ``args``: the options of the command line.
    """

    run_id: str
    args: Mapping[str, Any]
    selected: Mapping[str, str]
    ends: Mapping[str, frozenset[str]]

    @property
    def to_do(self) -> tuple[str, ...]:
        """Ids of the models that did not publish, or whose run ended before them."""
        return tuple(id for id in self.selected if not self.ends[id] & _DONE)


def last_run(folder: Path) -> LastRun:
    """The run whose journal is in ``folder``."""
    path = folder / FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        about = document["metadata"]
        results = {r["unique_id"].removeprefix("model."): r for r in document["results"]}
        selected = dict(about["selected"])
        ends = {id: _ends(results.get(id)) for id in selected}
        return LastRun(about["run_id"], dict(about["args"]), selected, ends)
    except FileNotFoundError:
        raise fail(
            "no-last-run",
            None,
            f"there is no {os.path.relpath(path)}",
            why="a run writes there how each of its models ended, and none has run here",
            fix="run first: `runner run`",
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise fail(
            "unreadable-last-run",
            None,
            f"{os.path.relpath(path)} cannot be read as the results of a run",
            why=f"{type(error).__name__}: {error}",
            fix="run again: `runner run` writes it anew",
        ) from None


def _ends(result: Mapping[str, Any] | None) -> frozenset[str]:
    if result is None:
        return frozenset({"unfinished"})
    found = {str(result["status"])}
    found |= {"warn"} if any(check["status"] == "warn" for check in result["checks"]) else set()
    return frozenset(found | ({"stale"} if found & _DONE and result["message"] else set()))
