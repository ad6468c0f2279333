"""Verbs that bring tables up to date."""

from __future__ import annotations

import time

import click

from runner.argv import Verb
from runner.cli.options import LOCK_TIMEOUT, Ask, asks
from runner.console import summary_line


@click.command(cls=Verb)
@asks(selection=True, output=True)
@click.option("-x", "--fail-fast", is_flag=True, help="Stop at the first model that fails.")
@LOCK_TIMEOUT
@click.option(
    "--full-refresh", is_flag=True, help="Rebuild from all rows; readers see only true differences."
)
@click.option(
    "--allow-deletes", is_flag=True, help="Publish although more rows leave than max_deleted allows."
)
def run(ask: Ask, *, fail_fast: bool, lock_timeout: float, full_refresh: bool, allow_deletes: bool) -> int:
    """Bring tables up to date: only what is new is read, and only what passed its checks is published."""
    from runner.run import RunOptions
    from runner.run import run as run_models

    project, models, _ = ask.compiled()
    options = RunOptions(
        fail_fast=fail_fast, lock_timeout=lock_timeout, full_refresh=full_refresh, allow_deletes=allow_deletes
    )
    started = time.monotonic()
    code = run_models(project, models, options, ask.console.event)
    ask.console.note(summary_line(ask.console.counts, time.monotonic() - started), exit_code=code)
    return code
