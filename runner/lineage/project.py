"""All models of a project: rendered, cut and checked, with the faults of all of them at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from sqlglot import exp

from runner.errors import Fault, ProjectError, did_you_mean
from runner.lineage.columns import source_columns
from runner.lineage.determinism import determinism_faults
from runner.lineage.expectations import expectation_faults
from runner.lineage.groupwise import groupwise_faults
from runner.lineage.query import Query, locator, parse_query
from runner.lineage.reach import FOREIGN, foreign_relation, outside_faults, shadow_faults
from runner.lineage.relation import OPEN, Relation, relation
from runner.lineage.resolve import Resolver
from runner.lineage.rowwise import rowwise_faults
from runner.lineage.snippets import retention_faults, snippet_faults
from runner.load import in_order
from runner.macros import Macros, load_macros
from runner.render import Rendered, render, view_name
from runner.spec import Model, Project, TableInput

Columns = Mapping[str, Mapping[str, str] | None]


def compile_project(
    project: Project,
    models: Iterable[Model] | None = None,
    *,
    faults: Iterable[Fault] = (),
    broken: Collection[str] = (),
) -> Mapping[str, Rendered]:
    """The statements of ``models`` (all, without) by model id; ProjectError with every fault.

    ``faults``: those of reading the project, which are reported together with those found here;
    ``broken``: ids of models that they make unfit to be looked at.
    """
    found = list(faults)
    rendered: dict[str, Rendered] = {}
    try:
        macros = load_macros(project.root)
    except ProjectError as error:
        raise ProjectError(in_order([*found, *error.faults])) from None
    for model in project.models if models is None else models:
        if model.id in broken:
            continue
        checked = check_model(model, project, macros, broken)
        if checked.rendered:
            rendered[model.id] = checked.rendered
        found += checked.faults
    if found:
        raise ProjectError(in_order(found))
    return rendered


class Checked(NamedTuple):
    """What is known of a model: its statement, the query in it, what its inputs return, and its faults.

    ``rendered`` and ``query`` are None where the text does not get as far.
    """

    faults: list[Fault]
    rendered: Rendered | None = None
    query: Query | None = None
    sources: Mapping[str, Relation] = {}


def check_model(model: Model, project: Project, macros: Macros, broken: Collection[str] = ()) -> Checked:
    """One model; ``broken`` as for :func:`compile_project`."""
    try:
        rendered = render(model, project, macros)
    except ProjectError as error:
        return Checked(list(error.faults))
    checked = check_sql(model, rendered, source_columns(model, project, broken), project)
    checked.faults.extend(retention_faults(model, project))
    return checked


def check_sql(model: Model, rendered: Rendered, columns: Columns, project: Project | None = None) -> Checked:
    """What is wrong with the query of ``model``.

    ``columns``: source → column → type; None = not known, and then nothing is claimed about the source.
    ``project`` is asked for the tables that a message may name.
    """
    part = rendered.statement.using
    query = parse_query(part.text, locator(part.text, part.line, part.col, rendered.places.at))
    if isinstance(query, Fault):
        return Checked([query], rendered)
    sources = _input_relations(model, columns, project)
    views = {view_name(name).lower(): found for name, found in sources.items()}
    resolver = Resolver(query, views, foreign_relation(model, project, query))
    returned = resolver.run()
    faults = [*resolver.faults, *outside_faults(query)]
    if not resolver.faults:
        faults += _returned_faults(model, query, returned)
    if not any(fault.code in FOREIGN for fault in faults):
        faults += _unused_faults(model, query)
    faults += shadow_faults(query)
    faults += rowwise_faults(model, query)
    faults += groupwise_faults(model, query)
    if not model.history:
        keys = [frozenset(c.lower() for c in model.target.key)]
        faults += determinism_faults(query, resolver.scope, keys)
    faults += snippet_faults(model, returned if not resolver.faults else OPEN, sources)
    for places in rendered.expectations.values():
        faults += expectation_faults(model, places, sources, project)
    return Checked(faults, rendered, query, sources)


def _input_relations(model: Model, columns: Columns, project: Project | None) -> dict[str, Relation]:
    """What each source of ``model`` returns, by its name; ``columns`` as for :func:`check_sql`."""
    return {name: _relation(model, name, found, project) for name, found in columns.items()}


def _relation(
    model: Model, name: str, columns: Mapping[str, str] | None, project: Project | None
) -> Relation:
    if columns is None:
        return OPEN
    origin = next(s.origin for s in model.sources if s.name == name)
    unique: tuple[frozenset[str], ...] = ()
    if isinstance(origin, TableInput):
        producer = project.producer(origin.table) if project else None
        unique = (frozenset(c.lower() for c in producer.target.key),) if producer else ()
    elif "arrival" in columns:
        unique = (frozenset({"arrival"}), frozenset({"topic", "partition", "offset"}))
    return relation(columns.items(), unique)


def _returned_faults(model: Model, query: Query, returned: Relation) -> Iterator[Fault]:
    """The query returns every declared column, each once."""
    if returned.columns is None:
        return
    names = [returned.written.get(c, c) for c in returned.columns]
    place = query.locate(len(query.text) - len(query.text.lstrip()))
    for column in model.target.columns:
        if not returned.has(column.name):
            spare = [name for name in names if name not in model.target.column_names]
            hint = did_you_mean(column.name, spare)
            yield Fault(
                "missing-column",
                place,
                f"the query does not return the column '{column.name}'",
                f"the target declares it at {column.place}",
                f"it returns '{hint.split(chr(39))[1]}': write AS {column.name}"
                if hint.startswith("did")
                else f"add it to the SELECT, or remove it from the columns of {model.target.table}",
            )
    for name in returned.repeated:
        yield Fault(
            "duplicate-column",
            place,
            f"the query returns two columns named '{name}'",
            "MERGE could not tell them apart",
            "give one of them another name, or leave it out: * EXCEPT (…)",
        )


def _unused_faults(model: Model, query: Query) -> Iterator[Fault]:
    read = {table.name.lower() for table in query.tree.find_all(exp.Table)}
    for source in model.sources:
        if view_name(source.name).lower() not in read:
            yield Fault(
                "unused-source",
                source.place,
                f"the SQL never reads the source '{source.name}'",
                "every input costs a look at what is new in it, and may rebuild the table",
                f"remove it, or read it: {{{{ source('{source.name}') }}}}",
            )
