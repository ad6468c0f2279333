"""What a query, a table or a view returns: columns in order, their types as far as known, what is unique."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Names = frozenset[str]


@dataclass(frozen=True)
class Relation:
    """``columns``: lower-case name → type (None: not known), in order; None = the columns are not known.

    ``unique``: sets of columns that no two rows share. ``repeated``: names that stand twice.
    """

    columns: Mapping[str, str | None] | None
    unique: tuple[Names, ...] = ()
    repeated: tuple[str, ...] = ()
    written: Mapping[str, str] = field(default_factory=dict)  # lower-case name → as it is written

    def has(self, name: str) -> bool:
        """Whether the column may be there."""
        return self.columns is None or name.lower() in self.columns

    def type(self, name: str) -> str | None:
        return self.columns.get(name.lower()) if self.columns is not None else None


OPEN = Relation(None)


def relation(columns: Iterable[tuple[str, str | None]], unique: tuple[Names, ...] = ()) -> Relation:
    """A relation of named columns, types given."""
    found: dict[str, str | None] = {}
    written: dict[str, str] = {}
    repeated = []
    for name, kind in columns:
        if name.lower() in found:
            repeated.append(name)
        found.setdefault(name.lower(), kind)
        written.setdefault(name.lower(), name)
    return Relation(found, unique, tuple(repeated), written)


def renamed(of: Relation, names: list[str]) -> Relation:
    """``AS t(a, b)``: the same columns under other names."""
    if of.columns is None or len(of.columns) != len(names):
        return relation((name, None) for name in names)
    return relation(zip(names, of.columns.values(), strict=True))


@dataclass
class Scope:
    """The names that the expressions of one SELECT see."""

    sources: dict[str, Relation] = field(default_factory=dict)
    hidden: dict[str, Relation] = field(default_factory=dict)  # right sides of semi joins: for ON alone
    aliases: dict[str, str | None] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)  # columns of USING
    outer: Scope | None = None

    def add(self, name: str, found: Relation, *, hidden: bool = False) -> None:
        """A source under its alias; two without a name do not hide one another."""
        into = self.hidden if hidden else self.sources
        key = name.lower() or f"#{len(self.sources) + len(self.hidden)}"
        into[key] = found

    def all(self) -> dict[str, Relation]:
        return {**self.sources, **self.hidden}

    def source(self, name: str) -> Relation | None:
        """The source of that alias, here or further out."""
        found = self.all().get(name.lower())
        return found or (self.outer.source(name) if self.outer else None)

    def finds(self, parts: list[str], *, aliases: bool) -> bool:
        """Whether a dotted name means something here or further out; struct fields are not followed."""
        first = parts[0].lower()
        sources = self.all()
        if len(parts) > 1 and first in sources and sources[first].has(parts[1]):
            return True
        if any(found.has(first) for found in sources.values()) or (aliases and first in self.aliases):
            return True
        return self.outer is not None and self.outer.finds(parts, aliases=False)

    def type(self, parts: list[str]) -> str | None:
        """The type of a column; None where it is a struct's field or not known."""
        first, sources = parts[0].lower(), self.all()
        if len(parts) == 2 and first in sources:
            return sources[first].type(parts[1])
        if len(parts) == 1:
            for found in sources.values():
                if found.columns is not None and first in found.columns:
                    return found.columns[first]
            return self.aliases.get(first)
        return None

    def names(self) -> set[str]:
        """Every known name, for suggestions."""
        found = {
            written
            for source in self.all().values()
            for written in ({**{c: c for c in source.columns or ()}, **source.written}).values()
        }
        return found | set(self.aliases)
