"""A lake on paper: the catalog's row and the metadata file of each table, as Iceberg writes them.

Tables have snapshots and branches here, and no rows. The runner reads it with its own catalog.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.catalog import MAIN, LocalCatalog, TableState
from runner.refs import TableRef

_ICEBERG = {"bigint": "long", "timestamp": "timestamptz", "timestamp_ntz": "timestamp"}


class PaperLake:
    """``catalog`` reads what the other methods write."""

    def __init__(self, warehouse: Path, *, catalog: str = "lake") -> None:
        self.warehouse = warehouse
        self.name = catalog
        self.catalog = LocalCatalog(warehouse, catalog)
        self.metadata: dict[TableRef, dict[str, Any]] = {}
        self._snapshots = 1000

    def state(self, table: str) -> TableState:
        found = self.catalog.table(TableRef.parse(table))
        assert found is not None, f"{table} is not there"
        return found

    def head(self, table: str, branch: str = MAIN) -> int | None:
        head = self.state(table).head(branch)
        return head.id if head else None

    def create(
        self,
        table: TableRef | str,
        columns: Mapping[str, Any],
        *,
        partitions: Sequence[str] = (),
        format_version: int = 3,
    ) -> None:
        """An empty table; nothing happens where it is there."""
        ref = table if isinstance(table, TableRef) else TableRef.parse(table)
        if ref in self.metadata:
            return
        ids = {name: i for i, name in enumerate(columns, 1)}
        self.metadata[ref] = {
            "format-version": format_version,
            "location": f"{self.warehouse}/{ref.namespace}/{ref.name}",
            "last-sequence-number": 0,
            "current-schema-id": 0,
            "schemas": [
                {
                    "type": "struct",
                    "schema-id": 0,
                    "fields": [
                        {"id": ids[name], "name": name, "required": False, "type": _type(of)}
                        for name, of in columns.items()
                    ],
                }
            ],
            "default-spec-id": 0,
            "partition-specs": [
                {
                    "spec-id": 0,
                    "fields": [
                        {"name": name, "transform": "identity", "source-id": ids[name], "field-id": 1000 + i}
                        for i, name in enumerate(partitions)
                    ],
                }
            ],
            "refs": {},
            "snapshots": [],
        }
        self.write(ref)

    def commit(
        self,
        table: TableRef | str,
        summary: Mapping[str, str] | None = None,
        *,
        branch: str = MAIN,
        operation: str = "append",
        rows: int = 0,
        deletes: int = 0,
    ) -> int:
        """A new snapshot as the branch's head, with ``rows`` records in its files; its id."""
        ref = table if isinstance(table, TableRef) else TableRef.parse(table)
        document = self.metadata[ref]
        self._snapshots += 1
        document["last-sequence-number"] += 1
        snapshot: dict[str, Any] = {
            "snapshot-id": self._snapshots,
            "sequence-number": document["last-sequence-number"],
            "timestamp-ms": 1_700_000_000_000 + self._snapshots,
            "first-row-id": 0,
            "summary": {
                "operation": operation,
                "total-records": str(rows),
                "total-position-deletes": str(deletes),
                **(summary or {}),
            },
        }
        if branch in document["refs"]:
            snapshot["parent-snapshot-id"] = document["refs"][branch]["snapshot-id"]
        document["snapshots"].append(snapshot)
        self._point(ref, branch, self._snapshots)
        return self._snapshots

    def branch(self, table: TableRef, branch: str, snapshot: int | None) -> None:
        """A branch from a snapshot; of an empty table, from a first snapshot without rows."""
        if snapshot is None:
            self.commit(table, branch=branch)
        else:
            self._point(table, branch, snapshot)

    def drop_branch(self, table: TableRef, branch: str) -> None:
        self.metadata[table]["refs"].pop(branch, None)
        self.write(table)

    def fast_forward(self, table: TableRef, branch: str, onto: str = MAIN) -> bool:
        """``onto`` becomes the branch's head where it is its ancestor, or is not there."""
        state = self.state(str(table))
        head = state.branches[branch]
        if onto in state.branches and state.branches[onto] not in [s.id for s in state.ancestry(head)]:
            return False
        self._point(table, onto, head)
        return True

    def replace_branch(self, table: TableRef, branch: str, by: str) -> None:
        self._point(table, branch, self.state(str(table)).branches[by])

    def tag(self, table: TableRef | str, name: str) -> None:
        """A tag at main's head."""
        ref = table if isinstance(table, TableRef) else TableRef.parse(table)
        self.metadata[ref]["refs"][name] = {"snapshot-id": self.head(str(ref)), "type": "tag"}
        self.write(ref)

    def drop_table(self, table: TableRef) -> None:
        del self.metadata[table]
        connection = sqlite3.connect(self.warehouse / "catalog.db")
        connection.execute(
            "DELETE FROM iceberg_tables WHERE table_namespace = ? AND table_name = ?",
            (table.namespace, table.name),
        )
        connection.commit()
        connection.close()

    def rollback(self, table: str, snapshot: int) -> None:
        self._point(TableRef.parse(table), MAIN, snapshot)

    def expire(self, table: str, *snapshots: int) -> None:
        document = self.metadata[TableRef.parse(table)]
        document["snapshots"] = [s for s in document["snapshots"] if s["snapshot-id"] not in snapshots]
        self.write(TableRef.parse(table))

    def _point(self, table: TableRef, branch: str, snapshot: int) -> None:
        self.metadata[table]["refs"][branch] = {"snapshot-id": snapshot, "type": "branch"}
        self.write(table)

    def write(self, table: TableRef) -> None:
        """A new metadata file, and the catalog's row that leads to it."""
        folder = self.warehouse / table.namespace / table.name / "metadata"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{len(list(folder.iterdir())):05d}.metadata.json"
        path.write_text(json.dumps(self.metadata[table]), encoding="utf-8")
        connection = sqlite3.connect(self.warehouse / "catalog.db")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = MEMORY")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS iceberg_tables(catalog_name VARCHAR(255) NOT NULL,"
            " table_namespace VARCHAR(255) NOT NULL, table_name VARCHAR(255) NOT NULL,"
            " metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000),"
            " iceberg_type VARCHAR(5),"
            " PRIMARY KEY (catalog_name, table_namespace, table_name))"
        )
        connection.execute(
            "INSERT OR REPLACE INTO iceberg_tables VALUES (?, ?, ?, ?, NULL, 'TABLE')",
            (self.name, table.namespace, table.name, str(path)),
        )
        connection.commit()
        connection.close()


def _type(of: Any) -> Any:
    """Spark's name of a simple type as Iceberg's; Iceberg's nested types as they are."""
    return _ICEBERG.get(of, of) if isinstance(of, str) else of


class PaperTopics:
    """Topics on paper: name → partition → (first offset, next offset)."""

    def __init__(self) -> None:
        self.topics: dict[str, dict[int, tuple[int, int]]] = {}

    def extents(self, topic: str, place: Any) -> dict[int, tuple[int, int]]:
        return dict(self.topics[topic])
