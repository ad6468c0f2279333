"""The query of a ``sql`` check: one SELECT over the target and tables, under the rules of model SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runner.errors import Fault
from runner.lineage.determinism import call_faults
from runner.lineage.query import locator, parse_query
from runner.lineage.reach import foreign_relation, outside_faults, shadow_faults
from runner.lineage.relation import Relation, relation
from runner.lineage.resolve import Resolver
from runner.markers import SourceMap
from runner.render import TARGET_VIEW, view_name
from runner.spec import Model, Project


def expectation_faults(
    model: Model, places: SourceMap, sources: Mapping[str, Relation], project: Project | None
) -> Iterator[Fault]:
    """What is wrong with the query of one check; ``sources``: the model's, by name."""
    query = parse_query(places.rendered, locator(places.rendered, 1, 1, places.at))
    if isinstance(query, Fault):
        yield (
            query
            if query.code != "not-a-query" and query.what != "this is not one query"
            else Fault(
                "not-a-query",
                query.place,
                "a sql check is one SELECT",
                "the rows that it returns are the failures",
                "write SELECT … FROM {{ target }} WHERE what must not be",
            )
        )
        return
    views = {view_name(name).lower(): found for name, found in sources.items()}
    views[TARGET_VIEW] = relation((c.name, c.type) for c in model.target.columns)
    resolver = Resolver(query, views, foreign_relation(model, project, query))
    returned = resolver.run()
    yield from resolver.faults
    yield from outside_faults(query)
    yield from shadow_faults(query)
    yield from call_faults(query, resolver.scope)
    for name in returned.repeated:
        yield Fault(
            "duplicate-column",
            query.locate(0),
            f"the query returns two columns named '{name}'",
            "examples name the columns of a row",
            "give one of them another name",
        )
