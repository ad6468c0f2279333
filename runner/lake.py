"""Where a lake keeps what is not a table: locks, manifests, code and scratch, beside its catalog."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from runner.catalog import Catalog, LocalCatalog
from runner.code_store import CodeStore
from runner.files import ManifestStore
from runner.refs import TableRef
from runner.spec import Project


@dataclass(frozen=True)
class Lake:
    """A warehouse folder and its catalog."""

    warehouse: Path
    catalog: Catalog

    @classmethod
    def of(cls, project: Project) -> Lake:
        """The lake of a project's profile; a relative warehouse lies in the project's folder."""
        warehouse = (project.root / project.profile.warehouse).absolute()
        return cls(warehouse, LocalCatalog(warehouse, project.profile.catalog))

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
