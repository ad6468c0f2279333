"""What SQL may not reach for: code outside Spark SQL, relations that are no input, settings of the session."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlglot import exp

from runner.errors import Fault, did_you_mean
from runner.lineage.query import Query
from runner.lineage.resolve import TABLE_FUNCTIONS
from runner.render import view_name
from runner.spec import Model, Project, TableInput

#: Function → why it is refused in every model.
OUTSIDE = {
    **dict.fromkeys(("reflect", "java_method", "try_reflect"), "it calls any method of the Java process"),
    **dict.fromkeys(
        ("input_file_name", "input_file_block_start", "input_file_block_length"),
        "rows are staged and moved between files, so the answer changes without the data",
    ),
    **dict.fromkeys(
        ("current_catalog", "current_database", "current_schema", "current_user", "session_user", "user", "version",
         "current_timezone"),
        "the answer depends on the session, not on the rows",
    ),  # fmt: skip
    "identifier": "it makes names out of text, so nobody can tell what is read",
    **dict.fromkeys(("read_files", "read_kafka", "read_statestore"), "it reads what is no declared input"),
}


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


def foreign_relation(model: Model, project: Project | None, query: Query) -> Callable[[exp.Table], Fault]:
    """Makes the fault of a relation that is neither a source nor a CTE of the query."""
    sources = [source.name for source in model.sources]

    def fault(node: exp.Table) -> Fault:
        place = query.place(node)
        if not isinstance(node.this, exp.Identifier):
            name = node.this.name or (node.this.sql_names()[0].lower() if isinstance(node.this, exp.Func) else "")
            return Fault("forbidden-function", query.place_of_call(node, name.lower()), f"{name}(…) cannot stand in FROM",
                         "it reads what is no declared input", f"allowed there are {', '.join(sorted(TABLE_FUNCTIONS))}")  # fmt: skip
        name = ".".join(part.name for part in node.parts)
        if node.args.get("version") or (not node.db and node.name.lower() in {view_name(s) for s in sources}):
            return Fault("time-travel", place, f"'{name}' is read at a version of its own",
                         "every run pins the snapshot of each input itself", "remove VERSION AS OF or TIMESTAMP AS OF")  # fmt: skip
        if node.db.lower() in ("parquet", "json", "csv", "text", "orc", "avro", "binaryfile", "delta", "iceberg"):
            return Fault(
                "path-relation",
                place,
                f"{node.db}.`{node.name}` reads files by their path",
                "what a model reads is declared, so that it is known when it changes",
                f"declare a source: files: {{path: …, format: {node.db}}}, and write {{{{ source('name') }}}}",
            )
        bearer = next((s for s in model.sources if isinstance(s.origin, TableInput) and str(s.origin.table) == name), None)
        made = project is not None and any(str(m.target.table) == name for m in project.models)
        if bearer:
            fix = f"write {{{{ source('{bearer.name}') }}}}"
        elif made:
            fix = f"declare it: sources: {{{node.name}: {{table: {name}, read: …}}}}, and write {{{{ source('{node.name}') }}}}"
        else:
            ctes = [cte.alias for cte in query.tree.find_all(exp.CTE)]
            hint = did_you_mean(node.name, [*ctes, *sources])
            fix = hint if hint.startswith("did") else "declare it under `sources:` and write {{ source('name') }}"
        return Fault(
            "unknown-relation",
            place,
            f"'{name}' is neither a source of {model.id} nor a CTE of the query",
            "inputs are bound by name: to new rows, to a snapshot, to the rows of a test",
            fix,
        )

    return fault
