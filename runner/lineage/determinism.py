"""What is no function of the rows: refused in exact models, whose tables equal a rebuild cell by cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sqlglot import exp

from runner.errors import Fault
from runner.lineage.functions import (
    BARE_FUNCTIONS,
    CLOCK,
    CLOCK_FIX,
    FLOAT,
    RANDOM,
    REFUSED,
    TIES,
    function_name,
)
from runner.lineage.kinds import is_float
from runner.lineage.query import Query, inside, selects
from runner.lineage.relation import Names, Scope

_PICKS = (exp.First, exp.Last, exp.FirstValue, exp.LastValue, exp.AnyValue)
_RANKS = (exp.RowNumber, exp.Ntile, exp.Lag, exp.Lead, exp.NthValue)
_LISTS = (exp.ArrayAgg, exp.ArrayUniqueAgg)
_NAMES: dict[type[exp.Expr], tuple[str, ...]] = {
    exp.First: ("first",),
    exp.Last: ("last",),
    exp.FirstValue: ("first_value",),
    exp.LastValue: ("last_value",),
    exp.AnyValue: ("any_value",),
    exp.RowNumber: ("row_number",),
    exp.Ntile: ("ntile",),
    exp.Lag: ("lag",),
    exp.Lead: ("lead",),
    exp.NthValue: ("nth_value",),
    exp.ArrayAgg: ("collect_list", "array_agg"),
    exp.ArrayUniqueAgg: ("collect_set",),
    exp.GroupConcat: ("listagg", "string_agg"),
}
#: Functions that make a list's order disappear.
_ORDERLESS = (exp.ArraySort, exp.ArraySize, exp.ArrayContains, exp.ArrayMax, exp.ArrayMin)
_ORDERLESS_NAMES = (
    "sort_array",
    "array_sort",
    "size",
    "cardinality",
    "array_max",
    "array_min",
    "array_contains",
    "array_size",
)


def determinism_faults(
    query: Query, scope_of: Callable[[exp.Expr], Scope], keys: Iterable[Names]
) -> Iterator[Fault]:
    """``keys``: sets of columns that identify rows: the target's key, those of the sources."""
    keys = tuple(keys)
    yield from call_faults(query, scope_of)
    for select in selects(query.tree):
        scope = scope_of(select)
        unique = [*keys, *(key for source in scope.sources.values() for key in source.unique)]
        if group := select.args.get("group"):
            unique.append(frozenset(column.name.lower() for column in group.expressions))
        for part in _level(select):
            yield from _node(query, part, scope, unique)
        if select.args.get("limit") and not _total(select.args.get("order"), (), unique):
            yield Fault(
                "not-deterministic",
                query.place(select),
                "LIMIT takes some rows without a total order",
                TIES,
                f"add ORDER BY with {_key_words(unique, scope)}",
            )
        for sample in select.find_all(exp.TableSample):
            yield Fault(
                "not-deterministic",
                query.place(sample.parent),
                "TABLESAMPLE takes rows by chance",
                RANDOM,
                "filter by a hash of the key: pmod(xxhash64(key), 100) < 10",
            )


def call_faults(query: Query, scope_of: Callable[[exp.Expr], Scope]) -> Iterator[Fault]:
    """Functions that are no function of the rows: clocks, random numbers, what the session says."""
    tokens = query.tokens
    for i, token in enumerate(tokens[:-1]):
        name = token.text.lower()
        empty = name == "unix_timestamp" and [t.text for t in tokens[i + 1 : i + 3]] == ["(", ")"]
        if tokens[i + 1].text == "(" and (name in REFUSED or empty):
            why, fix = REFUSED.get(name, (CLOCK, CLOCK_FIX))
            yield Fault(
                "not-deterministic",
                query.locate(token.start),
                f"{name}() is not a function of the rows",
                why,
                fix,
            )
    bare = (
        exp.CurrentDate,
        exp.CurrentTimestamp,
        exp.CurrentTime,
        exp.CurrentUser,
        exp.Localtimestamp,
        exp.SessionUser,
    )
    called = {call.start for call in query.calls}
    for token in tokens:
        if (
            token.text.lower() in BARE_FUNCTIONS
            and token.start not in called
            and _is_bare(query, token.start, bare, scope_of)
        ):
            why, fix = REFUSED.get(
                token.text.lower(), ("the answer depends on the session, not on the rows", "remove it")
            )
            yield Fault(
                "not-deterministic",
                query.locate(token.start),
                f"{token.text} is not a function of the rows",
                why,
                fix,
            )


def _is_bare(
    query: Query, start: int, kinds: tuple[type[exp.Expr], ...], scope_of: Callable[[exp.Expr], Scope]
) -> bool:
    """Whether the word at ``start`` is a function without parentheses and no column or alias."""
    for column in query.tree.find_all(exp.Identifier):
        if column.meta.get("start") == start:
            parent = column.parent
            if not isinstance(parent, exp.Column) or len(parent.parts) > 1:
                return False
            select = parent.find_ancestor(exp.Select)
            return select is None or not scope_of(select).finds([column.name], aliases=True)
    return any(True for _ in query.tree.find_all(*kinds))


def _level(select: exp.Select) -> Iterator[exp.Expr]:
    for part in (
        *select.expressions,
        *(select.args.get(p) for p in ("having", "order", "qualify", "group", "where")),
    ):
        if isinstance(part, exp.Expr):
            yield from inside(part)


def _node(query: Query, node: exp.Expr, scope: Scope, unique: list[Names]) -> Iterator[Fault]:
    if isinstance(node, exp.Window) and not isinstance(node.this, exp.Identifier):
        yield from _window(query, node, scope, unique)
        return
    if not isinstance(node, exp.Func):
        return
    if isinstance(node, _PICKS) and not isinstance(node.find_ancestor(exp.Window, exp.Select), exp.Window):
        name = _NAMES[type(node)][0]
        yield Fault(
            "not-deterministic",
            query.place_of_call(node, *_NAMES[type(node)]),
            f"{name}() takes any of several rows",
            TIES,
            "use max() or min(), or max(struct(order, key, value)).value",
        )
    elif isinstance(node, _LISTS) and not _sorted(node):
        name = next((c.name for c in query.calls if c.name in _NAMES[type(node)]), _NAMES[type(node)][0])
        yield Fault(
            "not-deterministic",
            query.place_of_call(node, *_NAMES[type(node)]),
            f"{name}() gives a list in no order",
            "the order of its elements changes with the layout of the files",
            f"write sort_array({name}(…))",
        )
    elif isinstance(node, exp.GroupConcat) and not isinstance(node.this, exp.Order):
        yield Fault(
            "not-deterministic",
            query.place_of_call(node, *_NAMES[exp.GroupConcat]),
            "listagg() joins text in no order",
            "the order changes with the layout of the files",
            "add WITHIN GROUP (ORDER BY the same expression)",
        )
    elif isinstance(node, exp.Sum | exp.Avg) or function_name(node) in ("try_sum", "try_avg", "mean"):
        value = node.this if isinstance(node, exp.Sum | exp.Avg) else next(iter(node.expressions), None)
        if is_float(value, scope):
            name = "avg" if isinstance(node, exp.Avg) else "sum"
            yield Fault(
                "float-sum",
                query.place_of_call(node, name, "mean", "try_sum", "try_avg"),
                f"{name}() adds up floating-point numbers",
                FLOAT,
                f"{name}(CAST(… AS DECIMAL(38, 6))), and CAST the result AS DOUBLE if that is its column",
            )


def _window(query: Query, node: exp.Window, scope: Scope, unique: list[Names]) -> Iterator[Fault]:
    function = node.this
    while isinstance(function, exp.IgnoreNulls | exp.RespectNulls | exp.Filter):
        function = function.this
    spec = _named_window(node)
    order = node.args.get("order") or (spec.args.get("order") if spec else None)
    partition = [
        *(node.args.get("partition_by") or []),
        *((spec.args.get("partition_by") or []) if spec else []),
    ]
    frame = node.args.get("spec") or (spec.args.get("spec") if spec else None)
    by_rows = frame is not None and str(frame.args.get("kind")).upper() == "ROWS"
    bounds = {str(frame.args.get(side)).upper() for side in ("start", "end")} if frame is not None else set()
    whole = by_rows and bounds == {"UNBOUNDED"}
    takes = isinstance(function, (*_RANKS, *_PICKS))
    if (takes or (by_rows and not whole)) and not _total(order, partition, unique):
        name = _NAMES.get(type(function), (str(function.key),))[0]
        what = f"{name}() numbers or takes rows" if takes else f"{name}() over a frame of ROWS looks at rows"
        yield Fault(
            "no-total-order",
            query.place_of_call(node, *_NAMES.get(type(function), (name,))),
            f"{what} in an order that is not total",
            "rows that are equal in PARTITION BY and ORDER BY change places with the layout of the files",
            f"add {_key_words(unique, scope)} to the ORDER BY",
        )
    if isinstance(function, _LISTS) and not _sorted(node):
        yield Fault(
            "not-deterministic",
            query.place_of_call(function, *_NAMES[type(function)]),
            "a list is collected in no order",
            "the order of its elements changes with the layout of the files",
            "wrap it: sort_array(… OVER (…))",
        )


def _named_window(node: exp.Window) -> exp.Expr | None:
    name = node.args.get("alias")
    select = node.find_ancestor(exp.Select)
    if not name or select is None:
        return None
    return next((w for w in select.args.get("windows") or [] if w.this and w.this.name == name.name), None)


def _total(order: exp.Expr | None, partition: Iterable[exp.Expr], unique: Iterable[Names]) -> bool:
    """Whether the columns of ORDER BY and PARTITION BY identify a row."""
    ordered = [o.this for o in order.expressions] if order is not None else []
    if order is None:
        return False
    names = {c.name.lower() for c in (*ordered, *partition) if isinstance(c, exp.Column)}
    return any(key and key <= names for key in unique)


def _key_words(unique: list[Names], scope: Scope) -> str:
    """The columns of the first set that can be named where the order is written."""
    for names in unique:
        if names and all(scope.finds([name], aliases=False) for name in names):
            return ", ".join(sorted(names))
    return "columns that identify a row"


def _sorted(node: exp.Expr) -> bool:
    parent = node.parent
    while isinstance(parent, exp.Paren | exp.Filter):
        parent = parent.parent
    return isinstance(parent, _ORDERLESS) or function_name(parent) in _ORDERLESS_NAMES
