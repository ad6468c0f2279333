"""What the lake's tables are, read from their metadata files alone: no JVM, milliseconds.

The local catalog is Iceberg's JDBC catalog on SQLite: a row leads to the newest metadata JSON of a
table, which holds its schema, its snapshots with their commit properties, and its branches.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
    """A table as its newest metadata file tells it. ``columns``: name → Iceberg type, in order."""

    ref: TableRef
    location: str
    format_version: int
    columns: Mapping[str, str]
    partitions: tuple[str, ...]
    snapshots: Mapping[int, Snapshot]
    branches: Mapping[str, int]

    def head(self, branch: str = MAIN) -> Snapshot | None:
        """The newest snapshot of a branch; None for an empty table or a branch that is not there."""
        found = self.branches.get(branch)
        return None if found is None else self.snapshots.get(found)

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
        )
        for s in metadata.get("snapshots", ())
    }
    return TableState(
        ref=ref,
        location=metadata["location"],
        format_version=metadata["format-version"],
        columns={f["name"]: type_text(f["type"]) for f in schema["fields"]},
        partitions=tuple(f["name"] for f in spec["fields"] if f["transform"] == "identity"),
        snapshots=snapshots,
        branches={name: r["snapshot-id"] for name, r in metadata.get("refs", {}).items()},
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
