"""Rules of inputs that are read by touched groups: nothing may look across groups.

The query sees only the rows of touched groups, so whatever looks at all rows would give another answer
than over the whole input.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from runner.errors import Fault
from runner.lineage.functions import function_name, is_aggregate
from runner.lineage.query import Query, inside, selects
from runner.render import view_name
from runner.spec import Model, Read

_WHY = "only the rows of touched groups are read, so the answer would differ from that over all rows"


def groupwise_faults(model: Model, query: Query) -> Iterator[Fault]:
    """Faults of SELECTs that read an ``affected`` source, directly or through CTEs."""
    views = {view_name(s.name).lower(): s.name for s in model.sources if s.read is Read.AFFECTED}
    if not views:
        return
    by = ", ".join(next(s.by[0] for s in model.sources if s.read is Read.AFFECTED))
    partial = _partial(query, set(views))
    for select in selects(query.tree):
        if not _reads(select, partial):
            continue
        if limit := select.args.get("limit"):
            yield Fault(
                "not-group-wise",
                query.place(limit if query.start(limit) else select),
                "LIMIT takes some rows of all groups",
                _WHY,
                f"number the rows of a group: row_number() OVER (PARTITION BY {by} ORDER BY …) <= n",
            )
        yield from _expressions(query, select, by)


def _expressions(query: Query, select: exp.Select, by: str) -> Iterator[Fault]:
    parts = [*select.expressions, *(select.args.get(part) for part in ("having", "qualify", "order"))]
    nodes = [node for part in parts if isinstance(part, exp.Expr) for node in inside(part)]
    for node in nodes:
        if isinstance(node, exp.Window) and not node.args.get("partition_by") and not node.args.get("alias"):
            yield Fault(
                "not-group-wise",
                query.place_of_call(node, function_name(node.this)),
                f"{function_name(node.this)}() OVER has no PARTITION BY",
                _WHY,
                f"add PARTITION BY {by}, or read: all",
            )
    if select.args.get("group"):
        return
    for node in nodes:
        if is_aggregate(node) and not isinstance(node.find_ancestor(exp.Window, exp.Select), exp.Window):
            yield Fault(
                "not-group-wise",
                query.place_of_call(node, function_name(node)),
                f"{function_name(node)}() over all rows, without GROUP BY",
                _WHY,
                f"add GROUP BY {by}, or read: all",
            )
            return


def _partial(query: Query, views: set[str]) -> set[str]:
    """The views, and the CTEs that read them."""
    names = set(views)
    for cte in query.tree.find_all(exp.CTE):
        if _reads(cte.this, names):
            names.add(cte.alias.lower())
    return names


def _reads(node: exp.Expr, names: set[str]) -> bool:
    return any(table.name.lower() in names for table in node.find_all(exp.Table) if not table.db)
