"""Which model comes before which, and which models a command line names.

In: a project without cycles (``load`` refuses them). Out: models in an order in which every table is
built before it is read; models that do not depend on one another keep the order of their declaration.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence

from runner.errors import Fault, ProjectError, did_you_mean
from runner.spec import Model, Project, TableInput


def parents(project: Project, model: Model) -> tuple[Model, ...]:
    """The models whose tables ``model`` reads, or looks into by its checks, each once."""
    read = [s.origin.table for s in model.sources if isinstance(s.origin, TableInput)]
    makers = (project.producer(table) for table in (*read, *(to for _, to in model.references)))
    return tuple({maker.id: maker for maker in makers if maker and maker.id != model.id}.values())


def order(project: Project) -> tuple[Model, ...]:
    """All models, every one after its parents; otherwise in the order of their declaration."""
    models = _by_id(project)
    rank = {id: i for i, id in enumerate(models)}
    waiting = {id: {p.id for p in parents(project, model)} for id, model in models.items()}
    ready = [rank[id] for id, before in waiting.items() if not before]
    heapq.heapify(ready)
    names = list(models)
    found: list[Model] = []
    while ready:
        done = names[heapq.heappop(ready)]
        found.append(models[done])
        for id, before in waiting.items():
            if done in before:
                before.discard(done)
                if not before:
                    heapq.heappush(ready, rank[id])
    return tuple(found)


def descendants(project: Project, model: Model) -> tuple[Model, ...]:
    """The models that depend on ``model``, however far, in order; without itself."""
    return _closure(project, model, {m.id: {p.id for p in parents(project, m)} for m in project.models})


def ancestors(project: Project, model: Model) -> tuple[Model, ...]:
    """The models that ``model`` depends on, however far, in order; without itself."""
    children: dict[str, set[str]] = {m.id: set() for m in project.models}
    for child in project.models:
        for parent in parents(project, child):
            children[parent.id].add(child.id)
    return _closure(project, model, children)


def select(project: Project, *, pipeline: str | None = None, names: Sequence[str] = ()) -> tuple[Model, ...]:
    """The models that a command line names, in order; all of them without a name.

    A name is a model's, ``pipeline.model``, or its table; ``+a`` adds what a depends on, ``a+`` what
    depends on it. ProjectError for names that nothing bears, with what was meant.
    """
    faults: list[Fault] = []
    pipelines = [p.name for p in project.pipelines]
    if pipeline is not None and pipeline not in pipelines:
        faults.append(
            Fault(
                "unknown-pipeline",
                None,
                f"--pipeline: there is no pipeline '{pipeline}'",
                "a pipeline is a file pipelines/NAME.yml",
                did_you_mean(pipeline, pipelines),
            )
        )
    scope = [m for m in order(project) if pipeline is None or m.pipeline == pipeline]
    chosen: set[str] = set() if names else {m.id for m in scope}
    for name in names:
        found = _named(project, name)
        inside = [m.id for m in found if pipeline is None or m.pipeline == pipeline]
        if not found:
            faults.append(_unknown(name, project.models))
        elif not inside and pipeline in pipelines:
            faults.append(
                Fault(
                    "not-in-pipeline",
                    None,
                    f"--select: '{name}' is not in the pipeline '{pipeline}'",
                    f"it is in {', '.join(sorted({m.pipeline for m in found}))}",
                    "leave out --pipeline, or name the right one",
                )
            )
        chosen.update(inside)
    if faults:
        raise ProjectError(tuple(faults))
    return tuple(m for m in scope if m.id in chosen)


def _named(project: Project, name: str) -> list[Model]:
    word = name.strip("+")
    found = [m for m in project.models if word in (m.name, m.id, str(m.target.table))]
    chosen = {m.id: m for m in found}
    for model in found:
        if name.startswith("+"):
            chosen.update({m.id: m for m in ancestors(project, model)})
        if name.endswith("+"):
            chosen.update({m.id: m for m in descendants(project, model)})
    return list(chosen.values())


def _unknown(name: str, models: Iterable[Model]) -> Fault:
    word = name.strip("+")
    known = {known for m in models for known in (m.name, m.id, str(m.target.table))}
    hint = did_you_mean(word, known)
    if not hint.startswith("did"):
        hint = did_you_mean(word, {m.name for m in models})
    return Fault(
        "unknown-model",
        None,
        f"--select: nothing is named '{word}'",
        "a name is a model's, pipeline.model, or its table",
        hint,
    )


def _by_id(project: Project) -> dict[str, Model]:
    return {model.id: model for model in project.models}


def _closure(project: Project, model: Model, edges: Mapping[str, Collection[str]]) -> tuple[Model, ...]:
    """Everything from which ``edges`` (id → ids it leads to) come to ``model``."""
    reached = {model.id}
    grown = True
    while grown:
        more = {id for id, to in edges.items() if id not in reached and reached & set(to)}
        grown = bool(more)
        reached |= more
    return tuple(m for m in order(project) if m.id in reached and m.id != model.id)
