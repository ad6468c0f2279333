"""The port to the engine that executes: what the stages ask of Spark and Iceberg, and nothing more.

Names of views, SQL text and plain values go in; counts, schemas and plain values come out. The
catalog's metadata is read beside it, without the engine (``runner.catalog``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from runner.errors import Place
from runner.files import InputFile
from runner.refs import TableRef


class Amount(Enum):
    """How many rows a model reads, roughly.

    Planning a query anew while it runs pays for many alone; one task takes a handful as fast as several.
    """

    MANY = "many"
    FEW = "few"
    HANDFUL = "a handful"


@dataclass(frozen=True)
class Diff:
    """What a change set found: which sides hold rows, and how many files they take to read."""

    new: bool
    old: bool
    files_scanned: int
    files_total: int


@dataclass(frozen=True)
class Retained:
    """Rows with ``column`` (a date) before a day (ISO) left a table by retention.

    ``snapshot``: the last one that had them; None where it is expired.
    """

    column: str
    before: str
    snapshot: int | None


class Engine(Protocol):
    """A session on one lake. Views are private to it; statements run one after another."""

    catalog: str

    def bind_table(self, view: str, table: TableRef, snapshot: int | None, where: str = "") -> None:
        """``view`` = the table's rows at a snapshot (None: an empty relation), under a predicate."""

    def bind_diff(
        self,
        new: str,
        old: str,
        table: TableRef,
        since: int,
        until: int,
        *,
        above: int | None = None,
        retained: Sequence[Retained] = (),
    ) -> Diff:
        """``new`` = rows that appeared or changed between two snapshots, ``old`` = the images of the
        rows that were deleted or changed, both with the table's columns.

        ``above``: the sequence number of ``since``, where rows were only added or moved in between.
        ``retained``: the rows that left by retention are not among the old images."""

    def bind_text(self, view: str, files: Sequence[InputFile], received_at: str) -> None:
        """``view`` = the lines of the files, with the fixed input columns."""

    def bind_topic(
        self, view: str, topic: str, offsets: Mapping[int, tuple[int, int]], settings: Mapping[str, str]
    ) -> None:
        """``view`` = a topic's records with the fixed input columns; ``offsets``: the first of each partition
        and the one after the last. Offsets that are gone fail the query."""

    def bind_files(self, view: str, files: Sequence[InputFile], format: str) -> None:
        """``view`` = the files' rows with their own columns (csv with a header: strings)."""

    def define(
        self,
        view: str,
        sql: str,
        *,
        observe: Mapping[str, str] | None = None,
        at: Callable[[int, int], Place] | None = None,
    ) -> None:
        """``view`` = a query; runs nothing. ``observe``: name → aggregate, counted when it is staged.

        ``at`` maps a line and a column of ``sql`` to the analyst's file: with it, a query that does
        not resolve is a ProjectError there.
        """

    def schema(self, view: str) -> dict[str, str]:
        """Columns of a view in order: name → Spark SQL type."""

    def expect(self, amount: Amount) -> None:
        """Say before a model's first query how many rows it reads."""

    def stage(self, view: str, folder: str) -> dict[str, Any]:
        """Write a view as Parquet in one job; the observed values of every view beneath it."""

    def read_staged(self, view: str, folder: str) -> None:
        """``view`` = staged Parquet."""

    def bind_partitions(self, view: str, table: TableRef, snapshot: int) -> dict[str, str]:
        """``view`` = the distinct partition tuples of a snapshot's files, from metadata; its columns by
        name → type, empty for a table without partitions."""

    def create_table(
        self,
        table: TableRef,
        columns: Mapping[str, str],
        *,
        partitions: Sequence[str] = (),
        comments: Mapping[str, str] | None = None,
        format_version: int = 3,
    ) -> None:
        """Create an empty table; nothing happens where it is there."""

    def alter_table(
        self,
        table: TableRef,
        *,
        add: Mapping[str, str],
        widen: Mapping[str, str],
        rename: Mapping[str, str] | None = None,
    ) -> None:
        """Rename columns (old → new), then add some and widen types, by their new names."""

    def create_branch(self, table: TableRef, branch: str, snapshot: int | None) -> None:
        """A branch from a snapshot (None: of an empty table)."""

    def drop_branch(self, table: TableRef, branch: str) -> None:
        """Remove a branch; nothing happens where it is gone."""

    def fast_forward(self, table: TableRef, branch: str, onto: str = "main", *, drop: bool = False) -> bool:
        """Compare-and-set ``onto`` to the branch's head; False where it is not its ancestor any more
        or somebody committed in between. Where there is no ``onto``, it is made. ``drop``: remove the branch
        in the same step."""

    def replace_branch(self, table: TableRef, branch: str, by: str) -> None:
        """Make ``branch``, which is there, stand where the branch ``by`` stands."""

    def drop_table(self, table: TableRef) -> None:
        """Remove a table and its files; nothing happens where it is gone."""

    def commit(self, sql: str, properties: Mapping[str, str]) -> None:
        """Run a statement whose commit carries the properties; :class:`Conflict` when another
        writer's commit came first."""

    def insert(
        self, view: str, table: TableRef, branch: str, columns: Sequence[str], properties: Mapping[str, str]
    ) -> dict[str, Any]:
        """Append ``columns`` of a view to a branch in one job; the observed values of every view beneath it.
        The commit carries the properties."""

    def append(
        self, table: TableRef, rows: Sequence[Mapping[str, object]], properties: Mapping[str, str]
    ) -> None:
        """Append a few rows of plain values (column → value; left out is NULL) to main, in one commit that
        carries the properties."""

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a small query."""

    def stream_rows(self, sql: str) -> Iterator[dict[str, Any]]:
        """The rows of a query of any size, one after another."""

    def fork(self) -> Engine:
        """Another session on the same lake, for the thread that asks: its jobs take turns with others'."""

    def cancel(self) -> None:
        """End the jobs that run now, of every session; whoever waits for one of them gets an error."""

    def died(self) -> str:
        """How the engine's process ended, in a few words; empty while it lives."""

    def close(self) -> None:
        """Release what this session holds."""


@dataclass(frozen=True)
class Compacted:
    """Files before and after a compaction, and bytes of those before."""

    before: int
    after: int
    bytes: int


class Keeper(Protocol):
    """What keeps a lake's tables in order, beside running writers."""

    def set_head(self, table: TableRef, snapshot: int) -> None:
        """Make a snapshot main's head."""

    def delete_all(self, table: TableRef, properties: Mapping[str, str]) -> None:
        """Empty a table; the commit carries the properties."""

    def delete_before(self, table: TableRef, column: str, before: str, properties: Mapping[str, str]) -> int:
        """Remove the rows whose ``column`` lies before a date (ISO), by whole partitions where it is one
        of theirs; how many. Commits nothing where there are none."""

    def added_before(self, table: TableRef, column: str, before: str, above: int) -> int:
        """How many files of partitions with ``column`` before a date came after a sequence number."""

    def compact(self, table: TableRef, target_bytes: int, properties: Mapping[str, str]) -> Compacted | None:
        """Merge small files and apply deletes; None where a writer came first. Rows keep their ids."""

    def expire(self, table: TableRef, snapshots: Sequence[int]) -> None:
        """Forget these snapshots, and delete the files that only they name."""

    def remove_orphans(self, table: TableRef, older_than_ms: int) -> int:
        """Delete files in the table's folder that no snapshot names; how many."""

    def close(self) -> None:
        """Release what this session holds."""


class Conflict(Exception):
    """Another writer's commit came first: nothing was written."""
