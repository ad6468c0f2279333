"""The nouns of a model's tests: what is given, what is expected, and where each was written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from runner.errors import Place
from runner.load.nodes import Node
from runner.refs import TableRef
from runner.spec import Model, Project


@dataclass(frozen=True)
class Row:
    """A row as it is written: columns that it leaves out are not in it."""

    values: Mapping[str, object]
    place: Place


@dataclass(frozen=True)
class Table:
    """All rows of a table. ``key``: the columns that identify a row; empty where nothing says."""

    ref: TableRef
    columns: Mapping[str, str]
    rows: tuple[Row, ...]
    key: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()


@dataclass(frozen=True)
class File:
    """The content of an input file, and how its name ends."""

    content: bytes
    suffix: str


@dataclass(frozen=True)
class Written:
    """Rows that become a Parquet file."""

    columns: Mapping[str, str]
    rows: tuple[Row, ...]


Given = Table | File | Written


@dataclass(frozen=True)
class RawRow:
    """A row whose columns have types that only the run knows: of a quarantine."""

    cells: Mapping[str, Node]
    place: Place


@dataclass(frozen=True)
class Expect:
    """What a run must leave behind; what is None is not looked at.

    ``contains``: other rows may be there as well. ``fails``: the checks that close the gate, empty where
    it stays open; ``warns``: those that warn.
    """

    place: Place
    target: tuple[Row, ...] | None = None
    contains: bool = False
    quarantined: tuple[RawRow, ...] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    fails: tuple[str, ...] = ()
    warns: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Step:
    """One run: what the inputs hold before it, by their names, and what is expected after it."""

    given: Mapping[str, Given]
    expect: Expect
    now: dt.datetime | None = None


@dataclass(frozen=True)
class ModelTest:
    """A test of one model. ``project`` and ``model`` have the test's variables; ``existing``: what the
    target holds before the first run."""

    name: str
    place: Place
    project: Project
    model: Model
    steps: tuple[Step, ...]
    existing: tuple[Row, ...] = ()
    description: str = ""

    @property
    def id(self) -> str:
        """``gold.hourly_stats::counts_bots``."""
        return f"{self.model.target.table}::{self.name}"
