"""Types of expressions, only as far as it takes to see a floating-point number coming."""

from __future__ import annotations

from sqlglot import exp

from runner.lineage.relation import Scope

DOUBLE = "double"
_FLOATS = ("double", "float")
#: Functions that return a double whatever they are given.
_ALWAYS = (
    exp.Sqrt,
    exp.Cbrt,
    exp.Exp,
    exp.Ln,
    exp.Log,
    exp.Pow,
    exp.Sin,
    exp.Cos,
    exp.Tan,
    exp.Asin,
    exp.Acos,
    exp.Atan,
    exp.Rand,
)
#: Functions whose result is of the type of their arguments.
_SAME = (
    exp.Coalesce,
    exp.Abs,
    exp.Greatest,
    exp.Least,
    exp.Round,
    exp.Max,
    exp.Min,
    exp.Sum,
    exp.Neg,
    exp.Paren,
    exp.Nullif,
    exp.Mod,
    exp.Filter,
    exp.Window,
    exp.AnyValue,
    exp.First,
    exp.Last,
)


def kind_of(node: exp.Expr | None, scope: Scope) -> str | None:
    """The Spark type of an expression; None where it is not known."""
    match node:
        case None:
            return None
        case exp.Distinct():
            return _widest([kind_of(value, scope) for value in node.expressions])
        case exp.Alias():
            return kind_of(node.this, scope)
        case exp.Column():
            return scope.type([part.name for part in node.parts])
        case exp.Cast() | exp.TryCast():
            return _cast(node.to)
        case exp.Literal() if not node.is_string:
            return DOUBLE if "e" in node.name.lower() else "decimal" if "." in node.name else "int"
        case exp.Div():
            kinds = {kind_of(node.this, scope), kind_of(node.expression, scope)}
            if kinds & {*_FLOATS}:
                return DOUBLE
            if None in kinds:
                return None
            return "decimal" if any((k or "").startswith("decimal") for k in kinds) else DOUBLE
        case exp.Add() | exp.Sub() | exp.Mul():
            return _wider(kind_of(node.this, scope), kind_of(node.expression, scope))
        case exp.Case():
            branches = [kind_of(branch.args.get("true"), scope) for branch in node.args.get("ifs", [])]
            return _widest([*branches, kind_of(node.args.get("default"), scope)])
        case exp.If():
            return _wider(kind_of(node.args.get("true"), scope), kind_of(node.args.get("false"), scope))
        case exp.Avg():
            kind = kind_of(node.this, scope)
            return None if kind is None else "decimal" if kind.startswith("decimal") else DOUBLE
        case exp.Count() | exp.CountIf():
            return "bigint"
    if isinstance(node, _ALWAYS):
        return DOUBLE
    if isinstance(node, _SAME):
        return _widest([kind_of(node.this, scope), *(kind_of(arg, scope) for arg in node.expressions)])
    return None


def is_float(node: exp.Expr | None, scope: Scope) -> bool:
    """Whether an expression is known to be a floating-point number."""
    return kind_of(node, scope) in _FLOATS


def _cast(to: exp.DataType | None) -> str | None:
    return None if to is None else to.sql("spark").lower().replace(" ", "")


def _wider(left: str | None, right: str | None) -> str | None:
    return _widest([left, right])


def _widest(kinds: list[str | None]) -> str | None:
    if any(kind in _FLOATS for kind in kinds):
        return DOUBLE
    known = [kind for kind in kinds if kind]
    return known[0] if known else None
