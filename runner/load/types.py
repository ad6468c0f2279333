"""Column types: Spark SQL's names, as far as an Iceberg table can hold them, in one spelling each."""

from __future__ import annotations

import re

from runner.errors import did_you_mean

#: What may be written → the one spelling that the rest of the runner sees.
SIMPLE = {
    "string": "string",
    "boolean": "boolean",
    "int": "int",
    "integer": "int",
    "bigint": "bigint",
    "long": "bigint",
    "float": "float",
    "real": "float",
    "double": "double",
    "date": "date",
    "timestamp": "timestamp",
    "timestamp_ltz": "timestamp",
    "timestamp_ntz": "timestamp_ntz",
    "binary": "binary",
}
_NESTED = ("decimal", "array", "map", "struct")
#: Types of Spark that Iceberg has no equal of → what to write.
_FOREIGN = {
    "tinyint": "int",
    "byte": "int",
    "smallint": "int",
    "short": "int",
    "varchar": "string",
    "char": "string",
    "text": "string",
    "numeric": "decimal(p,s)",
    "dec": "decimal(p,s)",
    "datetime": "timestamp",
    "bool": "boolean",
    "number": "bigint",
    "str": "string",
}
_TOKEN = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[<>(),:]|\S)")
_DEPTH = 16
#: Type → those that hold each of its values.
_WIDER = {
    "tinyint": {"smallint", "int", "bigint"},
    "smallint": {"int", "bigint"},
    "int": {"bigint"},
    "float": {"double"},
}


def column_type(text: str) -> str:
    """The type in lower case without spaces: ``Decimal(10, 2)`` → ``decimal(10,2)``.

    ValueError with what is wrong and, after ``"; "``, the fix.
    """
    parser = _Parser(_TOKEN.findall(text))
    found = parser.type(0)
    if parser.words:
        raise ValueError(f"'{parser.words[0]}' is left over; write one type, for example {found}")
    return found


def is_type(text: str, *names: str) -> bool:
    """Whether a canonical type is one of ``names`` (``decimal`` stands for every decimal)."""
    return re.split(r"[(<]", text, maxsplit=1)[0] in names


def fits(found: str, declared: str) -> bool:
    """Whether every value of one type is one of the other; both as Spark names them."""
    return found in (declared, "void") or declared in _WIDER.get(found, ())


def holds_map(text: str) -> bool:
    """Whether a canonical type is a map or has one inside."""
    return "map<" in text


class _Parser:
    def __init__(self, words: list[str]) -> None:
        self.words = words

    def type(self, depth: int) -> str:
        if depth > _DEPTH:
            raise ValueError(f"it is nested more than {_DEPTH} levels deep; flatten it")
        word = self._next("a type")
        name = word.lower()
        if name in SIMPLE:
            return SIMPLE[name]
        match name:
            case "decimal":
                return self._decimal()
            case "array":
                self._want("<")
                element = self.type(depth + 1)
                self._want(">")
                return f"array<{element}>"
            case "map":
                self._want("<")
                key = self.type(depth + 1)
                self._want(",")
                value = self.type(depth + 1)
                self._want(">")
                return f"map<{key},{value}>"
            case "struct":
                return self._struct(depth)
        if name in _FOREIGN:
            raise ValueError(f"Iceberg tables have no {name}; write {_FOREIGN[name]}")
        raise ValueError(f"there is no type '{word}'; {did_you_mean(name, [*SIMPLE, *_NESTED])}")

    def _decimal(self) -> str:
        if not self.words or self.words[0] != "(":
            raise ValueError("a decimal needs its precision and scale; write decimal(10,2)")
        self._want("(")
        precision, scale = self._number(), 0
        if self.words and self.words[0] == ",":
            self._want(",")
            scale = self._number()
        self._want(")")
        if not (1 <= precision <= 38 and scale <= precision):
            raise ValueError(
                f"decimal({precision},{scale}) is none; the precision is 1 to 38, the scale at most that"
            )
        return f"decimal({precision},{scale})"

    def _struct(self, depth: int) -> str:
        self._want("<")
        fields: list[str] = []
        while True:
            field = self._next("a field's name")
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", field):
                raise ValueError(f"'{field}' is not a field's name; write struct<name:type,…>")
            self._want(":")
            fields.append(f"{field}:{self.type(depth + 1)}")
            if self._next("',' or '>'", peek=True) != ",":
                break
            self._want(",")
        self._want(">")
        return f"struct<{','.join(fields)}>"

    def _number(self) -> int:
        word = self._next("a number")
        if not word.isdecimal() or len(word) > 3:
            raise ValueError(f"'{word}' is not a number; write decimal(10,2)")
        return int(word)

    def _want(self, sign: str) -> None:
        word = self._next(f"'{sign}'")
        if word != sign:
            raise ValueError(
                f"'{word}' stands where '{sign}' belongs; write array<…>, map<…,…> or struct<name:type>"
            )

    def _next(self, wanted: str, *, peek: bool = False) -> str:
        if not self.words:
            raise ValueError(f"it ends where {wanted} belongs; complete it")
        return self.words[0] if peek else self.words.pop(0)
