"""Which place of a template each place of its rendering comes from, exactly.

Marks of private-use characters go into the template's own text before it is rendered, at the starts of
lines and around tags. After rendering they say where they came from, and are taken out.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.errors import Place

if TYPE_CHECKING:
    from jinja2 import Environment

OPEN, CLOSE = "\ue000", "\ue001"
_MARK = re.compile(f"{OPEN}([0-9]+){CLOSE}")
_BEGIN = ("variable_begin", "block_begin", "comment_begin", "raw_begin")
_END = ("variable_end", "block_end", "raw_end", "comment_end")
#: Text inside these is not printed where it stands, but kept as a value and maybe changed.
_CAPTURES = ("set", "call", "filter", "macro")


@dataclass(frozen=True)
class Marked:
    """A template with marks in it. ``origins``: for each mark the offset, and whether text after it was
    copied from there on (or made by the tag that stands there)."""

    text: str
    source: str
    origins: tuple[tuple[int, bool], ...]


@dataclass(frozen=True)
class SourceMap:
    """From the lines and columns of rendered text to places in the template's file."""

    file: str
    source: str
    rendered: str
    starts: tuple[int, ...]  # offsets in the rendered text, ascending
    origins: tuple[tuple[int, bool], ...]  # for each start

    def at(self, line: int, col: int) -> Place:
        """The place of a line and column of the rendered text, both from 1."""
        offset = 0
        for _ in range(line - 1):
            found = self.rendered.find("\n", offset)
            if found < 0:
                break
            offset = found + 1
        return self.at_offset(offset + max(col, 1) - 1)

    def at_offset(self, offset: int) -> Place:
        """The place of an offset of the rendered text."""
        i = bisect.bisect_right(self.starts, offset) - 1
        if i < 0:
            return Place(self.file, 1, 1)
        origin, copied = self.origins[i]
        found = min(origin + (offset - self.starts[i] if copied else 0), len(self.source))
        line_start = self.source.rfind("\n", 0, found) + 1
        return Place(self.file, self.source.count("\n", 0, found) + 1, found - line_start + 1)


def mark(source: str, environment: Environment) -> Marked:
    """Put marks into a template; it renders as before, but for the marks."""
    out: list[str] = []
    origins: list[tuple[int, bool]] = []

    def put(offset: int, copied: bool) -> None:
        out.append(f"{OPEN}{len(origins)}{CLOSE}")
        origins.append((offset, copied))

    put(0, True)
    depth = 0
    for offset, kind, text, captured in _pieces(source, environment):
        if captured:
            depth += captured
        if kind == "data" and depth == 0:
            begin = 0
            for found in re.finditer("\n", text):
                out.append(text[begin : found.end()])
                put(offset + found.end(), True)
                begin = found.end()
            out.append(text[begin:])
            continue
        # A mark before a tag stands behind text, or at once behind the tag before: blanks that the tag
        # takes away ("{{-") lie between, and are taken away still.
        if kind in _BEGIN and depth == (1 if captured > 0 else 0):
            put(offset + len(text) - len(text.lstrip()), False)
        out.append(text)
        if (kind in _END or kind == "raw_begin") and depth == 0:
            put(offset + len(text), True)
    return Marked("".join(out), source, tuple(origins))


def _pieces(source: str, environment: Environment) -> Iterator[tuple[int, str, str, int]]:
    """Offset, kind and text of each token, blanks that the lexer took away included; the last number is
    +1 where a capture begins, -1 where it ends."""
    offset = 0
    tokens = list(environment.lex(source))
    for i, (_, kind, text) in enumerate(tokens):
        found = source.index(text, offset)
        captured = 0
        if kind == "block_begin":
            captured = _capture(tokens[i + 1 : i + 40])
        yield offset, kind, source[offset : found + len(text)], captured
        offset = found + len(text)


def _capture(tokens: list[tuple[int, str, str]]) -> int:
    words: list[tuple[str, str]] = []
    for _, kind, text in tokens:
        if kind == "block_end":
            break
        if kind != "whitespace":
            words.append((kind, text))
    if not words:
        return 0
    name = words[0][1]
    if name.startswith("end") and name[3:] in _CAPTURES:
        return -1
    if name == "set":
        return 0 if ("operator", "=") in words else 1
    return 1 if name in _CAPTURES else 0


def unmark(rendered: str, marked: Marked, file: str) -> SourceMap:
    """Take the marks out of rendered text and make the map of them."""
    out: list[str] = []
    starts: list[int] = []
    origins: list[tuple[int, bool]] = []
    length = begin = 0
    for found in _MARK.finditer(rendered):
        piece = rendered[begin : found.start()]
        out.append(piece)
        length += len(piece)
        begin = found.end()
        if starts and starts[-1] == length:
            starts.pop()
            origins.pop()
        starts.append(length)
        origins.append(marked.origins[int(found[1])])
    out.append(rendered[begin:])
    return SourceMap(file, marked.source, "".join(out), tuple(starts), tuple(origins))
