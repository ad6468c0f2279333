"""Every key of a test file, declared once: the strict reader and the JSON Schema are both made of this."""

from __future__ import annotations

from collections.abc import Mapping

from runner.load.keys import COUNT, FLAG, NAME, TABLE, TEXT, Free, Key, Many, Named, Object, One, Raw
from runner.load.values import Kind

_ROW = {"type": "object", "description": "column: value; a column that is left out is NULL."}
_ROWS = {
    "anyOf": [
        {"type": "array", "items": {"type": ["object", "string"]}},
        {
            "type": "object",
            "properties": {
                "rows": {"type": "array", "items": _ROW},
                "csv": {
                    "type": "string",
                    "description": "A header and one line a row; an empty field is NULL.",
                },
                "lines": {"type": "string", "description": "Raw lines of text."},
                "file": {
                    "type": "string",
                    "description": "A file of the project, by its path from the root.",
                },
            },
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        },
    ]
}
ROWS = Raw(_ROWS)
#: What the rows of one thing may be written as, instead of a list.
FORMS = ("rows", "csv", "lines", "file")

COUNTS: Mapping[str, Key] = {
    "inserted": Key(COUNT, "Rows that the target gained."),
    "updated": Key(COUNT, "Rows of the target that changed."),
    "deleted": Key(COUNT, "Rows that the target lost."),
    "dropped": Key(COUNT, "Rows that `drop` left out."),
    "quarantined": Key(COUNT, "Rows that were set aside by this run."),
    "late": Key(COUNT, "Late rows."),
}
GIVEN = Key(
    Named(ROWS, names=Kind.TEXT),
    "The inputs by their names in the model, with all their rows; of files that are read once, new lines.",
)
NOW = Key(Raw({"type": "string"}), "The run's clock, UTC: '2024-01-31 10:00:00'. Files arrive then.")
EXPECT = Key(
    Object(
        "expectation",
        {
            "target": Key(ROWS, "The target's rows; a column that a row leaves out is not compared."),
            "contains": Key(FLAG, "The target may hold other rows as well.", default=False),
            "quarantined": Key(ROWS, "The rows of the quarantine; `failed_checks` names the checks."),
            "counts": Key(Object("count", COUNTS, lenient=True), "What the run did, in rows."),
            "fails": Key(
                Many(NAME, least=1, or_one=True),
                "The checks that close the gate, all of them: nothing is published.",
            ),
            "warns": Key(Many(NAME, or_one=True), "The checks that warn, all of them."),
        },
    ),
    "What the run leaves behind.",
)
STEP = Object(
    "step",
    {
        "description": Key(TEXT, "What happens here."),
        "given": GIVEN,
        "now": NOW,
        "expect": Key(EXPECT.shape, EXPECT.doc, True),
    },
)
TEST = Object(
    "test",
    {
        "name": Key(NAME, "The test's name, unique in its file.", True),
        "description": Key(TEXT, "What it protects."),
        "vars": Key(Named(Free()), "Variables for this test; they win over all others."),
        "now": NOW,
        "existing": Key(ROWS, "Rows that the target holds before, written by an earlier run."),
        "given": GIVEN,
        "expect": EXPECT,
        "steps": Key(Many(STEP, least=1), "Several runs, one after another, each with what is given then."),
    },
)
FILE = Object(
    "test file",
    {
        "model": Key(TABLE, "The model under test: its table.", True),
        "columns": Key(
            Named(Named(One(Kind.TYPE)), names=Kind.TEXT),
            "Types of the columns of inputs that no model makes: input → column → type.",
        ),
        "defaults": Key(
            Named(Raw({"type": "object"}), names=Kind.TEXT),
            "Values of columns that rows leave out: input (or `existing`) → column → value.",
        ),
        "tests": Key(Many(TEST, least=1), "The tests.", True),
    },
)
