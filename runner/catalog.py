"""What the lake's tables are, read from their metadata files alone: no JVM, milliseconds.

The local catalog is Iceberg's JDBC catalog on SQLite: a row leads to the newest metadata JSON of a
table, which holds its schema, its snapshots with their commit properties, and its branches.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from runner.refs import TableRef

MAIN = "main"

#: What a commit did, as Iceberg names it: rows were only added; the same rows lie in other files.
APPEND, COMPACTION = "append", "replace"


@dataclass(frozen=True)
class Snapshot:
    """One committed state of a table; ``summary`` holds Iceberg's counts and our commit properties."""

    id: int
    parent: int | None
    sequence: int
    timestamp_ms: int
    summary: Mapping[str, str]
    row_ids: bool = True  # whether its rows have ids: from format v3 on
    schema: int = 0  # which of the table's schemas its rows were written by

    @property
    def rows(self) -> int:
        """Live rows. Every deleted row has exactly one position in the deletion vectors."""
        return int(self.summary.get("total-records", 0)) - int(self.summary.get("total-position-deletes", 0))

    @property
    def files(self) -> int:
        return self.count("total-data-files")

    @property
    def operation(self) -> str:
        return self.summary.get("operation", "")

    def count(self, key: str) -> int:
        """A number of the summary; 0 where it is not told."""
        return int(self.summary.get(key, 0))


@dataclass(frozen=True)
class TableState:
    """A table as its newest metadata file tells it. ``columns``: name → Iceberg type, in order.

    ``branches``: branches and tags with the snapshots that they stand at; ``reading``: the branch that is
    meant where none is named.
    """

    ref: TableRef
    location: str
    format_version: int
    columns: Mapping[str, str]
    partitions: tuple[str, ...]
    snapshots: Mapping[int, Snapshot]
    branches: Mapping[str, int]
    tags: frozenset[str] = frozenset()
    schemas: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    reading: str = MAIN

    def head(self, branch: str | None = None) -> Snapshot | None:
        """The newest snapshot of a branch; None for an empty table or a branch that is not there."""
        found = self.branches.get(branch or self.reading)
        return None if found is None else self.snapshots.get(found)

    def columns_at(self, snapshot: Snapshot | None) -> Mapping[str, str]:
        """The columns that a snapshot was written by; of none, those of now."""
        return self.columns if snapshot is None else self.schemas.get(snapshot.schema, self.columns)

    def has(self, branch: str) -> bool:
        """Whether there is a branch (not a tag) of that name."""
        return branch in self.branches and branch not in self.tags

    def sql(self, catalog: str) -> str:
        """The quoted name in ``catalog`` of what is read where no branch is named."""
        return self.ref.sql(catalog, None if self.reading == MAIN else self.reading)

    def ancestry(self, head: int | None) -> Iterator[Snapshot]:
        """``head`` and its parents, newest first, as far as they are not expired."""
        while head is not None and (snapshot := self.snapshots.get(head)):
            yield snapshot
            head = snapshot.parent


class Catalog(Protocol):
    """Reads tables' states; written to by the engine only."""

    def table(self, ref: TableRef) -> TableState | None:
        """The state now; None where there is no such table."""

    def tables(self) -> tuple[TableRef, ...]:
        """All tables, sorted."""


class OnBranch:
    """A catalog whose tables are read on a development branch, and on main where they have none of its name.

    Tables of ``afresh`` are read on main although they have one: their branch is about to be made anew.
    """

    def __init__(self, catalog: Catalog, branch: str, afresh: Container[TableRef] = ()) -> None:
        self.catalog, self.branch, self.afresh = catalog, branch, afresh

    def table(self, ref: TableRef) -> TableState | None:
        state = self.catalog.table(ref)
        if state is None or not state.has(self.branch) or ref in self.afresh:
            return state
        return replace(state, reading=self.branch)

    def tables(self) -> tuple[TableRef, ...]:
        return self.catalog.tables()


class LocalCatalog:
    """Iceberg's JDBC catalog on SQLite in ``<warehouse>/catalog.db``."""

    def __init__(self, warehouse: Path, name: str) -> None:
        self.database = warehouse / "catalog.db"
        self.name = name

    def table(self, ref: TableRef) -> TableState | None:
        found = self._select(
            "SELECT metadata_location FROM iceberg_tables"
            " WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?",
            (self.name, ref.namespace, ref.name),
        )
        return None if not found else parse_metadata(ref, read_metadata(found[0][0]))

    def tables(self) -> tuple[TableRef, ...]:
        found = self._select(
            "SELECT table_namespace, table_name FROM iceberg_tables WHERE catalog_name = ? ORDER BY 1, 2",
            (self.name,),
        )
        return tuple(TableRef(namespace, name) for namespace, name in found)

    def _select(self, sql: str, parameters: tuple[str, ...]) -> list[tuple[str, ...]]:
        if not self.database.exists():
            return []
        # Never creates a database. Not `mode=ro`: after a writer was killed in the middle of a commit, only
        # a connection that may write can undo the half of it, and every other one is refused.
        connection = sqlite3.connect(f"{self.database.absolute().as_uri()}?mode=rw", uri=True, timeout=60)
        try:
            return connection.execute(sql, parameters).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise
        finally:
            connection.close()


def read_metadata(location: str) -> dict[str, Any]:
    """The metadata JSON at a local ``location`` (a path or a file: URI)."""
    with open(location.removeprefix("file:"), encoding="utf-8") as file:
        loaded: dict[str, Any] = json.load(file)
    return loaded


def parse_metadata(ref: TableRef, metadata: Mapping[str, Any]) -> TableState:
    """Iceberg's table metadata (format 2 and 3) as a :class:`TableState`."""
    schema = next(s for s in metadata["schemas"] if s["schema-id"] == metadata["current-schema-id"])
    spec = next(s for s in metadata["partition-specs"] if s["spec-id"] == metadata["default-spec-id"])
    snapshots = {
        s["snapshot-id"]: Snapshot(
            id=s["snapshot-id"],
            parent=s.get("parent-snapshot-id"),
            sequence=s.get("sequence-number", 0),
            timestamp_ms=s["timestamp-ms"],
            summary=s.get("summary", {}),
            row_ids=s.get("first-row-id") is not None,
            schema=s.get("schema-id", metadata["current-schema-id"]),
        )
        for s in metadata.get("snapshots", ())
    }
    return TableState(
        ref=ref,
        location=metadata["location"],
        format_version=metadata["format-version"],
        columns={f["name"]: type_text(f["type"]) for f in schema["fields"]},
        schemas={
            s["schema-id"]: {f["name"]: type_text(f["type"]) for f in s["fields"]}
            for s in metadata["schemas"]
        },
        partitions=tuple(f["name"] for f in spec["fields"] if f["transform"] == "identity"),
        snapshots=snapshots,
        branches={name: r["snapshot-id"] for name, r in metadata.get("refs", {}).items()},
        tags=frozenset(name for name, r in metadata.get("refs", {}).items() if r.get("type") == "tag"),
    )


_SPARK_NAMES = {"long": "bigint", "timestamptz": "timestamp", "timestamp": "timestamp_ntz"}


def type_text(of: Any) -> str:
    """An Iceberg type as Spark SQL writes it: ``long`` → ``bigint``, nested types included."""
    if isinstance(of, str):
        return _SPARK_NAMES.get(of, of.replace(" ", ""))
    match of["type"]:
        case "struct":
            return "struct<" + ",".join(f"{f['name']}:{type_text(f['type'])}" for f in of["fields"]) + ">"
        case "list":
            return f"array<{type_text(of['element'])}>"
        case _:
            return f"map<{type_text(of['key'])},{type_text(of['value'])}>"
