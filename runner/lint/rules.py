"""Every rule of ``runner lint``: its id is the code of the fault that it gives.

They are declared in ``rules.toml``; ``document`` makes the tables of docs/lint.md of it.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from runner.findings import ERROR, WARNING


@dataclass(frozen=True)
class Rule:
    """One rule: what is wrong in a line, why it matters, how to mend it.

    ``level``: an error ends lint with exit code 2, a warning under ``--strict`` alone. ``silenced``: a
    comment with a reason may silence it. ``only_lint``: a run does not look for it before it starts.
    """

    id: str
    area: str
    level: str
    what: str
    why: str
    fix: str
    silenced: bool
    only_lint: bool


@cache
def rules() -> dict[str, Rule]:
    """All rules by id, in the order of the file."""
    found: dict[str, Rule] = {}
    text = files("runner.lint").joinpath("rules.toml").read_text(encoding="utf-8")
    for area, declared in tomllib.loads(text).items():
        for id, said in declared.items():
            level = said.get("level", ERROR)
            found[id] = Rule(
                id,
                area,
                level,
                said["what"],
                said["why"],
                said["fix"],
                silenced=said.get("silence", level == WARNING),
                only_lint=said.get("only_lint", level == WARNING),
            )
    return found


def explained(rule: Rule) -> list[str]:
    """A rule for people, line by line."""
    found_by = "lint alone" if rule.only_lint else "lint and every run"
    silence = f"-- lint: allow {rule.id}: reason" if rule.silenced else "no"
    return [
        f"{rule.id}: {rule.what}",
        f"  why: {rule.why}",
        f"  fix: {rule.fix}",
        f"  level: {rule.level}, found by {found_by}",
        f"  can be silenced: {silence}",
    ]
