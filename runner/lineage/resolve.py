"""Names of a query, bound: every relation to an input or a CTE, every column to what returns it.

In: a parsed query and the columns of the views it may read. Out: the columns that it returns, the
scopes of its SELECTs, and faults. What cannot be known (files without a schema, generators) is open:
nothing is claimed about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlglot import exp

from runner.errors import Fault, did_you_mean
from runner.lineage.functions import BARE_FUNCTIONS, GENERATORS, TABLE_FUNCTIONS, function_name
from runner.lineage.kinds import kind_of
from runner.lineage.query import Query, level
from runner.lineage.relation import OPEN, Names, Relation, Scope, relation, renamed

Ctes = Mapping[str, Relation]


@dataclass(frozen=True)
class Typing:
    """How types are told: that of an expression, and that of a column which two queries make."""

    of: Callable[[exp.Expr | None, Scope], str | None]
    of_both: Callable[[str | None, str | None], str | None]


def _wider(left: str | None, right: str | None) -> str | None:
    return left if left == right else next((k for k in (left, right) if k in ("double", "float")), None)


#: Sees every floating-point number coming; of other types it knows the name at most.
LOOSE = Typing(kind_of, _wider)


class Resolver:
    """Walks one query. ``views``: the relations it may read, by name in lower case."""

    def __init__(
        self,
        query: Query,
        views: Mapping[str, Relation],
        foreign: Callable[[exp.Table], Fault],
        typing: Typing = LOOSE,
    ) -> None:
        self.query = query
        self.views = views
        self.foreign = foreign
        self.typing = typing
        self.faults: list[Fault] = []
        self.scopes: dict[int, Scope] = {}

    def run(self) -> Relation:
        """The columns that the query returns."""
        return self._query(self.query.tree, {}, None)

    def scope(self, select: exp.Expr) -> Scope:
        """The scope of a SELECT of the query, after :meth:`run`."""
        return self.scopes.get(id(select), Scope())

    def _query(self, node: exp.Expr, ctes: Ctes, outer: Scope | None) -> Relation:
        ctes = self._with(node, ctes, outer)
        if isinstance(node, exp.Subquery):
            return self._query(node.this, ctes, outer)
        if isinstance(node, exp.SetOperation):
            left = self._query(node.this, ctes, outer)
            right = self._query(node.expression, ctes, outer)
            self._order(node, Scope({"": left}, outer=outer))
            if left.columns is None or right.columns is None or node.args.get("by_name"):
                return OPEN
            unique: tuple[Names, ...] = (frozenset(left.columns),) if node.args.get("distinct") else ()
            pairs = zip(left.columns.items(), right.columns.values(), strict=False)
            columns = [(left.written.get(n, n), self.typing.of_both(k, other)) for (n, k), other in pairs]
            return relation(columns, unique)
        if isinstance(node, exp.Select):
            return self._select(node, ctes, outer)
        return OPEN

    def _with(self, node: exp.Expr, ctes: Ctes, outer: Scope | None) -> Ctes:
        found = node.args.get("with_")
        if found is None:
            return ctes
        known = dict(ctes)
        for cte in found.expressions:
            name = cte.alias.lower()
            if found.args.get("recursive"):
                known[name] = OPEN
            columns = [c.name for c in cte.args["alias"].args.get("columns") or ()]
            result = self._query(cte.this, known, outer)
            known[name] = renamed(result, columns) if columns else result
        return known

    def _select(self, node: exp.Select, ctes: Ctes, outer: Scope | None) -> Relation:
        scope = Scope(outer=outer)
        self.scopes[id(node)] = scope
        found = node.args.get("from_")
        items = [(found.this, False)] if found else []
        joins = node.args.get("joins") or []
        items += [(join.this, (join.kind or "").upper() in ("SEMI", "ANTI")) for join in joins]
        items += [(lateral, False) for lateral in node.args.get("laterals") or []]
        for item, is_hidden in items:
            self._source(item, scope, ctes, hidden=is_hidden)
        for join in joins:
            self._using(join, scope)
            self._check(join.args.get("on"), scope, ctes)
        self._check(node.args.get("where"), scope, ctes)
        for window in node.args.get("windows") or []:
            self._check(window, scope, ctes)
        columns: list[tuple[str, str | None]] | None = []
        for item in node.expressions:
            self._check(item, scope, ctes, aliases=True)
            more = self._returned(item, scope)
            columns = None if columns is None or more is None else columns + more
            if isinstance(item, exp.Alias):
                scope.aliases[item.alias.lower()] = self.typing.of(item.this, scope)
        for part in ("group", "having", "qualify"):
            self._check(node.args.get(part), scope, ctes, aliases=True)
        self._order(node, scope)
        return OPEN if columns is None else relation(columns, _unique(node, scope, columns))

    def _order(self, node: exp.Expr, scope: Scope) -> None:
        for part in ("order", "sort", "cluster", "distribute", "limit", "offset"):
            self._check(node.args.get(part), scope, {}, aliases=True)

    def _source(self, item: exp.Expr, scope: Scope, ctes: Ctes, *, hidden: bool) -> None:
        alias = item.args.get("alias")
        columns = (
            [c.name for c in alias.args.get("columns") or ()] if isinstance(alias, exp.TableAlias) else []
        )
        name = item.alias_or_name
        match item:
            case exp.Table():
                found = self._table(item, scope, ctes)
            case exp.Subquery():
                found = self._query(item, ctes, scope.outer)
            case exp.Lateral():
                name = item.alias
                found = self._lateral(item, scope, ctes)
            case exp.Paren():
                self._source(item.this, scope, ctes, hidden=hidden)
                return
            case _:
                self._check(item, scope, ctes)
                found = OPEN
        if item.args.get("pivots"):
            found = OPEN
        scope.add(name, renamed(found, columns) if columns else found, hidden=hidden)
        for join in item.args.get("joins") or []:
            self._source(join.this, scope, ctes, hidden=hidden)
            self._check(join.args.get("on"), scope, ctes)

    def _table(self, node: exp.Table, scope: Scope, ctes: Ctes) -> Relation:
        if isinstance(node.this, exp.Func):
            self._check(node.this, scope, ctes)
            name = function_name(node.this)
            if name not in TABLE_FUNCTIONS:
                self.faults.append(self.foreign(node))
            return relation([("id", "bigint")]) if name == "range" else OPEN
        name = node.name.lower()
        if not node.db and name in ctes:
            return ctes[name]
        if not node.db and name in self.views and not node.args.get("version"):
            return self.views[name]
        self.faults.append(self.foreign(node))
        return OPEN

    def _lateral(self, node: exp.Lateral, scope: Scope, ctes: Ctes) -> Relation:
        if isinstance(node.this, exp.Query):
            return self._query(node.this, ctes, scope)
        self._check(node.this, scope, ctes)
        return OPEN

    def _using(self, join: exp.Join, scope: Scope) -> None:
        for column in join.args.get("using") or []:
            scope.shared.add(column.name.lower())
            right = scope.all().get(join.this.alias_or_name.lower(), OPEN)
            if not right.has(column.name):
                self._unknown(column, column.name, join.this.alias_or_name, right)

    def _check(self, node: exp.Expr | None, scope: Scope, ctes: Ctes, *, aliases: bool = False) -> None:
        """Every column of an expression, and the queries within it."""
        if node is None:
            return
        nodes, queries = level(node)
        for found in nodes:
            if isinstance(found, exp.Column) and not isinstance(found.this, exp.Star):
                self._column(found, scope, aliases=aliases)
        for query in queries:
            self._query(query, ctes, scope)

    def _column(self, node: exp.Column, scope: Scope, *, aliases: bool) -> None:
        parts = [part.name for part in node.parts]
        if scope.finds(parts, aliases=aliases) or (len(parts) == 1 and parts[0].lower() in BARE_FUNCTIONS):
            return
        sources = scope.all()
        if len(parts) > 1 and (bearer := scope.source(parts[0])):
            self._unknown(node, parts[1], parts[0], bearer)
            return
        names = scope.names()
        what = f"there is no column '{'.'.join(parts)}'"
        shown = [f"source('{name[2:]}')" if name in self.views else name for name in scope.sources]
        why = f"it is looked for in {_listed(shown)}" if shown else "the SELECT has no FROM"
        known = {source.written.get(c, c) for source in sources.values() for c in source.columns or ()}
        if 0 < len(known) <= 12:
            why += f", with the columns {_listed(sorted(known))}"
        self.faults.append(Fault("unknown-column", self.query.place(node), what, why, _hint(parts[0], names)))

    def _unknown(self, node: exp.Expr, name: str, source: str, found: Relation) -> None:
        names = {found.written.get(c, c) for c in found.columns or ()}
        self.faults.append(
            Fault(
                "unknown-column",
                self.query.place(node),
                f"'{source}' has no column '{name}'",
                f"it has {_listed(sorted(names))}",
                _hint(name, names),
            )
        )

    def _returned(self, item: exp.Expr, scope: Scope) -> list[tuple[str, str | None]] | None:
        """The columns that one item of a SELECT list returns; None where they are not known."""
        match item:
            case exp.Star():
                return self._star(item, list(scope.sources.values()), scope.shared)
            case exp.Column(this=exp.Star()):
                source = scope.sources.get(item.table.lower())
                return self._star(item.this, [source], set()) if source else None
            case exp.Aliases():
                return [(name.name, None) for name in item.expressions]
            case exp.Alias():
                return [(item.alias, self.typing.of(item.this, scope))]
            case exp.Column():
                return [(item.name, self.typing.of(item, scope))]
            case exp.Dot():
                return [(item.expression.name, None)]
        if isinstance(item, exp.UDTF | exp.QueryTransform) or function_name(item) in GENERATORS:
            return None
        return [(item.sql("spark"), self.typing.of(item, scope))]

    def _star(
        self, star: exp.Expr, sources: list[Relation], shared: set[str]
    ) -> list[tuple[str, str | None]] | None:
        left_out = {column.name.lower() for column in star.args.get("except_") or []}
        found: list[tuple[str, str | None]] = []
        for source in sources:
            if source.columns is None:
                return None
            taken = {name.lower() for name, _ in found}
            found += [
                (source.written.get(c, c), kind)
                for c, kind in source.columns.items()
                if c not in left_out and not (c in shared and c in taken)
            ]
        return found


def _unique(node: exp.Select, scope: Scope, columns: list[tuple[str, str | None]]) -> tuple[Names, ...]:
    """Which columns of a SELECT identify its rows: its groups, or what identifies its one source."""
    names = {name.lower() for name, _ in columns}
    if node.args.get("distinct"):
        return (frozenset(names),)
    passed = {}
    for item in node.expressions:
        inner = item.this if isinstance(item, exp.Alias) else item
        if isinstance(inner, exp.Column):
            passed[inner.name.lower()] = item.alias_or_name.lower()
        elif isinstance(inner, exp.Star):
            passed |= {name: name for source in scope.sources.values() for name in source.columns or ()}
    if group := node.args.get("group"):
        keys = [g.name.lower() for g in group.expressions]
        # A group by an expression's alias is a group by that output column.
        keys = [passed.get(key, key) for key in keys]
        return (frozenset(keys),) if keys and all(key in names for key in keys) else ()
    alone = len(scope.sources) == 1 and not node.args.get("laterals")
    if not alone:
        return ()
    (source,) = scope.sources.values()
    return tuple(frozenset(passed[c] for c in key) for key in source.unique if all(c in passed for c in key))


def _hint(word: str, names: set[str]) -> str:
    hint = did_you_mean(word, names)
    return hint if hint.startswith("did") else "compare the name with those of the source"


def _listed(names: list[str], most: int = 12) -> str:
    shown = [name for name in names if not name.startswith("#")]
    return ", ".join(shown[:most]) + (" …" if len(shown) > most else "")
