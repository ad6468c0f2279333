"""Every table is built before it is read."""

from __future__ import annotations

from hypothesis import given, settings

from runner.graph import ancestors, descendants, order, parents
from tests.dags import acyclic, ids, project


@settings(max_examples=40, deadline=None)
@given(edges=acyclic())
def test_order_is_topological_complete_and_stable(edges: dict[str, list[str]]) -> None:
    found = project(edges)
    ordered = ids(order(found))
    assert sorted(ordered) == sorted(edges)
    for name, reads in edges.items():
        assert all(ordered.index(read) < ordered.index(name) for read in reads)
    # Of those that are ready, the one declared first comes first.
    declared = list(edges)
    done: set[str] = set()
    for name in ordered:
        ready = [n for n in declared if n not in done and set(edges[n]) <= done]
        assert name == ready[0]
        done.add(name)


@settings(max_examples=40, deadline=None)
@given(edges=acyclic())
def test_descendants_and_ancestors_are_each_others_mirror(edges: dict[str, list[str]]) -> None:
    found = project(edges)
    for model in found.models:
        for other in found.models:
            below = other.name in ids(descendants(found, model))
            assert below == (model.name in ids(ancestors(found, other)))
        assert set(ids(parents(found, model))) == set(edges[model.name])
