"""Rules of the whole project: what is declared or written and named by nothing.

A use is looked for by its name in the text; whatever could be one counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from runner.errors import Fault, Place, ProjectError
from runner.lint.look import said
from runner.macros import FOLDER, load_macros, place_of_macro, read_sql
from runner.spec import CheckKind, Model, Project

_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)


def unused_faults(project: Project, specs: Mapping[str, str]) -> Iterator[Fault]:
    """``specs``: the text of each pipeline's file, by its path."""
    texts = {file: _text(project, file) for model in project.models for file in files_of(model)}
    yield from _macros(project, texts)
    yield from _vars(project, texts, specs)
    yield from _files(project, set(texts))


def files_of(model: Model) -> tuple[str, ...]:
    """The .sql files that a model is made of, by their paths in the project."""
    checks = [str(c.args["path"]) for c in model.table_checks if c.kind is CheckKind.SQL]
    return (model.sql, *dict.fromkeys(checks))


def _macros(project: Project, texts: Mapping[str, str]) -> Iterator[Fault]:
    macros = load_macros(project.root)
    words = [word for text in texts.values() for word in re.findall(r"\w+", text)]
    for file in macros.files:
        words += re.findall(r"\w+", re.sub(r"macro\s+\w+", "", _COMMENT.sub("", file.source)))
    used = set(words)
    for file in macros.files:
        for name in file.names:
            if name not in used:
                yield said("unused-macro", place_of_macro(file, name), f"nothing uses the macro '{name}'")


def _vars(project: Project, texts: Mapping[str, str], specs: Mapping[str, str]) -> Iterator[Fault]:
    shared = [file.source for file in load_macros(project.root).files]
    for pipeline in project.pipelines:
        written = [texts[file] for model in pipeline.models for file in files_of(model)]
        written += [*shared, specs.get(pipeline.place.file, "")]
        if any(
            re.search(r"\bvar\b(?!\s*\(\s*['\"][^'\"]*['\"]\s*\))", _COMMENT.sub("", text))
            for text in written[:-1]
        ):
            continue  # the name of a variable is computed somewhere
        for name, place in pipeline.var_places.items():
            if not any(re.search(rf"['\"]{re.escape(name)}['\"]", text) for text in written):
                yield said(
                    "unused-var",
                    place,
                    f"nothing in the pipeline '{pipeline.name}' uses the variable '{name}'",
                )


def sql_files(root: Path) -> Iterator[str]:
    """Every .sql file where models, macros and checks have theirs."""
    for folder in ("sql", "expectations"):
        for path in sorted((root / folder).rglob("*.sql")):
            yield path.relative_to(root).as_posix()


def _files(project: Project, known: set[str]) -> Iterator[Fault]:
    for file in sql_files(project.root):
        if file not in known and not file.startswith(f"{FOLDER}/"):
            yield said("unused-file", Place(file, 1, 1), f"no model and no check names '{file}'")


def _text(project: Project, file: str) -> str:
    try:
        return _COMMENT.sub("", read_sql(project.root / file, file))
    except ProjectError:
        return ""
