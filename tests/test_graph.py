"""Every table is built before it is read; a command line names models by what they are called."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import Place, ProjectError
from runner.graph import ancestors, descendants, order, parents, select
from runner.refs import TableRef
from runner.spec import Model, Pipeline, Profile, Project, Read, Source, TableInput, Target

HERE = Place("x.yml")


def project(edges: dict[str, list[str]], pipeline_of: dict[str, str] | None = None) -> Project:
    """A project of models; ``edges``: model → the models whose tables it reads."""
    where = pipeline_of or dict.fromkeys(edges, "p")
    models = {
        name: Model(
            name=name,
            pipeline=where[name],
            place=HERE,
            sql="x.sql",
            sources=tuple(
                Source(f"s{i}", TableInput(TableRef(f"ns_{where[r]}", r)), Read.ALL, HERE)
                for i, r in enumerate(reads)
            ),
            target=Target(TableRef(f"ns_{where[name]}", name), ("id",), (), HERE),
        )
        for name, reads in edges.items()
    }
    names = dict.fromkeys(where.values())
    pipelines = tuple(
        Pipeline(name, HERE, tuple(m for m in models.values() if m.pipeline == name)) for name in names
    )
    return Project(None, pipelines, Profile("local", HERE))  # type: ignore[arg-type]


def ids(models: tuple[Model, ...]) -> list[str]:
    return [model.name for model in models]


@st.composite
def acyclic(draw: st.DrawFn) -> dict[str, list[str]]:
    names = [f"m{i}" for i in range(draw(st.integers(1, 8)))]
    edges = {
        name: draw(st.lists(st.sampled_from(names[:i]), max_size=3)) if i else []
        for i, name in enumerate(names)
    }
    return {name: edges[name] for name in draw(st.permutations(names))}


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


CHAIN = {"raw": [], "clean": ["raw"], "stats": ["clean"], "risk": ["clean"]}
WHERE = {"raw": "bronze", "clean": "silver", "stats": "gold", "risk": "gold"}


@pytest.mark.parametrize(
    ("pipeline", "names", "wanted"),
    [
        (None, [], ["raw", "clean", "stats", "risk"]),
        ("gold", [], ["stats", "risk"]),
        (None, ["risk", "raw"], ["raw", "risk"]),
        (None, ["silver.clean"], ["clean"]),
        (None, ["ns_gold.risk"], ["risk"]),
        (None, ["+clean"], ["raw", "clean"]),
        (None, ["clean+"], ["clean", "stats", "risk"]),
        ("gold", ["clean+"], ["stats", "risk"]),
        (None, ["+stats+", "stats"], ["raw", "clean", "stats"]),
    ],
)
def test_select(pipeline: str | None, names: list[str], wanted: list[str]) -> None:
    assert ids(select(project(CHAIN, WHERE), pipeline=pipeline, names=names)) == wanted


@pytest.mark.parametrize(
    ("pipeline", "names", "code", "fix"),
    [
        ("glod", [], "unknown-pipeline", "did you mean 'gold'?"),
        (None, ["claen"], "unknown-model", "did you mean 'clean'?"),
        (None, ["+silver.claen"], "unknown-model", "did you mean 'silver.clean'?"),
        ("gold", ["raw"], "not-in-pipeline", "leave out --pipeline, or name the right one"),
    ],
)
def test_names_that_nothing_bears(pipeline: str | None, names: list[str], code: str, fix: str) -> None:
    with pytest.raises(ProjectError) as error:
        select(project(CHAIN, WHERE), pipeline=pipeline, names=names)
    assert [(f.code, f.fix) for f in error.value.faults] == [(code, fix)]
