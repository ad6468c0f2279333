"""What SQL may not reach for: code outside Spark SQL, relations that are no input, the session."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlglot import exp

from runner.errors import Fault, did_you_mean
from runner.lineage.functions import OUTSIDE, TABLE_FUNCTIONS, function_name
from runner.lineage.query import Query
from runner.render import view_name
from runner.spec import Model, Project, TableInput

#: Codes of relations that are no input: then what the query reads instead is another question.
FOREIGN = ("unknown-relation", "path-relation", "time-travel", "forbidden-function")


_PATH_FORMATS = ("parquet", "json", "csv", "text", "orc", "avro", "binaryfile", "delta", "iceberg")


def outside_faults(query: Query) -> Iterator[Fault]:
    """Functions that reach outside, and scripts."""
    columns = {column.name.lower() for column in query.tree.find_all(exp.Column)}
    for call in query.calls:
        if call.name in OUTSIDE and not (call.name == "user" and "user" in columns):
            yield Fault(
                "forbidden-function",
                query.locate(call.start),
                f"{call.name}() is not allowed in a model",
                OUTSIDE[call.name],
                "compute the column from the columns of a source"
                if call.name != "identifier"
                else "write the name out, or build it with Jinja: {{ source('name') }}",
            )
    for script in query.tree.find_all(exp.QueryTransform):
        yield Fault(
            "forbidden-script",
            query.place(script),
            "TRANSFORM … USING runs a program of the machine",
            "a model is a function of its inputs; a program may be anything",
            "write it in SQL",
        )


def shadow_faults(query: Query) -> Iterator[Fault]:
    """A CTE named like a view of the engine would be read in its place."""
    for cte in query.tree.find_all(exp.CTE):
        if cte.alias.startswith("__"):
            yield Fault(
                "reserved-name",
                query.place(cte.args["alias"]),
                f"the CTE '{cte.alias}' begins with two underscores",
                "such names are the engine's own: they stand for sources",
                "rename the CTE",
            )


def foreign_relation(model: Model, project: Project | None, query: Query) -> Callable[[exp.Table], Fault]:
    """Makes the fault of a relation that is neither a source nor a CTE of the query."""
    sources = [source.name for source in model.sources]

    def fault(node: exp.Table) -> Fault:
        place = query.place(node)
        if isinstance(node.this, exp.Func):
            name = function_name(node.this)
            return Fault(
                "forbidden-function",
                query.place_of_call(node, name),
                f"{name}(…) cannot stand in FROM",
                "it reads what is no declared input",
                f"allowed there are {', '.join(sorted(TABLE_FUNCTIONS))}",
            )
        name = ".".join(part.name for part in node.parts)
        if node.args.get("version") or (not node.db and node.name.lower() in {view_name(s) for s in sources}):
            return Fault(
                "time-travel",
                place,
                f"'{name}' is read at a version of its own",
                "every run pins the snapshot of each input itself",
                "remove VERSION AS OF or TIMESTAMP AS OF",
            )
        if node.db.lower() in _PATH_FORMATS:
            return Fault(
                "path-relation",
                place,
                f"{node.db}.`{node.name}` reads files by their path",
                "what a model reads is declared, so that it is known when it changes",
                f"declare a source, files: {{path: …, format: {node.db}}}; write {{{{ source('name') }}}}",
            )
        bearer = next(
            (s for s in model.sources if isinstance(s.origin, TableInput) and str(s.origin.table) == name),
            None,
        )
        made = project is not None and any(str(m.target.table) == name for m in project.models)
        if bearer:
            fix = f"write {{{{ source('{bearer.name}') }}}}"
        elif made:
            declared = f"{node.name}: {{table: {name}, read: …}}"
            fix = f"declare it under `sources:` as {declared}, and write {{{{ source('{node.name}') }}}}"
        else:
            ctes = [cte.alias for cte in query.tree.find_all(exp.CTE)]
            hint = did_you_mean(node.name, [*ctes, *sources])
            fix = (
                hint
                if hint.startswith("did")
                else "declare it under `sources:` and write {{ source('name') }}"
            )
        return Fault(
            "unknown-relation",
            place,
            f"'{name}' is neither a source of {model.id} nor a CTE of the query",
            "inputs are bound by name: to new rows, to a snapshot, to the rows of a test",
            fix,
        )

    return fault
