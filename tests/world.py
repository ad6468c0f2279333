"""A small project on a paper lake, with a fake engine that moves its snapshots as Iceberg would."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.engine import Diff, Engine
from runner.engine.fake import FakeEngine, InTurn
from runner.errors import Fault, RunFailed
from runner.graph import order
from runner.load import load_project
from runner.refs import TableRef
from runner.run import Event, RunOptions, run
from runner.selectors import select
from tests.paper import PaperLake
from tests.projects import MERGE, write

#: items → prices → totals, and items → stock; declared in another order.
SPEC = """
pipeline: shop
vars: {items: items.csv}
models:
  - name: totals
    sql: sql/totals.sql
    sources: {prices: {table: shop.prices, read: changes}}
    target:
      table: shop.totals
      key: [id]
      columns: {id: {type: string}, amount: {type: bigint}}
    checks: [{row_count: {min: 1}, name: not_empty}]
  - name: items
    sql: sql/items.sql
    sources: {csv: {files: {path: "{{ var('items') }}", format: csv}, read: all}}
    target:
      table: shop.items
      key: [id]
      columns: {id: {type: string}, amount: {type: bigint}}
  - name: prices
    sql: sql/prices.sql
    sources: {items: {table: shop.items, read: changes}}
    target:
      table: shop.prices
      key: [id]
      columns: {id: {type: string}, amount: {type: bigint, checks: [{range: {min: 0}, name: positive}]}}
  - name: stock
    sql: sql/stock.sql
    sources: {items: {table: shop.items, read: changes}}
    target:
      table: shop.stock
      key: [id]
      columns: {id: {type: string}, amount: {type: bigint, checks: [{not_null: {severity: quarantine}}]}}
"""
TABLES = ("shop.items", "shop.prices", "shop.totals", "shop.stock")


BROKEN = RunFailed(Fault("query-failed", None, "the query fails"))


@dataclass
class World:
    """A project, its lake on paper, and an engine that moves the lake's snapshots as Iceberg would."""

    root: Path
    folder: Path
    events: list[Event] = field(default_factory=list)
    stages: list[tuple[str, str]] = field(default_factory=list)  # what each model was at
    started: int = 0

    def __post_init__(self) -> None:
        self.items = self.folder / "items.csv"
        self.items.write_text("id,amount\na,1\n")
        self.project = load_project(
            self.root, overrides={"items": str(self.items)}, lake=self.folder / "lake"
        )
        self.lake = PaperLake(self.folder / "lake")
        self.deleted = 0
        self.rows = 100
        self.engine = FakeEngine(
            {
                "schema": {"id": "string", "amount": "bigint"},
                "stage": {"kept": 3, "read": 3},
                "bind_diff": Diff(new=True, old=False, files_scanned=1, files_total=2),
                "create_table": self.create_table,
                "create_branch": lambda table, branch, snapshot: self.lake.branch(table, branch, snapshot),
                "drop_branch": lambda table, branch: self.lake.drop_branch(table, branch),
                "fast_forward": self.lake.fast_forward,
                "replace_branch": self.lake.replace_branch,
                "drop_table": self.lake.drop_table,
                "commit": self.commit,
                "insert": self.insert,
                "append": lambda table, rows, properties: self.lake.commit(table, properties, rows=len(rows)),
            }
        )

    def create_table(self, table: TableRef, columns: Mapping[str, str], **given: Any) -> None:
        self.lake.create(table, columns, partitions=given["partitions"])

    def commit(self, sql: str, properties: Mapping[str, str]) -> None:
        """A MERGE as a snapshot: its table and branch are read from its first line."""
        found = re.match(
            r"(?:MERGE|INSERT) INTO `lake`\.`(\w+)`\.`(\w+)`(?:\.`branch_(\w+)`)? (?:AS|\()", sql
        )
        assert found, sql
        counts = {"inserted": self.rows, "updated": 0, "deleted": self.deleted}
        summary = {f"spark.merge-into.num-target-rows-{what}": str(n) for what, n in counts.items()}
        table = TableRef(found[1], found[2])
        self.lake.commit(table, {**summary, **properties}, branch=found[3] or "main", rows=self.rows)

    def insert(self, view: str, table: TableRef, branch: str, properties: Mapping[str, str], **_: Any) -> Any:
        """Rows that are counted while they are written."""
        counts = self.engine.stage(view, str(table))
        self.engine.commit(f"INSERT INTO {table.sql('lake', branch)} (", properties)
        return counts

    def start(self) -> Engine:
        self.started += 1
        return self.engine

    def run(self, *names: str, **options: Any) -> int:
        models = select(self.project, words=names) if names else order(self.project)
        self.events.clear()
        self.stages.clear()
        self.engine.calls.clear()
        self.started = 0
        given = RunOptions(artifacts=self.folder / "target", **options)
        return run(self.project, models, given, self.hear, start_engine=self.start)

    def hear(self, event: Event) -> None:
        if event.kind == "stage":
            self.stages.append((event.name, event.detail))
        else:
            self.events.append(event)

    @property
    def ended(self) -> dict[str, str]:
        """How each model ended."""
        return {e.name: e.kind for e in self.events if e.kind not in ("start", "info")}

    @property
    def journal(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "target" / "run_results.json").read_text())
        return found

    @property
    def statuses(self) -> dict[str, str]:
        return {r["relation_name"]: r["status"] for r in self.journal["results"]}

    def heads(self) -> dict[str, int | None]:
        """Heads of the models' tables."""
        known = [str(table) for table in self.lake.catalog.tables() if table.namespace != "ops"]
        return {table: self.lake.head(table) for table in known}

    def branches(self, table: str) -> list[str]:
        return sorted(self.lake.state(table).branches)

    def scratch(self) -> list[str]:
        """Files of staged rows that are left."""
        return [str(p) for p in (self.lake.warehouse / "_scratch").rglob("*") if p.is_file()]

    def tell(self, method: str, of: str, answer: object) -> None:
        """``method`` answers as usual, except for the table ``of``."""
        usual = self.engine.answers.get(method)

        def scripted(**given: Any) -> object:
            about = re.sub(r"[`]", "", " ".join(map(str, given.values())))
            found = answer if re.search(rf"{re.escape(of)}\b(?!__)", about) else usual
            if isinstance(found, InTurn):
                found = found.next()
            if isinstance(found, BaseException):
                raise found
            return found(**given) if callable(found) else found

        self.engine.answers[method] = scripted

    def new_items(self) -> None:
        self.items.write_text(self.items.read_text() + "b,2\n")


def aged_world(folder: Path) -> World:
    """items → prices → totals; prices has an age: its `day`, which the fake engine tells."""
    spec = SPEC.replace(
        "columns: {id: {type: string}, amount: {type: bigint, checks: [{range: {min: 0}, name: positive}]}}",
        "columns: {id: {type: string}, amount: {type: bigint}, day: {type: date}}\n"
        "    checks: [{freshness: {column: day, warn_after: 1d, error_after: 36500d}}]",
    )
    # However many are tolerated: what belongs into quarantine never is.
    spec = spec.replace("not_null: {severity: quarantine}", "not_null: {severity: quarantine, fail_above: 5}")
    assert spec.count("fail_above: 5") == spec.count("36500d") == 1
    sql = {
        f"sql/{name}.sql": MERGE.format(
            query=f"SELECT id, CAST(amount AS BIGINT) AS amount{day} FROM {{{{ source('{source}') }}}}"
        )
        for name, source, day in (
            ("items", "csv", ""),
            ("prices", "items", ", DATE'2026-01-01' AS day"),
            ("totals", "prices", ""),
            ("stock", "items", ""),
        )
    }
    profiles = "default: local\ntargets: {local: {type: local}}\n"
    root = write(folder / "project", {"pipelines/shop.yml": spec, "profiles.yml": profiles, **sql})
    found = World(root, folder)
    found.tell("schema", "__rows", {"id": "string", "amount": "bigint", "day": "date"})
    return found


def newest(world: World, value: str | None) -> None:
    world.engine.answers["stage"] = {"kept": 3, "read": 3, "newest_0": value}
