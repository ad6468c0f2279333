"""Projects that are nothing but a graph: models that read one another."""

from __future__ import annotations

from hypothesis import strategies as st

from runner.errors import Place
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
