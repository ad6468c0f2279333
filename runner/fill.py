"""Templates that only print what they are given, filled in without Jinja: most models are of this kind.

In: the text of a template, and what it may name. Out: the same text and the same map that rendering it with
Jinja gives; or None for everything else, faults included: then Jinja renders it, and says what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from runner.markers import SourceMap

#: ``{{ name }}`` and ``{{ name('text', 'text') }}``, texts without escapes.
_TEXT = r"""(?:'[^'\\{}\n]*'|"[^"\\{}\n]*")"""
_TAG = re.compile(rf"\{{\{{\s*([A-Za-z]\w*)\s*(?:\(\s*({_TEXT}(?:\s*,\s*{_TEXT})*)\s*\)\s*)?\}}\}}", re.ASCII)
_ARGUMENT = re.compile(_TEXT)
_LINE_END = re.compile("\n")
#: Far below what the sandbox allows, so that its limits never come into it.
_MOST_TAGS, _MOST_TEXT = 10_000, 500_000


def fill(source: str, file: str, given: Mapping[str, Any], refused: type[Exception]) -> SourceMap | None:
    """The rendered text of ``source``, with its map. ``refused``: what ``given`` raises for bad arguments."""
    filled = _Filling(file, source)
    end = 0
    for number, tag in enumerate(_TAG.finditer(source)):
        before = source[end : tag.start()]
        try:
            value = _value(tag, given)
        except (refused, TypeError):
            return None
        if value is None or number > _MOST_TAGS or before.endswith("{") or not _is_data(before):
            return None
        filled.copy(end, before)
        filled.put(tag.start(), copied=False)
        filled.add(value)
        end = tag.end()
        filled.put(end, copied=True)
    if not _is_data(source[end:]) or filled.length + len(source) - end > _MOST_TEXT:
        return None
    filled.copy(end, source[end:])
    return SourceMap(file, source, "".join(filled.out), tuple(filled.starts), tuple(filled.origins))


class _Filling:
    """Rendered text that grows, and where its pieces came from, as ``markers.unmark`` tells it."""

    def __init__(self, file: str, source: str) -> None:
        self.out: list[str] = []
        self.length = 0
        self.starts: list[int] = []
        self.origins: list[tuple[int, bool]] = []
        self.put(0, copied=True)

    def put(self, offset: int, *, copied: bool) -> None:
        if self.starts and self.starts[-1] == self.length:
            self.origins[-1] = (offset, copied)
        else:
            self.starts.append(self.length)
            self.origins.append((offset, copied))

    def add(self, text: str) -> None:
        self.out.append(text)
        self.length += len(text)

    def copy(self, offset: int, text: str) -> None:
        """Text of the template, each line with a start of its own."""
        begin = self.length
        self.add(text)
        for found in _LINE_END.finditer(text):
            self.length = begin + found.end()
            self.put(offset + found.end(), copied=True)
        self.length = begin + len(text)


def _value(tag: re.Match[str], given: Mapping[str, Any]) -> str | None:
    value: Callable[..., object] | object = given.get(tag[1])
    if tag[2] is not None:
        if not callable(value):
            return None
        value = value(*(text[1:-1] for text in _ARGUMENT.findall(tag[2])))
    return str(value) if isinstance(value, str | int | float) else None


def _is_data(text: str) -> bool:
    return not ("{{" in text or "{%" in text or "{#" in text)
