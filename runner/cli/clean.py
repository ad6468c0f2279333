"""The verb that removes what nobody needs any more."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import click

from runner.argv import Verb
from runner.cli.options import Ask, asks
from runner.errors import fail

_WORDS = {
    "branch": ("audit branch", "audit branches"),
    "scratch": ("folder of staged rows", "folders of staged rows"),
    "journal": ("journal", "journals"),
    "code": ("version of code", "versions of code"),
    "artifact": ("old artifact", "old artifacts"),
}


def _age(context: click.Context, option: click.Parameter, value: str) -> dt.timedelta:
    from runner.load.values import duration

    try:
        age = duration(value)
        _ = dt.datetime.now(dt.UTC) - age  # time has a beginning
        return age
    except (ValueError, OverflowError):
        raise fail(
            "bad-argument",
            None,
            f"--older-than: '{value}' is not an age",
            why="it is to be a whole number and s, m, h or d",
            fix="for example 12h or 7d",
        ) from None


@click.command(cls=Verb)
@asks(output=True)
@click.option("--dry-run", is_flag=True, help="Say what would go; change nothing, start no Spark.")
@click.option(
    "--older-than",
    callback=_age,
    default="7d",
    show_default=True,
    metavar="AGE",
    help="Of logs, compiled SQL and code that no snapshot names.",
)
def clean(ask: Ask, *, dry_run: bool, older_than: dt.timedelta) -> int:
    """Remove leavings of killed runs, old artifacts, and kept code that no snapshot names."""
    from runner.clean import Broom
    from runner.lake import Lake
    from runner.record import new_run_id
    from runner.sessions import Lazy, start_spark

    project, now = ask.lake_project(), dt.datetime.now(dt.UTC)
    lake, artifacts = Lake.of(project), project.root / "target"
    broom = Broom(lake, artifacts, now - older_than, new_run_id(now), dry_run)
    seen: Counter[str] = Counter()
    size = 0
    for found in broom.sweep(Lazy(lambda: start_spark(project, lake, artifacts))):
        if found.busy:
            ask.console.note(f"left alone: {found.busy}", busy=found.busy)
            continue
        seen[found.kind] += 1
        size += found.bytes
        told = found.name if found.kind in ("branch", "scratch") else f"{found.kind} {found.name}"
        ask.console.note(
            f"{'would remove' if dry_run else 'removed'} {told}",
            removed=found.kind,
            name=found.name,
            bytes=found.bytes,
        )
    parts = [f"{n:,} {_WORDS[kind][n != 1]}" for kind, n in seen.items()]
    ask.console.note(f"{', '.join(parts)}: {size / 1e6:.1f} MB" if parts else "nothing to remove", bytes=size)
    return 0
