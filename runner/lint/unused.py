"""Rules of the whole project: what is declared or written and named by nothing.

A use is looked for by its name in the text; whatever could be one counts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from runner.errors import Fault, Place, ProjectError
from runner.lint.look import said
from runner.load.paths import leads_inside
from runner.macros import FOLDER, read_sql
from runner.spec import CheckKind, Model, Project
from runner.tokens import line_col

_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_MACRO = re.compile(r"\{%[-+]?\s*macro\s+(\w+)")
#: `var` other than var('name').
_COMPUTED = re.compile(r"\bvar\b(?!\s*\(\s*['\"][^'\"]*['\"]\s*\))")

#: Where models, macros and checks have their SQL.
FOLDERS = ("sql", "expectations")


def unused_faults(project: Project, specs: Mapping[str, str], files: Sequence[str]) -> Iterator[Fault]:
    """``specs``: the text of each pipeline's file, by its path; ``files``: those of :func:`sql_files`."""
    texts = {file: _text(project, file) for model in project.models for file in files_of(model)}
    macros = {file: _text(project, file) for file in files if _of_macros(file)}
    yield from _macros(texts, macros)
    yield from _vars(project, texts, macros, specs)
    for file in files:
        if file not in texts and not _of_macros(file):
            yield said("unused-file", Place(file, 1, 1), f"no model and no check names '{file}'")


def files_of(model: Model) -> tuple[str, ...]:
    """The .sql files that a model is made of, by their paths in the project."""
    checks = [str(c.args["path"]) for c in model.table_checks if c.kind is CheckKind.SQL]
    return (model.sql, *dict.fromkeys(checks))


def _macros(texts: Mapping[str, str], macros: Mapping[str, str]) -> Iterator[Fault]:
    words = {word for text in texts.values() for word in re.findall(r"\w+", text)}
    for text in macros.values():
        words |= set(re.findall(r"\w+", _MACRO.sub("", text)))
    for file, text in macros.items():
        for found in _MACRO.finditer(text):
            if found[1] not in words:
                place = Place(file, *line_col(text, found.start(1)))
                yield said("unused-macro", place, f"nothing uses the macro '{found[1]}'")


def _vars(
    project: Project, texts: Mapping[str, str], macros: Mapping[str, str], specs: Mapping[str, str]
) -> Iterator[Fault]:
    for pipeline in project.pipelines:
        sql = [*(texts[file] for model in pipeline.models for file in files_of(model)), *macros.values()]
        if any(_COMPUTED.search(text) for text in sql):
            continue  # the name of some variable is computed
        written = [*sql, specs.get(pipeline.place.file, "")]
        for name, place in pipeline.var_places.items():
            if not any(re.search(rf"['\"]{re.escape(name)}['\"]", text) for text in written):
                what = f"nothing in the pipeline '{pipeline.name}' uses the variable '{name}'"
                yield said("unused-var", place, what)


def sql_files(root: Path) -> tuple[str, ...]:
    """Every .sql file where models, macros and checks have theirs; links that lead elsewhere are none."""
    found: list[str] = []
    for folder in FOLDERS:
        if not leads_inside(root, folder):
            continue
        for here, _, names in os.walk(root / folder):
            inner = os.path.relpath(here, root).replace(os.sep, "/")
            found += (
                f"{inner}/{name}"
                for name in names
                # Folders behind links are not walked through, so only a file itself can lead elsewhere.
                if name.endswith(".sql")
                and (not os.path.islink(os.path.join(here, name)) or is_inside(root, f"{inner}/{name}"))
            )
    return tuple(sorted(found))


def is_inside(root: Path, file: str) -> bool:
    """Whether a file is there and a part of the project."""
    return (root / file).is_file() and leads_inside(root, file)


def _of_macros(file: str) -> bool:
    return file.startswith(f"{FOLDER}/")


def _text(project: Project, file: str) -> str:
    """A template with blanks in place of its comments, so that places stay what they are."""
    try:
        return _COMMENT.sub(_blank, read_sql(project.root / file, file))
    except ProjectError:
        return ""  # said already


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])
