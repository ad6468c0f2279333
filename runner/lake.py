"""Where a lake keeps what is not a table: locks, manifests, code and scratch, beside its catalog."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from runner.catalog import MAIN, Catalog, LocalCatalog, OnBranch
from runner.code_store import CodeStore
from runner.files import ManifestStore
from runner.refs import TableRef
from runner.spec import Project


@dataclass(frozen=True)
class Lake:
    """A warehouse folder and its catalog, which shows tables as ``branch`` has them.

    ``afresh``: tables whose branch is made anew from main by their next publication.
    """

    warehouse: Path
    catalog: Catalog
    branch: str = MAIN
    afresh: set[TableRef] = field(default_factory=set)

    @classmethod
    def of(cls, project: Project, branch: str = MAIN, *, afresh: Iterable[TableRef] = ()) -> Lake:
        """The lake of a project's profile; a relative warehouse lies in the project's folder."""
        warehouse = (project.root / project.profile.warehouse).absolute()
        catalog = LocalCatalog(warehouse, project.profile.catalog)
        if branch == MAIN:
            return cls(warehouse, catalog)
        anew = {table for of in afresh for table in (of, of.quarantine)}
        return cls(warehouse, OnBranch(catalog, branch, anew), branch, anew)

    def published(self, table: TableRef) -> None:
        """From now on the table is read on its branch."""
        self.afresh.difference_update((table, table.quarantine))

    @property
    def manifests(self) -> ManifestStore:
        return ManifestStore(self.warehouse / "_manifests")

    @property
    def code(self) -> CodeStore:
        """What built the tables, by fingerprint."""
        return CodeStore(self.warehouse / "_code")

    @property
    def locks(self) -> Path:
        return self.warehouse / "_locks"

    @property
    def journals(self) -> Path:
        """Journals of runs that the tables of run history do not hold yet."""
        return self.warehouse / "_journal"

    def scratch(self, table: TableRef) -> Path:
        """Staged rows of a target; whoever holds the target's lock may empty it."""
        return self.warehouse / "_scratch" / str(table)

    def clear_scratch(self, table: TableRef) -> None:
        shutil.rmtree(self.scratch(table), ignore_errors=True)
