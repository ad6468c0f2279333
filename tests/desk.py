"""A desk to plan at: a model, its inputs and a paper lake."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.files import ManifestStore
from runner.inputs import Pins
from runner.ledger import InputPosition, Position
from runner.plan import Mode, ModelPlan, make_plan
from runner.refs import TableRef
from runner.spec import Model
from tests.nouns import files, model, rendered
from tests.paper import PaperLake, PaperTopics

RAW, ORDERS, RATES = TableRef("bronze", "raw"), TableRef("silver", "orders"), TableRef("bronze", "rates")


@dataclass
class Desk:
    """A lake on paper with two input tables, and a run that is planned on it."""

    root: Path
    lake: PaperLake = field(init=False)

    def __post_init__(self) -> None:
        self.lake = PaperLake(self.root / "lake")
        self.manifests = ManifestStore(self.root / "lake" / "_manifests")
        self.topics = PaperTopics()
        self.renew()

    def renew(self) -> None:
        """The next run: pins of its own."""
        self.pins = Pins(self.lake.catalog, {})

    def input(self, table: TableRef = RAW, *, rows: int = 10, **given: Any) -> int:
        """A source table with one snapshot; its id."""
        self.lake.create(table, {"id": "string"}, **given)
        return self.lake.commit(table, rows=rows)

    def built(
        self, fingerprint: str = "f1", *, run: str = "r1", version: str = "0.1.0", **inputs: InputPosition
    ) -> int:
        """The target as a run left it that consumed ``inputs``."""
        self.lake.create(ORDERS, {"id": "string"})
        position = Position(run, "silver.orders", fingerprint, version, inputs)
        return self.lake.commit(ORDERS, position.properties(), rows=10)

    def plan(self, of: Model, *, fingerprint: str = "f1", full_refresh: bool = False) -> ModelPlan:
        return make_plan(
            of,
            rendered(fingerprint),
            root=self.root,
            pins=self.pins,
            topics=self.topics,
            manifests=self.manifests,
            code_version="0.9.0",
            full_refresh=full_refresh,
        )


def at(snapshot: int | None) -> InputPosition:
    return InputPosition(snapshot=snapshot, sequence=snapshot and 1)


def outcome(plan: ModelPlan) -> tuple[Mode, str]:
    return plan.mode, plan.reason


def inbox(desk: Desk) -> Model:
    (desk.root / "in").mkdir(exist_ok=True)
    return model(files("in"))
