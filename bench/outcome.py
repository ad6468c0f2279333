"""What a benchmark hands over: tables of results, and its aims with what came out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.render import facts, table


@dataclass(frozen=True)
class Options:
    """``rounds``: runs of each side; ``quick``: small inputs, to see that it works; ``work``: for lakes;
    ``threads``: models at a time, where a side can do that."""

    rounds: int
    quick: bool
    work: Path
    threads: int = 1


@dataclass(frozen=True)
class Aim:
    """What should hold: ``found`` is at most ``limit``."""

    what: str
    found: float
    limit: float

    @property
    def met(self) -> bool:
        return self.found <= self.limit


@dataclass(frozen=True)
class Block:
    """One table of results."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class Outcome:
    """``raw``: every single measurement."""

    name: str
    how: str
    blocks: Sequence[Block]
    aims: Sequence[Aim] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)

    def markdown(self, machine: Mapping[str, object], rounds: int, load: float) -> str:
        """The section of the document."""
        parts = [f"{self.how}\n\n{facts(machine)} · {rounds} rounds · load before {load:.1f}"]
        if self.aims:
            rows = [[aim.what, float(aim.found), f"≤ {aim.limit:g}", aim.met] for aim in self.aims]
            parts.append(table(["aim", "found", "limit", "met"], rows))
        parts += [f"{block.title}\n\n{table(block.columns, block.rows)}" for block in self.blocks]
        return "\n\n".join(parts)

    def save(self, folder: Path, machine: Mapping[str, object], load: float) -> Path:
        """Everything as JSON in ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        document = {"machine": dict(machine), "load": load} | asdict(self)
        path.write_text(json.dumps(document, indent=1, default=str) + "\n", encoding="utf-8")
        return path
