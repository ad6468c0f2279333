"""Development branches of a lake, read from metadata alone: names, and how far each table went from main.

A branch is an Iceberg branch of one name on every table that a run with ``--branch`` wrote. In: a name, or
a lake. Out: faults, and a :class:`Branch` with a :class:`Line` a table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from runner import ledger
from runner.catalog import MAIN, Catalog, Snapshot, TableState
from runner.errors import did_you_mean, fail
from runner.lake import Lake
from runner.refs import QUARANTINE_SUFFIX, TableRef

AUDIT = "audit_"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")


@dataclass(frozen=True)
class Line:
    """A table that has a branch. ``ahead``: snapshots that main has not, newest first; ``behind``: how many
    main has that the branch has not; ``base``: the snapshot of main that it left."""

    state: TableState
    head: Snapshot
    ahead: tuple[Snapshot, ...]
    behind: int
    base: int | None

    @property
    def table(self) -> TableRef:
        return self.state.ref

    @property
    def target(self) -> TableRef:
        """The table whose lock this one is written under."""
        return target_of(self.table)

    @property
    def moved(self) -> bool:
        """Whether main is not any more what the branch was made from."""
        main = self.state.head(MAIN)
        return bool(self.ahead) and (main.id if main else None) != self.base

    @property
    def run(self) -> str:
        """The last run that wrote the branch; empty where none did."""
        return next((run for s in self.ahead if (run := ledger.run_of(s))), "")

    @property
    def foreign(self) -> tuple[Snapshot, ...]:
        """Commits of others on the branch: no run would make them again."""
        own = (ledger.RUN_ID, ledger.CARRIED)
        return tuple(s for s in self.ahead if s.parent is not None and not any(k in s.summary for k in own))


@dataclass(frozen=True)
class Branch:
    """A development branch and the tables that have it, by name."""

    name: str
    lines: tuple[Line, ...]

    @property
    def newest_ms(self) -> int:
        """When it was written last."""
        return max(line.head.timestamp_ms for line in self.lines)

    @property
    def run(self) -> str:
        """The last run that wrote it."""
        return max((line.run for line in self.lines), default="")


def target_of(table: TableRef) -> TableRef:
    """The target that a quarantine belongs to; a target itself."""
    return TableRef(table.namespace, table.name.removesuffix(QUARANTINE_SUFFIX))


def require_name(name: str | None) -> str:
    """A branch's name, main where none is given; ProjectError for one that no development branch has."""
    if name is None:
        return MAIN
    if name == MAIN or name.startswith(AUDIT):
        raise fail(
            "bad-branch",
            None,
            f"--branch: '{name}' is not a name for a development branch",
            why="main is what readers see, and is written without --branch"
            if name == MAIN
            else "audit_… are the runner's own, removed after each run",
            fix="leave out --branch" if name == MAIN else "take another name",
        )
    if not _NAME.fullmatch(name):
        near = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")[:100]
        raise fail(
            "bad-branch",
            None,
            f"--branch: {name!a} is not a name for a branch",
            why="SQL names it as a part of a table's name: a letter, then letters, digits and _",
            fix=f"for example '{near}'" if _NAME.fullmatch(near) and not near.startswith(AUDIT) else "dev",
        )
    return name


def is_development(name: str) -> bool:
    """Whether a branch of this name is neither main nor one of the runner's own."""
    return name != MAIN and not name.startswith(AUDIT)


def refuse_tag(lake: Lake) -> None:
    """ProjectError where a table has a tag of the branch's name: the two share their names."""
    if lake.branch == MAIN:
        return
    for table in lake.catalog.tables():
        state = lake.catalog.table(table)
        if state and lake.branch in state.tags:
            raise fail(
                "bad-branch",
                None,
                f"--branch: {table} has a tag '{lake.branch}'",
                why="branches and tags of a table share their names",
                fix="take another name",
            )


def require_there(lake: Lake) -> None:
    """ProjectError where no table has the lake's branch: main would be taken for it."""
    if lake.branch != MAIN:
        find(lake.catalog, lake.branch)


def branches(catalog: Catalog) -> tuple[Branch, ...]:
    """All development branches, by name."""
    found: dict[str, list[Line]] = {}
    for table in catalog.tables():
        state = catalog.table(table)
        for name in state.branches if state else ():
            if state and is_development(name) and state.has(name) and (line := _line(state, name)):
                found.setdefault(name, []).append(line)
    return tuple(Branch(name, tuple(lines)) for name, lines in sorted(found.items()))


def find(catalog: Catalog, name: str) -> Branch:
    """A branch by its name; ProjectError where no table has it."""
    known = {branch.name: branch for branch in branches(catalog)}
    if name not in known:
        raise fail(
            "unknown-branch",
            None,
            f"there is no development branch '{name}' in the lake",
            why="a branch begins with a run that writes it",
            fix=did_you_mean(name, known) if known else f"`runner run --branch {name}`",
        )
    return known[name]


def _line(state: TableState, name: str) -> Line | None:
    head = state.head(name)
    if head is None:
        return None
    main = [s.id for s in state.ancestry(state.branches.get(MAIN))]
    ours = list(state.ancestry(head.id))
    known, shared = set(main), {s.id for s in ours}
    ahead = tuple(s for s in ours if s.id not in known)
    return Line(state, head, ahead, sum(i not in shared for i in main), ledger.base_of(state, name))
