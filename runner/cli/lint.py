"""The verb that looks for faults and doubts without Spark, and explains its rules."""

from __future__ import annotations

import dataclasses
import json
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.argv import Verb
from runner.cli import words
from runner.cli.options import NO_CACHE, Ask, asks
from runner.errors import did_you_mean, fail

if TYPE_CHECKING:
    from runner.findings import Report


@click.command(cls=Verb)
@asks(selection=True, output=True)
@click.option("--strict", is_flag=True, help="Exit 2 for warnings, too.")
@click.option(
    "--output",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="json: one object a line; github: annotations of a workflow.",
)
@click.option("--rules", "list_rules", is_flag=True, help="List the rules; look at no project.")
@click.option(
    "--explain",
    metavar="RULE",
    help="Say what a rule is about; look at no project.",
    shell_complete=words.rules,
)
@NO_CACHE
def lint(
    ask: Ask, *, strict: bool, output: str, list_rules: bool, explain: str | None, no_cache: bool
) -> int:
    """Check specs and SQL without Spark; exit 2 when anything is wrong, 0 when there are warnings alone."""
    ask.console.as_json |= output == "json"
    if list_rules or explain is not None:
        _tell(ask, explain)
        return 0
    report = ask.report(cache=not no_cache)
    code = report.exit_code(strict=strict)
    _show(ask, report, ask.root(), output, warnings=strict or not ask.console.quiet)
    ask.console.note(report.summary(), models=report.models, exit_code=code)
    return code


def _show(ask: Ask, report: Report, root: Path, output: str, *, warnings: bool) -> None:
    from runner.findings import ERROR, values

    if output == "github":
        from runner.lint.report import github

    shown = [f for f in report.findings if warnings or f.level == ERROR]
    for finding, after in zip_longest(shown, shown[1:]):
        if output == "json":
            ask.console.line(json.dumps(values(finding.fault, finding.level), ensure_ascii=False))
        elif output == "github" and not ask.console.as_json:
            ask.console.line(github(finding, root))
        else:
            fault = finding.fault
            if (
                after
                and not ask.console.as_json
                and finding.level != ERROR
                and (fault.code, fault.why, fault.fix) == (after.fault.code, after.fault.why, after.fault.fix)
            ):
                # What many lines have in common is said once, after the last of them.
                fault = dataclasses.replace(fault, why="", fix="")
            ask.console.faults((fault,), level=finding.level)


def _tell(ask: Ask, name: str | None) -> None:
    from runner.lint.report import rule_values
    from runner.lint.rules import explained, rules

    known = rules()
    if name is not None and name not in known:
        raise fail(
            "unknown-rule",
            None,
            f"--explain: there is no rule '{name}'",
            why="a rule is named in brackets at the end of what it finds",
            fix=did_you_mean(name, known)
            if did_you_mean(name, known).startswith("did")
            else "see `runner lint --rules`",
        )
    width = max(map(len, known))
    for rule in known.values() if name is None else (known[name],):
        if ask.console.as_json:
            ask.console.line(json.dumps(rule_values(rule), ensure_ascii=False))
        elif name is None:
            ask.console.line(f"{rule.id:<{width}}  {rule.level:<7}  {rule.what}")
        else:
            for line in explained(rule):
                ask.console.line(line)
