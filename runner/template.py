"""The sandbox in which SQL templates run: structure only, and bounded.

A template sees the names it is given and nothing else: no attributes, no imports, no files, no clock.
Loops, calls, sizes and output have limits, so that every template ends.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from jinja2 import StrictUndefined, Undefined, nodes
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_STEPS = 50_000
MAX_OUTPUT = 1_000_000
MAX_VALUE = 1_000_000
MAX_RANGE = 10_000
MAX_BITS = 256

#: Filters that look at values alone; none is random, reads attributes or prints objects.
FILTERS = (
    "abs",
    "d",
    "default",
    "first",
    "float",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "count",
    "list",
    "lower",
    "max",
    "min",
    "replace",
    "reverse",
    "round",
    "sort",
    "string",
    "title",
    "trim",
    "unique",
    "upper",
)
LOOP = frozenset(
    [
        "index",
        "index0",
        "revindex",
        "revindex0",
        "first",
        "last",
        "length",
        "cycle",
        "depth",
        "depth0",
        "previtem",
        "nextitem",
        "changed",
    ]
)


class Refused(Exception):
    """A template does what templates may not. ``line``: where, when it is known; 0 otherwise."""

    def __init__(
        self, code: str, what: str, why: str = "", fix: str = "", line: int = 0, word: str = ""
    ) -> None:
        super().__init__(what)
        self.code, self.what, self.why, self.fix, self.line, self.word = code, what, why, fix, line, word


@dataclass
class Budget:
    """What one rendering may still use."""

    steps: int = MAX_STEPS
    output: int = MAX_OUTPUT * 4

    def step(self) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise Refused(
                "template-too-long",
                f"the template takes more than {MAX_STEPS:,} steps",
                "rendering is for the structure of a statement; rows are Spark's",
                "loop over fewer things, or write the loop as SQL",
            )

    def print(self, value: object) -> object:
        """What ``{{ … }}`` prints: text and numbers."""
        if isinstance(value, Undefined):
            return str(value)  # raises for a missing value; an `if` without `else` prints nothing
        if not isinstance(value, str | int | float):
            shown = "nothing" if value is None else f"a {_kind(value)}"
            raise Refused(
                "not-printable",
                f"{shown} is printed into the SQL",
                "only text and numbers are SQL as they stand",
                "print its parts, for example with | join(', ')"
                if isinstance(value, list | tuple)
                else "give the variable a value, or test it with {% if %}",
            )
        if isinstance(value, str):
            self.output -= len(value)
            if self.output < 0:
                raise _too_large("the template's output")
        return value


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja without attributes, and with every growing operation bounded."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, budget: Budget) -> None:
        super().__init__(
            undefined=StrictUndefined, keep_trailing_newline=True, finalize=budget.print, autoescape=False
        )
        self.budget = budget
        builtin = dict(self.filters)
        self.filters = {name: builtin[name] for name in FILTERS}
        self.filters["join"] = _join
        self.filters["replace"] = _replace
        self.filters["indent"] = _indent
        self.filters["string"] = _text
        self.globals = {"range": _range, "__each": self._each, "__concat": _concat}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for check in (_refuse_statements, _refuse_attributes):
            check(tree)
        return _bounded(tree)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Every call is a step; only what we gave can be called."""
        self.budget.step()
        return super().call(context, obj, *args, **kwargs)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return isinstance(obj, LoopContext) and attr in LOOP

    def is_safe_callable(self, obj: Any) -> bool:
        """What a template can name, it may call: it was given nothing else."""
        return True

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """``+ * ** %`` within the limits."""
        sized = next((v for v in (left, right) if isinstance(v, str | list | tuple)), None)
        if operator == "%" and isinstance(left, str):
            raise Refused(
                "template-format", "text is formatted with %", "its size has no bound", "join it with ~"
            )
        if operator == "**" and _bits(left) * max(_bits_value(right), 1) > MAX_BITS:
            raise _too_large("a number")
        if operator == "*" and sized is not None:
            times = right if sized is left else left
            if isinstance(times, int) and len(sized) * times > MAX_VALUE:
                raise _too_large("a repeated value")
        if (
            operator == "+"
            and type(left) is type(right)
            and sized is not None
            and len(left) + len(right) > MAX_VALUE
        ):
            raise _too_large("a joined value")
        result = super().call_binop(context, operator, left, right)
        if _bits(result) > MAX_BITS:
            raise _too_large("a number")
        return result

    def _each(self, values: Any) -> Any:
        """What a ``for`` runs over, each turn a step."""
        if isinstance(values, Mapping | str | list | tuple | range | Iterator):
            return _Steps(values, self.budget)
        return values  # undefined: Jinja says so itself


class _Steps:
    """An iterable with the length of what it wraps, if that has one."""

    def __init__(self, values: Iterable[Any], budget: Budget) -> None:
        self.values, self.budget = values, budget

    def __iter__(self) -> Iterator[Any]:
        for value in self.values:
            self.budget.step()
            yield value

    def __len__(self) -> int:
        return len(self.values)  # type: ignore[arg-type]  # LoopContext asks only where it must


def _refuse_statements(tree: nodes.Template) -> None:
    kinds = (nodes.Import, nodes.FromImport, nodes.Include, nodes.Extends, nodes.Block)
    for node in tree.find_all(kinds):
        raise Refused(
            "template-statement",
            f"{{% {type(node).__name__.lower().replace('fromimport', 'from')} %}} is not available",
            "a model is one file; macros of sql/macros/ are there by name",
            "move the shared part into a macro",
            node.lineno,
        )


def _refuse_attributes(tree: nodes.Template) -> None:
    for node in tree.find_all(nodes.Getattr):
        of_loop = isinstance(node.node, nodes.Name) and node.node.name == "loop"
        if not (of_loop and node.attr in LOOP):
            raise _attribute(f".{node.attr}", node.lineno, node.attr)
    for item in tree.find_all(nodes.Getitem):
        if isinstance(item.arg, nodes.Const) and str(item.arg.value).startswith("_"):
            raise _attribute(f"['{item.arg.value}']", item.lineno, str(item.arg.value))
    for test in tree.find_all(nodes.Filter):
        if test.name not in FILTERS:
            raise Refused(
                "unknown-filter",
                f"there is no filter '{test.name}'",
                "templates shape SQL; they do not compute",
                f"there are {', '.join(FILTERS)}",
                test.lineno,
                test.name,
            )


def _attribute(shown: str, line: int, word: str) -> Refused:
    return Refused(
        "template-attribute",
        f"the template reaches for the attribute {shown}",
        "templates see text, numbers, lists and mappings, and nothing of Python behind them",
        "use a filter, or ['key'] for the value of a mapping",
        line,
        word,
    )


def _bounded(tree: nodes.Template) -> nodes.Template:
    """``for`` counts its turns, and ``~`` is a call that knows sizes."""
    for loop in tree.find_all(nodes.For):
        loop.iter = _call("__each", [cast(nodes.Expr, loop.iter)], loop)
    _replace_concats(tree)
    return tree


def _replace_concats(parent: nodes.Node) -> None:
    for field in parent.fields:
        value = getattr(parent, field, None)
        if isinstance(value, nodes.Concat):
            setattr(parent, field, _call("__concat", value.nodes, value))
        elif isinstance(value, list):
            setattr(
                parent,
                field,
                [_call("__concat", v.nodes, v) if isinstance(v, nodes.Concat) else v for v in value],
            )
    for child in parent.iter_child_nodes():
        _replace_concats(child)


def _call(name: str, args: list[nodes.Expr], at: nodes.Node) -> nodes.Call:
    target = nodes.Name(name, "load", lineno=at.lineno)
    call = nodes.Call(target, args, [], None, None, lineno=at.lineno)
    if at.environment is not None:
        call.set_environment(at.environment)
    return call


def _range(*bounds: int) -> range:
    found = range(*bounds)
    if len(found) > MAX_RANGE:
        raise Refused(
            "template-range",
            f"range() of {len(found):,} values",
            f"at most {MAX_RANGE:,} are allowed",
            "loop over fewer things, or use SQL's sequence() and explode()",
        )
    return found


def _concat(*parts: object) -> str:
    texts = [_text(part) for part in parts]
    if sum(map(len, texts)) > MAX_VALUE:
        raise _too_large("a joined value")
    return "".join(texts)


def _join(values: Iterable[object], separator: object = "") -> str:
    texts, sign = [_text(v) for v in itertools.islice(values, MAX_RANGE)], _text(separator)
    if sum(map(len, texts)) + len(sign) * len(texts) > MAX_VALUE:
        raise _too_large("a joined value")
    return sign.join(texts)


def _replace(text: object, old: object, new: object) -> str:
    whole, found, put = _text(text), _text(old), _text(new)
    if len(whole) + whole.count(found) * len(put) > MAX_VALUE:
        raise _too_large("a replaced text")
    return whole.replace(found, put)


def _indent(text: object, width: int = 4, first: bool = False) -> str:
    lines = _text(text).split("\n")
    if len(lines) * width > MAX_VALUE:
        raise _too_large("an indented text")
    return "\n".join(" " * width + line if line and (i or first) else line for i, line in enumerate(lines))


def _text(value: object) -> str:
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, Undefined):
        return str(value)  # raises, and says which name
    raise Refused(
        "not-printable",
        f"a {_kind(value)} is used as text",
        "only text and numbers are SQL as they stand",
        "use its parts, for example with | join(', ')",
    )


def _kind(value: object) -> str:
    return {"dict": "mapping", "NoneType": "missing value", "tuple": "list"}.get(
        type(value).__name__, type(value).__name__
    )


def _bits(value: object) -> int:
    return value.bit_length() if isinstance(value, int) else 0


def _bits_value(value: object) -> int:
    return abs(value) if isinstance(value, int) else 1


def _too_large(what: str) -> Refused:
    return Refused(
        "template-too-large",
        f"{what} grows beyond its limit",
        "a statement has no use for it",
        "make it smaller",
    )
