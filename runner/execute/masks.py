"""Row checks as SQL: one bit of a mask each, computed in the pass that stages the rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import cast

from runner.errors import fail
from runner.refs import literal, quote
from runner.spec import Check, CheckKind, Model, Severity

#: Bits of a signed 64-bit mask.
MOST_CHECKS = 62


def effective_checks(model: Model, null_safe: Collection[str] = ()) -> tuple[Check, ...]:
    """The declared row checks, and one for each key column that declares no ``not_null`` itself.

    A NULL key that ON compares with ``=`` is never matched: it would be inserted again at every replay.
    Columns that ON compares with ``<=>`` (``null_safe``) may be NULL. ProjectError for more than a mask
    has bits.
    """
    declared = model.row_checks
    covered = {
        c.column
        for c in declared
        if c.kind is CheckKind.NOT_NULL
        and c.severity is Severity.ERROR
        and not c.where
        and not c.fail_above.allows(1, 1)
    }
    implied = tuple(
        Check(CheckKind.NOT_NULL, f"key_{column}_not_null", model.target.place, column)
        for column in model.target.key
        if column not in covered and column not in null_safe
    )
    checks = declared + implied
    if len(checks) > MOST_CHECKS:
        raise fail(
            "too-many-checks",
            model.place,
            f"{model.id} has {len(checks)} row checks, those of its key included",
            why=f"all are computed in one pass, as bits of one number: {MOST_CHECKS} are possible",
            fix="join some of them with AND in one `expression`",
        )
    return checks


def violation(check: Check) -> str:
    """The predicate that is true for a row that fails; NULL passes everything but ``not_null``.

    Rows that do not satisfy the check's ``where``, or of which that is not known, never fail.
    """
    return f"({check.where}) AND ({_violation(check)})" if check.where else _violation(check)


def _violation(check: Check) -> str:
    column = quote(check.column) if check.column else ""
    match check.kind:
        case CheckKind.NOT_NULL:
            return f"{column} IS NULL"
        case CheckKind.ACCEPTED_VALUES:
            values = cast(Sequence[object], check.args["values"])
            return f"{column} NOT IN ({', '.join(map(literal, values))})"
        case CheckKind.RANGE:
            low, high = check.args.get("min"), check.args.get("max")
            tests = [f"{column} < {literal(low)}"] if low is not None else []
            tests += [f"{column} > {literal(high)}"] if high is not None else []
            return " OR ".join(tests) or "false"
        case CheckKind.REGEX:
            return f"NOT ({column} RLIKE {literal(check.args['pattern'])})"
        case CheckKind.EXPRESSION:
            return f"NOT ({check.args['sql']})"
    raise ValueError(f"{check.kind} does not look at single rows")


def mask_sql(checks: Sequence[Check]) -> str:
    """Bit i is set where check i fails."""
    bits = [f"CASE WHEN {violation(check)} THEN {1 << bit}L ELSE 0L END" for bit, check in enumerate(checks)]
    return " | ".join(bits) or "0L"


def quarantine_bits(checks: Sequence[Check]) -> int:
    """The bits whose rows are set aside."""
    return sum(1 << bit for bit, check in enumerate(checks) if check.severity is Severity.QUARANTINE)
