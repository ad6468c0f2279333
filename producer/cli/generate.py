"""``producer generate``: events made from a seed go to files."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click


@click.command()
@click.option("--events", type=click.IntRange(min=0), default=20_000, show_default=True, help="Lines in all.")
@click.option(
    "--days", type=click.IntRange(min=1), default=1, show_default=True, help="Days they spread over."
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same bytes.")
@click.option(
    "--start",
    type=click.DateTime(["%Y-%m-%d"]),
    default="2026-10-01",
    show_default=True,
    help="The first day, UTC.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="A file, compressed when the name ends in .gz; a folder with --per-day or more than one day.",
)
@click.option("--per-day", is_flag=True, help="One file a day, in a folder.")
def generate(events: int, days: int, seed: int, start: datetime, out: Path, per_day: bool) -> None:
    """Write events made from a seed, in the shapes of the real stream.

    Files that are there with equal bytes are left alone.
    """
    from producer.generator.generate import write

    folder = per_day or days > 1
    if folder and (out.is_file() or out.suffix in (".gz", ".ndjson", ".json")):
        raise click.UsageError(f"{days} days go into a folder, one file a day: --out {out} names a file")
    if not folder and out.is_dir():
        raise click.UsageError(f"--out {out} is a folder: name a file, or add --per-day")
    written = write(out=out, events=events, days=days, seed=seed, start=start.date(), per_day=per_day)
    for one in written:
        click.echo(f"{one.path}  {one.lines:,} events  {'written' if one.changed else 'unchanged'}")
