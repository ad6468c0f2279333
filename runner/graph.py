"""Which model comes before which.

In: a project without cycles (``load`` refuses them). Out: models in an order in which every table is
built before it is read; models that do not depend on one another keep the order of their declaration.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping

from runner.spec import Model, Project, TableInput


def parents(project: Project, model: Model) -> tuple[Model, ...]:
    """The models whose tables ``model`` reads, or looks into by its checks, each once."""
    read = [s.origin.table for s in model.sources if isinstance(s.origin, TableInput)]
    makers = (project.producer(table) for table in (*read, *(to for _, to in model.references)))
    return tuple({maker.id: maker for maker in makers if maker and maker.id != model.id}.values())


def order(project: Project) -> tuple[Model, ...]:
    """All models, every one after its parents; otherwise in the order of their declaration."""
    models = list({model.id: model for model in project.models}.values())
    rank = {model.id: i for i, model in enumerate(models)}
    children: list[list[int]] = [[] for _ in models]
    waits_for = [0] * len(models)
    for i, model in enumerate(models):
        for parent in parents(project, model):
            children[rank[parent.id]].append(i)
            waits_for[i] += 1
    ready = [i for i, count in enumerate(waits_for) if not count]  # ascending, so it is a heap
    found: list[Model] = []
    while ready:
        done = heapq.heappop(ready)
        found.append(models[done])
        for child in children[done]:
            waits_for[child] -= 1
            if not waits_for[child]:
                heapq.heappush(ready, child)
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


def _closure(project: Project, model: Model, edges: Mapping[str, Collection[str]]) -> tuple[Model, ...]:
    """Everything from which ``edges`` (id → ids it leads to) come to ``model``."""
    reached = {model.id}
    grown = True
    while grown:
        more = {id for id, to in edges.items() if id not in reached and reached & set(to)}
        grown = bool(more)
        reached |= more
    return tuple(m for m in order(project) if m.id in reached and m.id != model.id)
