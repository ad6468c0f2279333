"""Every key of a spec, declared once: the strict reader and the JSON Schema are both made of this.

A key has a shape (what its value is), a description, and says whether it is required. Shapes are
inert; ``reader`` gives them meaning for YAML nodes, ``schema`` for editors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runner.load.values import Kind


@dataclass(frozen=True)
class One:
    """A single value; where ``choices`` are given, one of them."""

    kind: Kind
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Many:
    """A list with at least ``least`` values. ``or_one``: a single value may stand without a list."""

    of: Shape
    least: int = 0
    or_one: bool = False


@dataclass(frozen=True)
class Named:
    """A mapping from names of the author's choice. ``names``: what kind the names are."""

    of: Shape
    names: Kind = Kind.NAME
    least: int = 0


@dataclass(frozen=True)
class Object:
    """A mapping with declared keys, of which exactly one of ``one_of`` is there.

    ``lenient``: what is wrong inside does not make the whole disappear, so that no fault follows from it.
    """

    title: str
    keys: Mapping[str, Key]
    one_of: tuple[str, ...] = ()
    lenient: bool = False


@dataclass(frozen=True)
class Free:
    """A variable's value: a scalar, a list or a mapping of scalars."""


@dataclass(frozen=True)
class Checks:
    """A list of checks; ``of_column``: they stand with a column, or with the model."""

    of_column: bool


@dataclass(frozen=True)
class Raw:
    """A node as it is: whoever asked for it reads it, with what only they know. ``schema``: for editors."""

    schema: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """A key that is known and not part of this version."""

    why: str
    fix: str


Shape = One | Many | Named | Object | Free | Checks | Raw | Refused


@dataclass(frozen=True)
class Key:
    """A key of an object. ``default`` is for people; the nouns of ``spec`` hold the real one."""

    shape: Shape
    doc: str
    required: bool = False
    default: object = None


@dataclass(frozen=True)
class CheckForm:
    """How a kind of check is written. ``short``: the key whose value may stand alone."""

    doc: str
    args: Mapping[str, Key] = field(default_factory=dict)
    short: str | None = None
    of_column: bool = True
    of_model: bool = False
    one_row: bool = True  # looks at one row at a time, so it can quarantine


TEXT, NAME, TABLE, FLAG = One(Kind.TEXT), One(Kind.NAME), One(Kind.TABLE), One(Kind.FLAG)
COUNT, DURATION, THRESHOLD, SIZE = One(Kind.COUNT), One(Kind.DURATION), One(Kind.THRESHOLD), One(Kind.SIZE)

#: Keys that every check may have, inside its own mapping or beside its kind.
CHECK_OPTIONS: Mapping[str, Key] = {
    "name": Key(NAME, "The check's name in logs and results, unique in the model."),
    "severity": Key(
        One(Kind.TEXT, ("warn", "error", "quarantine")),
        "`warn` says so; `error` closes the gate; `quarantine` sets the failing rows aside.",
        default="error",
    ),
    "fail_above": Key(
        THRESHOLD, "Tolerate this many failing rows (`10`) or this share of them (`0.5%`).", default=0
    ),
    "where": Key(TEXT, "A SQL predicate over one row: only rows that satisfy it are looked at."),
    "scheduled": Key(
        FLAG, "Judged by `runner check` alone: for a look at whole tables that is too much for every run."
    ),
    "description": Key(TEXT, "What the check protects."),
}

_LIMITS = {
    "min": Key(One(Kind.VALUE), "The least value allowed."),
    "max": Key(One(Kind.VALUE), "The greatest value allowed."),
}
CHECK_FORMS: Mapping[str, CheckForm] = {
    "not_null": CheckForm("The column is never NULL."),
    "accepted_values": CheckForm(
        "The column is NULL or one of these values.",
        {"values": Key(Many(One(Kind.VALUE), least=1), "The values.", required=True)},
        short="values",
    ),
    "range": CheckForm("The column is NULL or between `min` and `max`, both included.", _LIMITS),
    "regex": CheckForm(
        "The column is NULL or a match of this regular expression (Java's, found anywhere).",
        {"pattern": Key(TEXT, "The regular expression.", required=True)},
        short="pattern",
    ),
    "expression": CheckForm(
        "A SQL predicate over one row; a row fails where it is false.",
        {"sql": Key(TEXT, "The predicate.", required=True)},
        short="sql",
        of_model=True,
    ),
    "unique": CheckForm(
        "No two rows share these columns: the given ones, the column it stands with, or the key.",
        {"columns": Key(Many(NAME, least=1), "The columns.")},
        short="columns",
        of_model=True,
        one_row=False,
    ),
    "row_count": CheckForm(
        "The table has between `min` and `max` rows.",
        {"min": Key(COUNT, "The least count allowed."), "max": Key(COUNT, "The greatest count allowed.")},
        of_column=False,
        of_model=True,
        one_row=False,
    ),
    "relationships": CheckForm(
        "Every value that is not NULL is found in another table, which is built first.",
        {
            "columns": Key(Many(NAME, least=1), "The columns, where the check stands with the model."),
            "to": Key(TABLE, "The table that the values are looked for in.", required=True),
            "field": Key(
                Many(NAME, least=1, or_one=True), "Its column, or as many as `columns`.", required=True
            ),
        },
        of_model=True,
        one_row=False,
    ),
    "freshness": CheckForm(
        "The newest value of a column, or the newest commit of the inputs, is not older than this.",
        {
            "column": Key(NAME, "A date or timestamp column; without it, age is that of the inputs."),
            "warn_after": Key(DURATION, "Say so from this age on: 1h."),
            "error_after": Key(DURATION, "Exit 3 from this age on: 1d."),
        },
        of_column=False,
        of_model=True,
        one_row=False,
    ),
    "sql": CheckForm(
        "A SELECT whose rows are failures; it reads `target` and `source('name')`.",
        {"path": Key(TEXT, "The .sql file, relative to the project.", required=True)},
        short="path",
        of_column=False,
        of_model=True,
        one_row=False,
    ),
}

COLUMN = Object(
    "column",
    {
        "type": Key(One(Kind.TYPE), "A Spark SQL type: string, bigint, decimal(10,2), array<string>.", True),
        "description": Key(TEXT, "What the column holds."),
        "renamed_from": Key(NAME, "Its name in a table that was built before it had this one."),
        "checks": Key(Checks(of_column=True), "What must hold for every value."),
    },
    lenient=True,
)
MAINTENANCE = Object(
    "maintenance",
    {
        "compact": Key(
            Object("compact", {"target_file_size": Key(SIZE, "The size of files after compaction.")}),
            "Merge small files.",
        ),
        "expire": Key(
            Object(
                "expire",
                {
                    "older_than": Key(DURATION, "Snapshots older than this go."),
                    "keep": Key(COUNT, "The number of snapshots that stay in any case."),
                },
            ),
            "Forget old snapshots.",
        ),
        "orphans": Key(
            Object("orphans", {"older_than": Key(DURATION, "Files older than this go.")}),
            "Delete files that no snapshot names.",
        ),
    },
)
TARGET = Object(
    "target",
    {
        "table": Key(TABLE, "The table that the model maintains: namespace.table.", True),
        "key": Key(Many(NAME, least=1), "The columns that identify a row.", True),
        "columns": Key(Named(COLUMN, least=1), "Every column of the table, in order.", True),
        "partitions": Key(Many(NAME), "The columns the table is partitioned by.", default=[]),
        "partitions_fixed": Key(
            FLAG, "A key never changes its partition, as an event never changes its time.", default=False
        ),
        "format_version": Key(
            One(Kind.COUNT, ("2", "3")), "Iceberg's format; 3 has row lineage, Athena reads 2.", default=3
        ),
        "readers": Key(
            Many(One(Kind.TEXT, ("athena",)), or_one=True),
            "Engines beside Spark that read the table; `runner lint` says what they cannot read.",
            default=[],
        ),
        "publish": Key(
            One(Kind.TEXT, ("branch", "direct")),
            "`branch`: checked on a branch, then published; `direct`: written to main, for streams.",
            default="branch",
        ),
        "max_deleted": Key(
            THRESHOLD, "A run that would delete more of the table publishes nothing.", default="10%"
        ),
        "retention": Key(
            Object(
                "retention",
                {
                    "column": Key(NAME, "A column of type date that the table is partitioned by.", True),
                    "keep": Key(DURATION, "How long rows stay: 90d.", True),
                },
            ),
            "Rows that leave by age; their leaving does not travel downstream.",
        ),
        "maintenance": Key(MAINTENANCE, "What `runner maintain` does with the table."),
    },
)
_ORIGINS = {
    "table": Key(TABLE, "A table of the lake."),
    "files": Key(
        Object(
            "files",
            {
                "path": Key(TEXT, "A file, a glob or a folder, relative to the project.", True),
                "format": Key(One(Kind.TEXT, ("text", "json", "csv", "parquet")), "What they hold.", True),
            },
        ),
        "Files of data.",
    ),
    "kafka": Key(
        Object("kafka", {"topic": Key(TEXT, "The topic's name.", True)}),
        "A topic; brokers are the profile's.",
    ),
    "read": Key(
        One(Kind.TEXT, ("all", "changes", "affected", "stream")),
        "How it is read. Tables: all, changes, affected; files: all, changes; kafka: stream.",
        True,
    ),
}
_ORIGIN = ("table", "files", "kafka")
SOURCE = Object(
    "source",
    {
        **_ORIGINS,
        "targets": Key(
            Named(Object("source of a target", _ORIGINS, one_of=_ORIGIN), Kind.TEXT),
            "Where a target of profiles.yml reads it from instead: target → origin and read.",
        ),
        "by": Key(
            Many(Named(TEXT, least=1), least=1, or_one=True),
            "For `read: affected`: the groups a row belongs to, key column → SQL expression.",
        ),
    },
    one_of=_ORIGIN,
)
MODEL = Object(
    "model",
    {
        "name": Key(NAME, "The model's name, unique in the pipeline.", True),
        "description": Key(TEXT, "What a row of the table means."),
        "sql": Key(TEXT, "The .sql file with the MERGE statement, relative to the project.", True),
        "tags": Key(Many(TEXT, or_one=True), "Words to select models by.", default=[]),
        "owner": Key(TEXT, "Who answers for the table."),
        "on_change": Key(
            One(Kind.TEXT, ("rebuild", "keep")),
            "What happens to old rows when the model changes.",
            default="rebuild",
        ),
        "history": Key(
            FLAG,
            "The target depends on its own past, so any clause is allowed and it is never rebuilt.",
            default=False,
        ),
        "sources": Key(Named(SOURCE), "The named inputs: `source('name')` in the SQL.", True),
        "drop": Key(
            Object(
                "drop",
                {
                    "name": Key(NAME, "What the dropped rows are, for the counts.", True),
                    "when": Key(TEXT, "A SQL predicate over the query's rows.", True),
                },
            ),
            "Rows that are neither data nor errors: dropped and counted.",
        ),
        "dedupe": Key(
            Object("dedupe", {"order": Key(Many(NAME, least=1), "Columns; the first row stays.", True)}),
            "Of the rows that share a key and passed the row checks, the first stays.",
        ),
        "late": Key(
            Object(
                "late",
                {
                    "column": Key(NAME, "A timestamp column.", True),
                    "after": Key(DURATION, "How far behind is late: 5m.", True),
                    "received": Key(NAME, "The column with `received_at`; rows of a stream lie behind it."),
                },
            ),
            "Late rows are counted, never dropped.",
        ),
        "target": Key(TARGET, "The table that the model maintains.", True),
        "checks": Key(Checks(of_column=False), "Checks of the whole table or of whole rows."),
        "expectations": Key(
            Refused(
                "the engine that runs expectation suites is not part of this version",
                "write `checks:`; for a query of your own, `- sql: expectations/name.sql`",
            ),
            "Suites of Great Expectations or Deequ; not part of this version.",
        ),
    },
)
PIPELINE = Object(
    "pipeline",
    {
        "pipeline": Key(NAME, "The pipeline's name, as in `runner --pipeline NAME`.", True),
        "description": Key(TEXT, "What the layer is for."),
        "schedule": Key(TEXT, "When it runs, for the generated orchestration: rate(5 minutes)."),
        "vars": Key(Named(Free()), "Variables of the models, read by `var('name')`."),
        "models": Key(Many(MODEL, least=1), "The models, in any order.", True),
    },
)
PROFILES = Object(
    "profiles",
    {
        "default": Key(NAME, "The target without `--target`.", True),
        "targets": Key(
            Named(
                Object(
                    "profile",
                    {
                        "type": Key(
                            One(Kind.TEXT, ("local", "glue", "s3tables")), "Where the lake is.", True
                        ),
                        "catalog": Key(NAME, "The catalog's name in Spark SQL.", default="lake"),
                        "warehouse": Key(TEXT, "A folder, or a URI.", default=".lake"),
                        "conf": Key(Named(One(Kind.SETTING), Kind.TEXT), "Settings of Spark."),
                        "kafka": Key(
                            Named(One(Kind.SETTING), Kind.TEXT),
                            "Settings of Kafka's clients; `bootstrap.servers` names the brokers.",
                        ),
                        "vars": Key(Named(Free()), "Variables; they win over those of pipelines."),
                    },
                ),
                least=1,
            ),
            "The places where a run can happen.",
            True,
        ),
    },
)
