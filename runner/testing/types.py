"""Column types as trees: ``array<struct<a:int>>`` enters, what it is made of leaves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Type:
    """``name`` is the outermost type; ``text`` the whole, as it is declared.

    ``of``: of an array its element, of a map key and value, of a struct its ``fields``' types; ``digits``:
    precision and scale of a decimal.
    """

    name: str
    text: str
    of: tuple[Type, ...] = ()
    fields: tuple[str, ...] = ()
    digits: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        return self.text


def parse_type(text: str) -> Type:
    """The tree of a type in its one spelling (``load.types.column_type``, or as Spark prints it)."""
    name, bracket, inside = text.partition("<")
    if bracket:
        parts = _split(inside.removesuffix(">"))
        if name != "struct":
            return Type(name, text, tuple(parse_type(part) for part in parts))
        fields = [part.split(":", 1) for part in parts]
        return Type(
            name, text, tuple(parse_type(of) for _, of in fields), tuple(field for field, _ in fields)
        )
    name, bracket, inside = text.partition("(")
    if name == "decimal":
        precision, _, scale = inside.removesuffix(")").partition(",")
        return Type(name, text, digits=(int(precision), int(scale or 0)))
    return Type(text, text)


def _split(text: str) -> list[str]:
    """The parts between commas that stand in no bracket."""
    parts, depth, start = [], 0, 0
    for i, sign in enumerate(text):
        depth += (sign in "<(") - (sign in ">)")
        if sign == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]]
