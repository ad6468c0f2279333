"""The macros of ``sql/macros/*.sql``, compiled once for a project and bound anew for each model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

from jinja2 import TemplateSyntaxError, meta, nodes
from jinja2.runtime import Macro

from runner.errors import Fault, Place, ProjectError, did_you_mean
from runner.template import Budget, Refused, Sandbox

FOLDER = "sql/macros"
#: What templates are given besides macros.
GIVEN = ("target", "source", "var", "changed", "range")
_INTERNAL = ("__each", "__concat")


@dataclass(frozen=True)
class MacroFile:
    """One file of macros. ``names``: those it defines at its top level."""

    file: str
    source: str
    code: CodeType
    names: tuple[str, ...]
    tree: nodes.Template = field(repr=False)


@dataclass(frozen=True)
class Macros:
    """All macros of a project."""

    files: tuple[MacroFile, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for file in self.files for name in file.names)

    def source_of(self, file: str) -> str | None:
        """The text of a macro file, by its path in the project."""
        return next((found.source for found in self.files if found.file == file), None)

    def bind(self, sandbox: Sandbox, given: Mapping[str, Any]) -> dict[str, Any]:
        """``given`` and all macros, which see ``given`` and one another whatever their order."""
        found: dict[str, Macro] = {}
        names: dict[str, Any] = {**given, **{name: _Forward(found, name) for name in self.names}}
        for file in self.files:
            template = sandbox.template_class.from_code(sandbox, file.code, sandbox.make_globals(None))
            module = template.make_module(dict(names))
            found.update({name: getattr(module, name) for name in file.names})
        return names


@dataclass(frozen=True)
class _Forward:
    found: Mapping[str, Macro]
    name: str

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.found[self.name](*args, **kwargs)


def load_macros(root: Path) -> Macros:
    """Read and compile the macro files of a project; ProjectError with the faults of all of them."""
    faults: list[Fault] = []
    files: list[MacroFile] = []
    sources: list[tuple[str, str]] = []
    for path in sorted((root / FOLDER).glob("*.sql")):
        file = path.relative_to(root).as_posix()
        if not path.resolve().is_relative_to(root.resolve()):
            faults.append(
                Fault(
                    "path-escape",
                    Place(file),
                    f"'{file}' leads out of the project through a symbolic link",
                    "the SQL of a project is part of it",
                    "copy the file into the project",
                )
            )
            continue
        try:
            sources.append((file, read_sql(path, file)))
        except ProjectError as error:
            faults += error.faults
    for file, source in sources:
        try:
            files.append(_compile(file, source))
        except ProjectError as error:
            faults += error.faults
    faults += _name_faults(files)
    known = [*GIVEN, *(name for file in files for name in file.names)]
    for macro_file in files:
        faults += unknown_names(macro_file.tree, macro_file.source, macro_file.file, known)
    if faults:
        raise ProjectError(tuple(faults))
    return Macros(tuple(files))


def read_sql(path: Path, file: str) -> str:
    """The text of a .sql file, its lines ended by newlines alone; ProjectError where it has none."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ProjectError(
            (
                Fault(
                    "not-utf8",
                    Place(file, line, 1),
                    f"byte 0x{error.object[error.start]:02x} is not UTF-8",
                    "SQL is read as UTF-8 and nothing else",
                    "save the file as UTF-8",
                ),
            )
        ) from None
    except OSError as error:
        raise ProjectError(
            (
                Fault(
                    "unreadable",
                    Place(file),
                    f"the file cannot be read: {error.strerror}",
                    "the model is made of it",
                    "correct its permissions",
                ),
            )
        ) from None
    if found := re.search("[\x00\ue000-\uf8ff]", text):
        line = text.count("\n", 0, found.start()) + 1
        raise ProjectError(
            (
                Fault(
                    "bad-character",
                    Place(file, line, found.start() - text.rfind("\n", 0, found.start())),
                    f"the character U+{ord(found[0]):04X} stands in the SQL",
                    "it has no meaning that others share",
                    "write it as an escape, or remove it",
                ),
            )
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def place_of_tag(source: str, file: str, line: int, word: str = "") -> Place:
    """Where on ``line`` a tag stands: Jinja tells lines only. ``word``: something inside the tag."""
    lines = source.split("\n")
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    if word and (found := re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)):
        return Place(file, line, found.start() + 1)
    starts = [found.start() for sign in ("{{", "{%") if (found := re.search(re.escape(sign), text))]
    return Place(file, line, min(starts, default=len(text) - len(text.lstrip())) + 1)


def unknown_names(tree: nodes.Template, source: str, file: str, known: Iterable[str]) -> list[Fault]:
    """A fault for each name of a template that nothing gives a value to."""
    known = sorted(known)
    # What is set in one branch of an `if` alone is for rendering to miss.
    stored = {name.name for name in tree.find_all(nodes.Name) if name.ctx == "store"}
    unknown = meta.find_undeclared_variables(tree) - {*known, *_INTERNAL} - stored
    first: dict[str, int] = {}
    for name in tree.find_all(nodes.Name):
        if name.name in unknown:
            first[name.name] = min(first.get(name.name, name.lineno), name.lineno)
    given = ", ".join(name for name in GIVEN[:4] if name in known)
    return [
        Fault(
            "unknown-name",
            place_of_tag(source, file, line, name),
            f"the template uses '{name}', which is not defined",
            f"templates know {given} and the macros of {FOLDER}/",
            did_you_mean(name, known)
            if "did you" in did_you_mean(name, known)
            else f"a variable is read as {{{{ var('{name}') }}}}",
        )
        for name, line in sorted(first.items())
    ]


def template_fault(error: Refused | TemplateSyntaxError, source: str, file: str) -> Fault:
    """The fault of a template that is refused or is none."""
    if isinstance(error, Refused):
        return Fault(
            error.code, place_of_tag(source, file, error.line, error.word), error.what, error.why, error.fix
        )
    message = str(error.message or "").rstrip(".")
    return Fault(
        "template-syntax",
        place_of_tag(source, file, error.lineno),
        f"this is not a Jinja template: {message}",
        "{{ … }} prints, {% … %} steers, {# … #} comments",
        "check the tag on this line, and that it ends",
    )


def _compile(file: str, source: str) -> MacroFile:
    sandbox = Sandbox(Budget())
    try:
        tree = sandbox.parse(source, file, file)
        names = tuple(
            node.name for node in tree.body if isinstance(node, nodes.Macro) and node.name[0] != "_"
        )
        return MacroFile(file, source, sandbox.compile(tree, file, file), names, tree)
    except (Refused, TemplateSyntaxError) as error:
        raise ProjectError((template_fault(error, source, file),)) from None
    except RecursionError:
        raise ProjectError(
            (
                Fault(
                    "template-too-deep",
                    Place(file),
                    "the template is nested too deeply",
                    "rendering has an end",
                    "flatten it",
                ),
            )
        ) from None


def _name_faults(files: Iterable[MacroFile]) -> list[Fault]:
    faults, seen = [], dict.fromkeys(GIVEN, "the runner")
    for file in files:
        for name in file.names:
            if name in seen:
                line = next(
                    (
                        i
                        for i, text in enumerate(file.source.split("\n"), 1)
                        if re.search(rf"macro\s+{name}\b", text)
                    ),
                    1,
                )
                faults.append(
                    Fault(
                        "duplicate-macro",
                        place_of_tag(file.source, file.file, line, name),
                        f"the macro '{name}' is defined by {seen[name]} already",
                        "macros are known by name in the whole project",
                        "rename one of them",
                    )
                )
            seen.setdefault(name, file.file)
    return faults
