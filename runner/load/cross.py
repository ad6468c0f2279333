"""What must hold across the files of a project: names, producers of tables, cycles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from runner.errors import Fault, Place, did_you_mean
from runner.refs import QUARANTINE_SUFFIX, TableRef
from runner.spec import Model, Pipeline, Read, TableInput

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


def _cycle(models: Sequence[Model], producers: Mapping[TableRef, Model]) -> Iterator[Found]:
    graph = {
        model.target.table: [s.origin.table for s in model.sources if isinstance(s.origin, TableInput)]
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
