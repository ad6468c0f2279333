"""Findings as text for programs: objects of JSON, and workflow commands of GitHub Actions.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

import os
from pathlib import Path

from runner.findings import Finding
from runner.lint.rules import Rule


def rule_values(rule: Rule) -> dict[str, object]:
    """A rule as an object."""
    return {
        "kind": "rule",
        "rule": rule.id,
        "level": rule.level,
        "what": rule.what,
        "why": rule.why,
        "fix": rule.fix,
        "silenced": rule.silenced,
        "only_lint": rule.only_lint,
    }


def github(finding: Finding, root: Path) -> str:
    """``::error file=…,line=…,col=…,title=RULE::message``; ``root``: the project's folder.

    Files are named from the root of the repository, as GitHub wants them.
    """
    fault, place = finding.fault, finding.fault.place
    properties: dict[str, object] = {}
    if place is not None:
        properties["file"] = _from_repository(root, place.file)
        if place.line:
            properties |= {"line": place.line, "col": place.col}
    properties["title"] = fault.code
    shown = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    message = "\n".join(
        [
            fault.what,
            *([f"why: {fault.why}"] if fault.why else []),
            *([f"fix: {fault.fix}"] if fault.fix else []),
        ]
    )
    return f"::{finding.level} {shown}::{_data(message)}"


def _from_repository(root: Path, file: str) -> str:
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), Path.cwd())
    return Path(os.path.relpath(root / file, top)).as_posix()


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
