"""What must hold for the checks of one model, beyond their shape."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import cast

from runner.errors import Fault, Place
from runner.load.columns import is_time, known_columns
from runner.load.reader import At
from runner.load.types import is_type
from runner.spec import ROW_CHECKS, Check, CheckKind, Model, Severity


def check_faults(model: Model) -> Iterator[Fault]:
    """The faults of the checks of one model and its columns."""
    seen: dict[str, Place] = {}
    for check in model.all_checks:
        if check.name in seen:
            yield Fault(
                "duplicate-check",
                check.place,
                f"two checks of {model.id} are named '{check.name}'",
                f"the first stands in line {seen[check.name].line}; results tell them apart by name",
                "give one of them a `name:`",
            )
        seen.setdefault(check.name, check.place)
        yield from _check_values(model, check)
        if check.severity is Severity.QUARANTINE and check.kind is CheckKind.NOT_NULL:
            yield from _keyless(model, check)
        named = (At(column, check.place) for column in check.columns)
        yield from known_columns(named, model.target.column_names, "this check")
        yield from _scheduled(check)
        if rules := _RULES.get(check.kind):
            yield from rules(model, check)
    yield from _direct(model)


def _keyless(model: Model, check: Check) -> Iterator[Fault]:
    if check.column in model.target.key:
        yield Fault(
            "quarantine-without-key",
            check.place,
            f"rows whose key column '{check.column}' is NULL cannot be set aside",
            "a quarantine is kept by key, like its target: without one a replay would add the row again",
            "give such rows a key in the query, for example md5(value), and quarantine them by another check",
        )


def _direct(model: Model) -> Iterator[Fault]:
    if model.target.publish != "direct":
        return
    for check in model.table_checks:
        if check.severity is Severity.ERROR and not check.scheduled:
            yield Fault(
                "direct-table-check",
                check.place,
                f"'{check.name}' closes the gate, and `publish: direct` writes before it is checked",
                "a check of the whole table needs the table, and then readers see it already",
                "use severity: warn or scheduled: true, or publish: branch",
            )


def _check_values(model: Model, check: Check) -> Iterator[Fault]:
    kind = model.target.column(check.column).type if check.column else ""
    low, high = check.args.get("min"), check.args.get("max")
    if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
        yield Fault(
            "empty-range",
            check.place,
            f"nothing is at least {low} and at most {high}",
            "every row would fail",
            "exchange min and max",
        )
    if kind == "unknown":
        return
    if check.kind is CheckKind.REGEX and kind != "string":
        yield Fault(
            "wrong-check",
            check.place,
            f"'{check.column}' is of type {kind}, and a regex looks at text",
            "the value would be cast to text first, in a form that nobody chose",
            "use range, accepted_values or expression",
        )
    if check.kind is CheckKind.ACCEPTED_VALUES:
        values = cast("list[object]", check.args["values"])
    elif check.kind is CheckKind.RANGE:
        values = [value for value in (low, high) if value is not None]
    else:
        return
    for value in values:
        if kind == "string" and not isinstance(value, str):
            fix = f"quote it: '{str(value).lower() if isinstance(value, bool) else value}'"
        elif is_type(kind, "int", "bigint", "double", "float", "decimal") and (
            isinstance(value, str | bool) or (is_type(kind, "int", "bigint") and isinstance(value, float))
        ):
            fix = "write a whole number" if is_type(kind, "int", "bigint") else "write a number"
        else:
            continue
        yield Fault(
            "wrong-value-type",
            check.place,
            f"the check '{check.name}' compares {kind} with {_shown(value)}",
            "the comparison would cast one of them, and fail or hide rows",
            fix,
        )


def _shown(value: object) -> str:
    return f"the text '{value}'" if isinstance(value, str) else str(value).lower()


def _relationships(_: Model, check: Check) -> Iterator[Fault]:
    columns, fields = check.columns, cast("list[str]", check.args["field"])
    if check.column and "columns" in check.places:
        yield Fault(
            "useless-key",
            check.place_of("columns"),
            f"this check stands with the column '{check.column}' and names `columns`",
            "it looks at the column that it stands with",
            "remove `columns`, or move the check to `checks:` of the model",
        )
    elif not columns:
        yield Fault(
            "missing-key",
            check.place,
            "this relationships check has no `columns`",
            "it stands with the model, and which values are looked for is not said",
            "add `columns: [...]`, or move it to the column that it looks at",
        )
    elif len(columns) != len(fields):
        yield Fault(
            "wrong-check",
            check.place_of("field"),
            f"`field` names {len(fields)} and the check looks at {len(columns)} ({', '.join(columns)})",
            "each column is looked for in the field at the same place",
            "name as many fields as columns, in the same order",
        )


def _scheduled(check: Check) -> Iterator[Fault]:
    if check.scheduled and (check.kind in ROW_CHECKS or check.kind is CheckKind.FRESHNESS):
        yield Fault(
            "useless-key",
            check.place_of("scheduled"),
            f"`scheduled` stands with a check of kind {check.kind}",
            "such checks cost a run nothing: rows are checked as they are staged, age is metadata",
            "remove `scheduled`",
        )


def _freshness(model: Model, check: Check) -> Iterator[Fault]:
    for option in ("severity", "fail_above"):
        if option in check.places:
            yield Fault(
                "useless-key",
                check.place_of(option),
                f"a freshness check has no `{option}`",
                "its two ages say what is a warning and what is an error",
                f"remove `{option}`; write warn_after, error_after or both",
            )
    warn, error = (cast("dt.timedelta | None", check.args.get(n)) for n in ("warn_after", "error_after"))
    if warn is not None and error is not None and warn >= error:
        yield Fault(
            "empty-range",
            check.place_of("warn_after"),
            "`warn_after` is not shorter than `error_after`",
            "it would never warn",
            "exchange the two, or remove `warn_after`",
        )
    if column := cast("str | None", check.args.get("column")):
        place = check.place_of("column")
        yield from known_columns((At(column, place),), model.target.column_names, "`freshness`")
        yield from is_time(model, column, place, "`freshness`")
    elif check.where:
        yield Fault(
            "useless-key",
            check.place_of("where"),
            "`where` stands with a freshness check that looks at no column",
            "without `column` age is that of the inputs' commits, and rows play no part",
            "add `column:`, or remove `where`",
        )


def _sql(_: Model, check: Check) -> Iterator[Fault]:
    if check.where:
        yield Fault(
            "useless-key",
            check.place_of("where"),
            "a sql check has no `where`",
            "its file says itself which rows it looks at",
            "write the predicate into the WHERE of the file",
        )
    if check.fail_above.percent is not None:
        yield Fault(
            "wrong-threshold",
            check.place_of("fail_above"),
            f"`fail_above: {check.fail_above}` of a sql check is a share",
            "its rows are the failures; among how many rows they were found is not known",
            "write a count: fail_above: 10",
        )


_RULES: Mapping[CheckKind, Callable[[Model, Check], Iterator[Fault]]] = {
    CheckKind.RELATIONSHIPS: _relationships,
    CheckKind.FRESHNESS: _freshness,
    CheckKind.SQL: _sql,
}
