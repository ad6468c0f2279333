"""What must hold across the files of a project: names, producers of tables, cycles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import cast

from runner.errors import Fault, Place, did_you_mean
from runner.load.types import is_type
from runner.refs import QUARANTINE_SUFFIX, TableRef
from runner.spec import Check, Model, Pipeline, Read, TableInput

#: Namespaces that the runner writes itself.
RESERVED = ("ops",)

Found = tuple[Fault, Sequence[Model]]


def project_faults(pipelines: Sequence[Pipeline], unread: Sequence[TableRef]) -> Iterator[Found]:
    """The faults between models, each with the models that cannot be looked at further.

    ``unread``: tables of models whose YAML could not be translated.
    """
    models = [model for pipeline in pipelines for model in pipeline.models]
    yield from _names(pipelines)
    yield from _tables(models)
    producers = {model.target.table: model for model in reversed(models)}
    yield from _source_tables(models, producers, unread)
    yield from _references(models, producers, unread)
    yield from _cycle(models, producers)


def _names(pipelines: Sequence[Pipeline]) -> Iterator[Found]:
    seen: dict[str, Place] = {}
    for pipeline in pipelines:
        what = f"two files declare the pipeline '{pipeline.name}'"
        yield from (
            (fault, pipeline.models) for fault in _repeated(seen, pipeline.name, pipeline.place, what)
        )
        names: dict[str, Place] = {}
        for model in pipeline.models:
            what = f"two models of '{pipeline.name}' are named '{model.name}'"
            yield from ((fault, (model,)) for fault in _repeated(names, model.name, model.place, what))


def _repeated(seen: dict[str, Place], name: str, place: Place, what: str) -> Iterator[Fault]:
    if name in seen:
        yield Fault("duplicate-name", place, what, f"the first stands at {seen[name]}", "rename one of them")
    seen.setdefault(name, place)


def _tables(models: Sequence[Model]) -> Iterator[Found]:
    seen: dict[str, Model] = {}
    for model in models:
        table = model.target.table
        first = seen.setdefault(str(table).lower(), model)
        if first is not model:
            fault = Fault(
                "two-writers",
                model.target.place,
                f"{model.id} maintains {table}, which {first.id} maintains too",
                f"one table has one model; the other is declared at {first.target.place}",
                "give one of them a table of its own",
            )
            yield fault, (first, model)
        if table.name.endswith(QUARANTINE_SUFFIX):
            fault = Fault(
                "reserved-name",
                model.target.place,
                f"{table} is the name of a quarantine table",
                f"failing rows of {str(table).removesuffix(QUARANTINE_SUFFIX)} would be set aside in it",
                "rename the table",
            )
            yield fault, ()
        if table.namespace in RESERVED:
            fault = Fault(
                "reserved-name",
                model.target.place,
                f"the namespace '{table.namespace}' is the runner's own",
                "it holds the history of runs and checks",
                "use another namespace",
            )
            yield fault, ()


def _source_tables(
    models: Sequence[Model], producers: Mapping[TableRef, Model], unread: Sequence[TableRef]
) -> Iterator[Found]:
    known = {*producers, *unread}
    ours = {table.namespace for table in known}
    for model in models:
        for source in model.sources:
            if not isinstance(source.origin, TableInput):
                continue
            table = source.origin.table
            maker = producers.get(table)
            base = TableRef(table.namespace, table.name.removesuffix(QUARANTINE_SUFFIX))
            # A table of a namespace that nobody here writes is somebody else's, and read as it is.
            if maker is None and base not in known and table.namespace in ours:
                fault = Fault(
                    "unknown-source",
                    source.place,
                    f"the source '{source.name}' reads {table}, which no model maintains",
                    f"the project's models write the namespace '{table.namespace}', so its tables are theirs",
                    did_you_mean(str(table), map(str, known)),
                )
                yield fault, ()
            if maker and source.read in (Read.CHANGES, Read.AFFECTED) and maker.target.format_version < 3:
                fault = Fault(
                    "source-not-v3",
                    source.place,
                    f"'{source.name}' reads {table} '{source.read}', and that has format v2",
                    "rows of a v2 table have no identity, so changed rows cannot be told",
                    f"write format_version: 3 at {maker.target.place}, or read: all here",
                )
                yield fault, ()


def _references(
    models: Sequence[Model], producers: Mapping[TableRef, Model], unread: Sequence[TableRef]
) -> Iterator[Found]:
    """Tables and columns that ``relationships`` checks look into."""
    read = {s.origin.table for m in models for s in m.sources if isinstance(s.origin, TableInput)}
    known = {*producers, *unread, *read}
    for model in models:
        for check, to in model.references:
            maker = producers.get(to)
            if to not in known:
                fault = Fault(
                    "unknown-table",
                    check.place_of("to"),
                    f"the check '{check.name}' looks into {to}, which no model maintains or reads",
                    "a table that nobody knows is a typing error",
                    did_you_mean(str(to), map(str, known)),
                )
                yield fault, ()
            elif maker:
                yield from ((fault, ()) for fault in _fields(model, check, maker))


def _fields(model: Model, check: Check, maker: Model) -> Iterator[Fault]:
    declared = {c.name: c.type for c in maker.target.columns}
    own = {c.name: c.type for c in model.target.columns}
    for column, field in zip(check.columns, cast("list[str]", check.args["field"]), strict=False):
        if field not in declared:
            yield Fault(
                "unknown-column",
                check.place_of("field"),
                f"{maker.target.table} has no column '{field}'",
                f"the check '{check.name}' looks for values of '{column}' in it",
                did_you_mean(field, declared),
            )
        elif own.get(column, declared[field]) != declared[field]:
            kinds = own[column], declared[field]
            if not all(is_type(kind, "int", "bigint") or kind == "unknown" for kind in kinds):
                yield Fault(
                    "wrong-column-type",
                    check.place_of("field"),
                    f"'{column}' is of type {kinds[0]}, and '{field}' of {maker.target.table} of {kinds[1]}",
                    "the comparison would cast one of them, and fail or miss rows",
                    "look into a column of the same type",
                )


def _cycle(models: Sequence[Model], producers: Mapping[TableRef, Model]) -> Iterator[Found]:
    graph = {
        model.target.table: [
            *(s.origin.table for s in model.sources if isinstance(s.origin, TableInput)),
            # A relationship is looked up in what this run published; to itself, on the branch.
            *(to for _, to in model.references if to != model.target.table),
        ]
        for model in models
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # graphlib names each node before the one that depends on it, the first again at the end.
        path: list[TableRef] = error.args[1]
        if len(path) == 2:
            maker = producers[path[0]]
            source = next(s for s in maker.sources if s.origin == TableInput(path[0]))
            fault = Fault(
                "cycle",
                source.place,
                f"{maker.id} reads {path[0]}, the table that it maintains",
                "a target is a function of its inputs, so it cannot be one of them",
                "read the table it is made from; MERGE compares with the old rows by itself",
            )
            yield fault, (maker,)
            return
        # A circle that some check alone closes is told at the check.
        by_check = [
            (check, to)
            for to, table in pairwise(path)
            if not any(s.origin == TableInput(to) for s in producers[table].sources)
            for check, looked in producers[table].references
            if looked == to
        ]
        if by_check:
            check, to = by_check[0]
            fault = Fault(
                "cycle",
                check.place_of("to"),
                f"the check '{check.name}' looks into {to}, which is made from the table that it checks: "
                + " → ".join(map(str, path)),
                "a table is built after those that its checks look into",
                "turn it round, and check the table that is made later",
            )
        else:
            maker = producers[path[1]]
            source = next(s for s in maker.sources if s.origin == TableInput(path[0]))
            fault = Fault(
                "cycle",
                source.place,
                "tables are made from one another: " + " → ".join(map(str, path)),
                "none of them could be built first",
                "break the circle at one of its sources",
            )
        yield fault, [producers[table] for table in path]
