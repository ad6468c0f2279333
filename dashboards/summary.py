"""Print what the lake holds: the queries of ``dashboards/queries`` over the gold tables.

Reads only; the tables are those of the project in the working folder (``--lake DIR`` for another lake).
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from runner.lake import Lake
from runner.load import load_project
from runner.refs import TableRef
from runner.sessions import start_spark
from runner.show import table_lines

QUERIES = Path(__file__).parent / "queries"


@click.command()
@click.option("--lake", type=click.Path(path_type=Path), default=None, help="Folder of the lake.")
def main(lake: Path | None) -> None:
    """Busiest wikis, trending pages, top contributors and the risk feed."""
    project = load_project(Path.cwd(), lake=lake)
    found = Lake.of(project)
    if found.catalog.table(TableRef("gold", "hourly_stats")) is None:
        sys.exit(f"there are no gold tables in {found.warehouse}\n  fix: run the models first: `runner`")
    engine = start_spark(project, found, project.root / "target")
    for path in sorted(QUERIES.glob("*.sql")):
        title, sql = path.read_text(encoding="utf-8").split("\n", 1)
        click.echo(f"\n{title.removeprefix('-- ')}\n")
        rows = list(engine.rows(sql))
        for line in table_lines(list(rows[0]) if rows else ["(no rows)"], rows):
            click.echo(line, nl=False)


if __name__ == "__main__":
    main()
