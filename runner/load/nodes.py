"""YAML text → a tree of nodes that know their places; nothing is interpreted yet.

In: the bytes of one file. Out: its root node, or faults: encoding, syntax, tabs, several documents,
tags, anchors and aliases, repeated keys, and trees too deep or too large to be a spec.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import yaml

from runner.errors import Fault, Place

MAX_BYTES = 1 << 20
MAX_DEPTH = 24
MAX_NODES = 50_000


class Scalar(NamedTuple):
    """One value as it is written; ``plain`` = without quotes, so YAML may read it as a number."""

    text: str
    plain: bool
    place: Place


class Items(NamedTuple):
    """A list."""

    items: tuple[Node, ...]
    place: Place


class Entries(NamedTuple):
    """A mapping, in the order of the file; keys are unique."""

    entries: tuple[tuple[Scalar, Node], ...]
    place: Place

    def get(self, key: str) -> Node | None:
        return next((node for name, node in self.entries if name.text == key), None)


Node = Scalar | Items | Entries


def described(node: Node) -> str:
    """What stands there, for a message."""
    match node:
        case Items():
            return "a list"
        case Entries():
            return "a mapping"
        case Scalar():
            return f"the single value '{node.text}'" if node.text else "nothing"


class Unreadable(Exception):
    """The text is no tree at all; ``fault`` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def parse(content: bytes, file: str, faults: list[Fault]) -> Node:
    """The root node of a YAML file. Repeated keys go to ``faults``; Unreadable for the rest."""
    return parse_text(_decode(content, file), file, faults)


def parse_text(text: str, file: str, faults: list[Fault]) -> Node:
    """The root node of YAML text."""
    # The C parser is ten times as fast; the messages are those of the Python parser.
    fast = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Builder(file, faults).build(yaml.parse(text, Loader=fast))
    except yaml.YAMLError as error:
        raise Unreadable(_syntax_fault(_as_python_says(error, text), text, file)) from None


def _as_python_says(error: yaml.YAMLError, text: str) -> yaml.YAMLError:
    try:
        for _ in yaml.parse(text, Loader=yaml.SafeLoader):
            pass
    except yaml.YAMLError as again:
        return again
    return error


def _decode(content: bytes, file: str) -> str:
    if len(content) > MAX_BYTES:
        raise Unreadable(
            Fault(
                "file-too-large",
                Place(file),
                f"the file has {len(content):,} bytes; a spec has at most {MAX_BYTES:,}",
                "this is data, or a bomb, and not a declaration",
                "keep data in a file that a model reads as a source",
            )
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        col = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        raise Unreadable(
            Fault(
                "not-utf8",
                Place(file, line, col),
                f"byte 0x{content[error.start]:02x} is not UTF-8",
                "specs are read as UTF-8 and nothing else",
                "save the file as UTF-8",
            )
        ) from None


class _Builder:
    """Builds nodes from parser events with a stack of its own: depth costs no recursion."""

    def __init__(self, file: str, faults: list[Fault]) -> None:
        self.file = file
        self.faults = faults
        self.count = 0

    def build(self, events: Iterator[yaml.Event]) -> Node:
        root: Node | None = None
        stack: list[tuple[Place, list[Node], bool]] = []
        documents = 0
        for event in events:
            node: Node | None = None
            match event:
                case yaml.ScalarEvent():
                    # Most values are looked at here alone: a call for each would double the time.
                    self.count += 1
                    if event.anchor is not None or event.tag is not None or self.count > MAX_NODES:
                        self._check(event, len(stack))
                    plain = event.implicit[0] and not event.style
                    node = Scalar(event.value, plain, self._place(event))
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    self.count += 1
                    self._check(event, len(stack))
                    stack.append((self._place(event), [], isinstance(event, yaml.MappingStartEvent)))
                    continue
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    place, children, mapping = stack.pop()
                    node = self._entries(place, children) if mapping else Items(tuple(children), place)
                case yaml.AliasEvent():
                    self.count += 1
                    self._check(event, len(stack))
                case yaml.DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        raise self._refuse(
                            event,
                            "several-documents",
                            "a second YAML document starts here",
                            "a spec is one document; what follows '---' would be ignored",
                            "put it into a file of its own",
                        )
            if node is not None:
                if stack:
                    stack[-1][1].append(node)
                else:
                    root = node
        if root is None or (isinstance(root, Scalar) and root.plain and not root.text):
            raise Unreadable(
                Fault(
                    "empty-file",
                    Place(self.file),
                    "the file declares nothing",
                    "every file of pipelines/ is a pipeline",
                    "write the declaration, or remove the file",
                )
            )
        return root

    def _check(self, event: yaml.NodeEvent, depth: int) -> None:
        if event.anchor is not None:
            sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
            raise self._refuse(
                event,
                "yaml-alias",
                f"'{sign}{event.anchor}' is a YAML {'alias' if sign == '*' else 'anchor'}",
                "aliases hide what a model is, and nested ones grow without bound",
                "write the value out, or share it as a variable: \"{{ var('name') }}\"",
            )
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            raise self._refuse(
                event,
                "yaml-tag",
                f"'{tag}' is a YAML tag",
                "each key says itself what its value is",
                "remove the tag; quote the value where it is text",
            )
        if depth > MAX_DEPTH or self.count > MAX_NODES:
            size = f"{MAX_DEPTH} levels" if depth > MAX_DEPTH else f"{MAX_NODES:,} values"
            raise self._refuse(
                event,
                "yaml-too-large",
                f"the file has more than {size}",
                "no spec needs that; this is a bomb or data",
                "keep data in a file that a model reads as a source",
            )

    def _entries(self, place: Place, children: list[Node]) -> Entries:
        seen: dict[str, Place] = {}
        entries: list[tuple[Scalar, Node]] = []
        for key, value in zip(children[::2], children[1::2], strict=True):
            if not isinstance(key, Scalar):
                self.faults.append(_not_a_key(key))
            elif key.text in seen:
                self.faults.append(
                    Fault(
                        "duplicate-key",
                        key.place,
                        f"'{key.text}' is written twice",
                        f"the first stands in line {seen[key.text].line}, and only one can hold",
                        "remove one of them",
                    )
                )
            else:
                seen[key.text] = key.place
                entries.append((key, value))
        return Entries(tuple(entries), place)

    def _place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        return Place(self.file, mark.line + 1, mark.column + 1) if mark else Place(self.file)

    def _refuse(self, event: yaml.Event, code: str, what: str, why: str, fix: str) -> Unreadable:
        return Unreadable(Fault(code, self._place(event), what, why, fix))


def _not_a_key(node: Node) -> Fault:
    """`{{ var('x') }}` without quotes is, to YAML, a mapping whose key is a mapping."""
    return Fault(
        "unquoted-braces",
        node.place,
        "a mapping or list stands where a key belongs",
        "YAML reads braces without quotes as a mapping",
        "quote the value: \"{{ var('name') }}\"",
    )


def _syntax_fault(error: yaml.YAMLError, text: str, file: str) -> Fault:
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        line, col = before.count("\n") + 1, error.position - (before.rfind("\n") + 1) + 1
        return Fault(
            "bad-character",
            Place(file, line, col),
            f"the character U+{ord(text[error.position]):04X} is not allowed in YAML",
            "control characters have no meaning there",
            "remove it; it is often pasted in unseen",
        )
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
    problem = getattr(error, "problem", None) or str(error)
    if "'\\t'" in problem:
        return Fault(
            "yaml-tab",
            place,
            "a tab stands where YAML wants spaces",
            "YAML does not allow tabs in indentation",
            "indent with spaces",
        )
    context = getattr(error, "context", None)
    why = context or "the parser met something that cannot follow what stands before"
    start = getattr(error, "context_mark", None)
    if context and start is not None:
        why += f" that starts in line {start.line + 1}, column {start.column + 1}"
    line_text = text.splitlines()[mark.line].strip() if mark and mark.line < len(text.splitlines()) else ""
    if "{{" in line_text and "'{{" not in line_text and '"{{' not in line_text:
        fix = "quote a value with braces: \"{{ var('name') }}\""
    elif "mapping values are not allowed" in problem:
        fix = "quote a value that contains ': ', and check the indentation"
    else:
        fix = "check indentation, quotes and brackets near this place"
    return Fault("yaml-syntax", place, f"this is not YAML: {problem}", why, fix)
