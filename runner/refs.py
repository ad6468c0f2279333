"""Names of tables and the literals of Spark SQL: values in, quoted text out.

Nothing but this module turns a Python value into SQL text.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Decimal

_PART = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

QUARANTINE_SUFFIX = "__quarantine"


def quote(name: str) -> str:
    """An identifier, quoted for Spark SQL."""
    return "`" + name.replace("`", "``") + "`"


@dataclass(frozen=True, order=True)
class TableRef:
    """``namespace.name`` of a table of the lake, without catalog and branch."""

    namespace: str
    name: str

    @classmethod
    def parse(cls, text: str) -> TableRef:
        """``"silver.cleaned_events"`` → TableRef; ValueError for anything else."""
        parts = text.split(".")
        if len(parts) != 2 or not all(_PART.fullmatch(part) for part in parts):
            raise ValueError(f"'{text}' is not of the form namespace.table")
        return cls(*parts)

    def __str__(self) -> str:
        return f"{self.namespace}.{self.name}"

    @property
    def quarantine(self) -> TableRef:
        """The table that rows of this one are set aside in."""
        return TableRef(self.namespace, self.name + QUARANTINE_SUFFIX)

    def sql(self, catalog: str, branch: str | None = None) -> str:
        """The quoted name in ``catalog``, of ``branch`` where given."""
        parts = [catalog, self.namespace, self.name]
        if branch:
            parts.append(f"branch_{branch}")
        return ".".join(quote(part) for part in parts)


def typed_literal(text: str | None, type_: str) -> str:
    """A value that Spark printed (``CAST(x AS STRING)``), as a literal of its type.

    Values go through text because Python's dates end at the years 1 and 9999, and Spark's do not.
    """
    if text is None:
        return "NULL"
    match type_:
        case "string":
            return literal(text)
        case "date":
            return f"DATE{literal(text)}"
        case "timestamp":
            return f"TIMESTAMP{literal(text)}"
        case "int" | "bigint" | "smallint" | "tinyint" | "boolean":
            return text
    return f"CAST({literal(text)} AS {type_})"


def literal(value: object) -> str:
    """A Python value as a Spark SQL literal that does not depend on session settings.

    Takes None, bool, int, float, Decimal, str, date and datetime (UTC); TypeError otherwise.
    """
    match value:
        case None:
            return "NULL"
        case bool():
            return "true" if value else "false"
        case int():
            return f"{value}L" if -(2**63) <= value < 2**63 else f"{value}BD"
        case Decimal():
            return f"{value:f}BD"
        case float():
            return f"{value!r}D" if value == value and abs(value) != float("inf") else f"double('{value}')"
        case str():
            return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        case dt.datetime():
            return f"TIMESTAMP'{value.replace(tzinfo=None).isoformat(' ', 'microseconds')}Z'"
        case dt.date():
            return f"DATE'{value.isoformat()}'"
    raise TypeError(f"no SQL literal for {type(value).__name__}")
