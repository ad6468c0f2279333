"""Models and their parts for tests, made without a file: whatever is not said is plain."""

from __future__ import annotations

from typing import Any, cast

from runner.errors import Place
from runner.files import Consumed
from runner.markers import SourceMap
from runner.merge import Part, Statement
from runner.refs import TableRef
from runner.render import Rendered
from runner.spec import (
    Check,
    CheckKind,
    Column,
    FilesInput,
    Model,
    Read,
    Severity,
    Source,
    TableInput,
    Target,
    Threshold,
)

HERE = Place("pipelines/silver.yml", 7, 3)


def column(name: str, type: str = "string") -> Column:
    return Column(name, type, HERE)


def check(
    kind: CheckKind,
    name: str = "",
    *,
    of: str | None = None,
    severity: Severity = Severity.ERROR,
    fail_above: Threshold | None = None,
    line: int = 20,
    **args: object,
) -> Check:
    place = Place("pipelines/silver.yml", line, 9)
    return Check(
        kind, name or f"{of or 'model'}_{kind}", place, of, args, severity, fail_above or Threshold(count=0)
    )


def target(table: str = "silver.orders", **given: Any) -> Target:
    columns = given.pop("columns", {"id": "string", "day": "date", "amount": "bigint"})
    declared = tuple(column(name, of) for name, of in columns.items())
    return Target(TableRef.parse(table), given.pop("key", ("id",)), declared, HERE, **given)


def reads(table: str, read: Read = Read.CHANGES, *, name: str = "raw", **given: Any) -> Source:
    return Source(name, TableInput(TableRef.parse(table)), read, HERE, **given)


def files(path: str, read: Read = Read.CHANGES, *, name: str = "inbox", format: str = "text") -> Source:
    return Source(name, FilesInput(path, format), read, HERE)


def model(*sources: Source, **given: Any) -> Model:
    to = given.pop("target", None) or target()
    pipeline, name = to.table.namespace, to.table.name
    return Model(name, pipeline, HERE, f"sql/{pipeline}/{name}.sql", sources, to, **given)


def rendered(fingerprint: str = "f1", *, null_safe: frozenset[str] = frozenset()) -> Rendered:
    """A statement whose text nobody looks at."""
    part = Part("", 1, 1)
    statement = Statement("", "t", part, "s", part, (), ("id",), null_safe)
    return Rendered("", statement, fingerprint, cast(SourceMap, None))


def consumed(path: str, *, size: int = 1, modified_ms: int = 1, sha256: str = "0" * 64) -> Consumed:
    return Consumed(path, size, modified_ms, sha256)
