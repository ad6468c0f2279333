"""The exact Spark type of an expression, or nothing: what is not certain is not said.

In: a node and the columns that it sees. Out: a type as a spec writes it (``decimal(10,2)``), or None.
``lineage.kinds`` guesses wider, for it must see every float coming; this one may block nobody who is right.
A test asks Spark for the type of each expression that is known here (``tests/spark/test_types.py``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sqlglot import exp

from runner.lineage.relation import Scope
from runner.load.types import column_type

_WHOLE = ("tinyint", "smallint", "int", "bigint")
_INT, _BIGINT = 2**31 - 1, 2**63 - 1
_VOID = "void"

#: Node → its type whatever it is given.
_FIXED: dict[type[exp.Expr], str] = {
    **dict.fromkeys(
        (
            *(exp.And, exp.Or, exp.Not, exp.Xor, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE),
            *(exp.NullSafeEQ, exp.Is, exp.In, exp.Between, exp.Like, exp.ILike, exp.RegexpLike, exp.Exists),
            *(exp.Boolean, exp.StartsWith, exp.EndsWith, exp.Contains, exp.ArrayContains, exp.IsNan),
            *(exp.LogicalAnd, exp.LogicalOr),
        ),
        "boolean",
    ),
    **dict.fromkeys(
        (
            *(exp.Year, exp.Quarter, exp.Month, exp.Week, exp.WeekOfYear, exp.Day, exp.DayOfMonth),
            *(exp.DayOfWeek, exp.DayOfYear, exp.Hour, exp.Minute, exp.Second, exp.Length, exp.StrPosition),
            *(exp.ArraySize, exp.Ascii, exp.Levenshtein, exp.UnixDate),
            *(exp.RowNumber, exp.Rank, exp.DenseRank, exp.Ntile),
        ),
        "int",
    ),
    **dict.fromkeys((exp.Count, exp.CountIf, exp.IntDiv, exp.StrToUnix), "bigint"),
    **dict.fromkeys(
        (
            *(exp.Sqrt, exp.Cbrt, exp.Exp, exp.Ln, exp.Pow, exp.Sin, exp.Cos, exp.Tan),
            *(exp.Asin, exp.Acos, exp.Atan, exp.MonthsBetween, exp.PercentRank, exp.CumeDist),
        ),
        "double",
    ),
    **dict.fromkeys(
        (
            *(exp.Upper, exp.Lower, exp.Initcap, exp.RegexpReplace, exp.RegexpExtract, exp.Replace),
            *(exp.SplitPart, exp.Translate, exp.MD5, exp.SHA, exp.SHA2, exp.Hex, exp.JSONFormat),
            *(exp.JSONExtractScalar, exp.TimeToStr, exp.UnixToStr, exp.ConcatWs, exp.Trim, exp.Soundex),
        ),
        "string",
    ),
    **dict.fromkeys((exp.TsOrDsToDate, exp.LastDay, exp.AddMonths, exp.CurrentDate, exp.DateTrunc), "date"),
    exp.CurrentTimestamp: "timestamp",
    exp.Null: _VOID,
}
#: The same for functions that sqlglot has no node for.
_CALLS: dict[str, str] = {
    **dict.fromkeys(("every", "some", "isnull", "isnotnull"), "boolean"),
    **dict.fromkeys(("cardinality", "hash", "weekday", "bit_length", "octet_length"), "int"),
    **dict.fromkeys(("xxhash64", "bigint", "unix_seconds", "unix_millis", "unix_micros"), "bigint"),
    **dict.fromkeys(("format_number", "printf", "space"), "string"),
    "make_date": "date",
    "timestamp_seconds": "timestamp",
    "timestamp_millis": "timestamp",
    "timestamp_micros": "timestamp",
}
#: Functions of the type of their first argument.
_SAME = (
    *(exp.Max, exp.Min, exp.First, exp.Last, exp.FirstValue, exp.LastValue, exp.AnyValue),
    *(exp.Paren, exp.Alias, exp.Filter, exp.Window, exp.IgnoreNulls, exp.RespectNulls),
    *(exp.Lag, exp.Lead, exp.NthValue, exp.ArraySort, exp.Nullif),
)
_TEXT_ONLY = (exp.Substring, exp.Left, exp.Right, exp.Pad, exp.Repeat, exp.Reverse, exp.Concat, exp.DPipe)
_ONE_OF = (exp.Coalesce, exp.Greatest, exp.Least)


def type_of(node: exp.Expr | None, scope: Scope) -> str | None:
    """The type of an expression; None where it is not certain."""
    match node:
        case None:
            return None
        case exp.Column():
            return _column([part.name for part in node.parts], scope)
        case exp.Literal():
            return "string" if node.is_string else _number(node.name)
        case exp.Neg(this=exp.Literal(is_string=False)):
            # The greatest of each type has no positive twin: `-2147483648` is an int.
            return type_of(node.this, scope) if _digits(node.this.name) != _INT + 1 else None
        case exp.Cast():
            return _cast(node.to)
        case exp.Case():
            branches = [branch.args.get("true") for branch in node.args.get("ifs", [])]
            # Without ELSE it is NULL, which takes any type.
            return _common([*branches, *_given(node.args.get("default"))], scope)
        case exp.If():
            return _common([node.args.get("true"), *_given(node.args.get("false"))], scope)
        case exp.Add() | exp.Sub() | exp.Mul() | exp.Mod():
            return _arithmetic(type_of(node.this, scope), type_of(node.expression, scope))
        case exp.Div():
            return _quotient(type_of(node.this, scope), type_of(node.expression, scope))
        case exp.Sum() | exp.Avg():
            return _total(node, type_of(_of_distinct(node.this), scope))
        case exp.Neg() | exp.Abs() | exp.Round():
            kind = type_of(node.this, scope)
            return kind if kind in ("int", "bigint", "double") else None
        case exp.Floor() | exp.Ceil() if not node.args.get("decimals"):
            return "bigint" if type_of(node.this, scope) in ("int", "bigint", "double") else None
        case exp.TimestampTrunc():
            return "timestamp" if type_of(node.this, scope) in ("timestamp", "date") else None
        case exp.TsOrDsAdd():
            return "date" if type_of(node.this, scope) in ("date", "timestamp", "string") else None
        case exp.ArrayAgg() | exp.ArrayUniqueAgg():
            kind = type_of(_of_distinct(node.this), scope)
            return f"array<{kind}>" if kind and kind != _VOID else None
    if isinstance(node, exp.Anonymous):
        return _CALLS.get(str(node.this).lower())
    if isinstance(node, _SAME):
        return type_of(node.this, scope)
    if isinstance(node, _ONE_OF):
        return _common([node.this, *node.expressions], scope)
    if isinstance(node, _TEXT_ONLY):
        return _text(node, scope)
    return _FIXED.get(type(node))


def union_type(left: str | None, right: str | None) -> str | None:
    """The type of a column of a set operation."""
    return _widest([left, right])


def _column(parts: list[str], scope: Scope) -> str | None:
    name, sources = parts[-1].lower(), scope.all()
    if len(parts) == 2:
        source = sources.get(parts[0].lower())
        return source.type(name) if source else None
    if len(parts) > 2:
        return None
    kinds = {s.type(name) for s in sources.values() if s.columns is not None and s.has(name)}
    if kinds:
        return kinds.pop() if len(kinds) == 1 else None
    # An alias gives way to a column, and an open source may have one of that name.
    unknown = any(source.columns is None for source in sources.values()) or scope.outer
    return None if unknown else scope.aliases.get(name)


def _number(text: str) -> str | None:
    if not text.isdigit():
        if found := re.fullmatch(r"([0-9]*)\.([0-9]*)", text):
            whole, scale = found[1].lstrip("0"), len(found[2])
            precision = max(len(whole) + scale, scale, 1)
            return f"decimal({precision},{scale})" if precision <= 38 else None
        return "double" if re.fullmatch(r"[0-9.]+[eE][+-]?[0-9]+", text) else None
    value = int(text)
    return "int" if value <= _INT else "bigint" if value <= _BIGINT else None


def _digits(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _cast(to: exp.DataType | None) -> str | None:
    text = "" if to is None else to.sql("spark")
    if text.lower() in ("tinyint", "smallint"):
        return text.lower()
    # Spark's DECIMAL alone is decimal(10,0).
    try:
        return column_type("decimal(10,0)" if text.upper() == "DECIMAL" else text)
    except ValueError:
        return None


def _common(nodes: Iterable[exp.Expr | None], scope: Scope) -> str | None:
    return _widest([type_of(node, scope) for node in nodes])


def _widest(kinds: Iterable[str | None]) -> str | None:
    """The one type of several; whole numbers widen, NULL takes any."""
    found = {kind for kind in kinds if kind != _VOID}
    if not found:
        return _VOID
    if len(found) == 1:
        return found.pop()
    if found <= {*_WHOLE}:
        return max((kind for kind in found if kind), key=_WHOLE.index)
    return None


def _arithmetic(left: str | None, right: str | None) -> str | None:
    if left in _WHOLE and right in _WHOLE:
        return _widest([left, right])
    return _double(left, right)


def _quotient(left: str | None, right: str | None) -> str | None:
    if left in _WHOLE and right in _WHOLE:
        return "double"
    return _double(left, right)


def _double(left: str | None, right: str | None) -> str | None:
    """A double and another number make a double."""
    numbers = all(k in (*_WHOLE, "double", "float") or (k or "").startswith("decimal") for k in (left, right))
    return "double" if numbers and "double" in (left, right) else None


def _total(node: exp.Expr, kind: str | None) -> str | None:
    average = isinstance(node, exp.Avg)
    if kind in _WHOLE:
        return "double" if average else "bigint"
    if kind in ("double", "float"):
        return "double"
    if found := re.fullmatch(r"decimal\(([0-9]+),([0-9]+)\)", kind or ""):
        precision, scale = int(found[1]), int(found[2])
        if average:
            return f"decimal({precision + 4},{scale + 4})" if precision <= 34 else None
        return f"decimal({min(precision + 10, 38)},{scale})"
    return None


def _text(node: exp.Expr, scope: Scope) -> str | None:
    """Functions that give text for text, and something else for arrays and bytes."""
    if isinstance(node, exp.Concat):
        given = node.expressions
    elif isinstance(node, exp.DPipe):
        given = [node.this, node.expression]
    else:
        given = [node.this]
    return "string" if given and all(type_of(each, scope) == "string" for each in given) else None


def _of_distinct(node: exp.Expr) -> exp.Expr | None:
    if isinstance(node, exp.Distinct):
        return node.expressions[0] if len(node.expressions) == 1 else None
    return node


def _given(node: exp.Expr | None) -> list[exp.Expr]:
    return [] if node is None else [node]
