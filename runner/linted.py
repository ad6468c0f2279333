"""What lint says of the selected models, found again while nothing that it depends on has changed.

In: a project's folder and what the command line says of it. Out: :class:`runner.findings.Report`. Where
something changed, only models that it reaches are looked at again. What compiling finds out is kept as well.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.answers import Answers, Inputs
from runner.compiled import MODELS_A_PROCESS, Compiled, Keys, answer_of, inputs, keep_answer, of_disk
from runner.errors import ProjectError
from runner.findings import Report, fault, plain, report

if TYPE_CHECKING:
    from runner.load import Loaded
    from runner.macros import Macros
    from runner.spec import Model, Project


class Linted(NamedTuple):
    """One model: ``compiled`` where it is sound; ``errors`` and ``doubts``: faults as plain values.

    ``key`` stands for all that the rest depends on.
    """

    key: str
    compiled: Compiled | None
    errors: list[list[Any]]
    doubts: list[list[Any]]


def linted(
    root: Path,
    question: object,
    read: Callable[[], Loaded],
    choose: Callable[[Project], Sequence[Model]],
    *,
    narrowed: bool,
    keep: bool,
) -> Report:
    """The report on the models that ``choose`` names; ``narrowed``: they are not all that there are.

    ``question``: what ``read`` and ``choose`` do, as plain data; ``keep``: whether answers are kept and used.
    ProjectError where the command line or the profile is wrong: that comes before any model.
    """
    if not keep:
        return _look(read(), choose, {}, narrowed=narrowed)[0]
    with Answers(root, "lint") as answers, Answers(root) as of_compiling:
        if (found := answers.find(question)) is not None:
            return report(found)
        answers.begin()
        of_compiling.begin()
        loaded = read()
        known = {model.key: model for model in _listed(answers.last_text(question))}
        said, models = _look(loaded, choose, known, narrowed=narrowed)
        if not any(of_disk(finding.fault) for finding in said.findings):
            answers.keep(question, said.plain(), _inputs(loaded.project), text=json.dumps(models))
        sound = [model.compiled for model in models if model.compiled]
        if sound and len(sound) == len(models):
            keep_answer(of_compiling, question, answer_of(loaded.project, sound), loaded.project)
        return said


def _listed(text: str) -> Iterator[Linted]:
    for key, compiled, errors, doubts in json.loads(text) if text else ():
        yield Linted(key, Compiled(*compiled) if compiled else None, errors, doubts)


def _look(
    loaded: Loaded,
    choose: Callable[[Project], Sequence[Model]],
    known: Mapping[str, Linted],
    *,
    narrowed: bool,
) -> tuple[Report, list[Linted]]:
    from runner.forks import spread
    from runner.lint import judged, lint
    from runner.load import in_order

    if any(fault.place is None or fault.place.file == "profiles.yml" for fault in loaded.faults):
        raise ProjectError(loaded.faults)
    project = loaded.project
    if loaded.faults:
        return lint(loaded, project.models, whole=False), []
    models = choose(project)
    keys = Keys(project)
    parts = spread(lambda some: _part(keys, some, known), models, least=MODELS_A_PROCESS)
    found = [model for part in parts for model in part]
    errors = in_order([fault(*values) for model in found for values in model.errors])
    doubts = [fault(*values) for model in found for values in model.doubts]
    return judged(project, models, errors, doubts, whole=not narrowed), found


def _part(keys: Keys, models: Sequence[Model], known: Mapping[str, Linted]) -> list[Linted]:
    """Some of the models. One at a time: statements in parts take much more memory than their texts."""
    from runner.macros import load_macros

    try:
        macros = load_macros(keys.project.root)
    except ProjectError as error:
        return [Linted(keys.of(model), None, [plain(one) for one in error.faults], []) for model in models]
    found: list[Linted] = []
    for model in models:
        key = keys.of(model)
        found.append(known[key] if key in known else _fresh(key, keys.project, model, macros))
    return found


def _fresh(key: str, project: Project, model: Model, macros: Macros) -> Linted:
    from runner.lineage import check_model
    from runner.lint import doubts_of
    from runner.load import in_order
    from runner.manifest import entry

    checked = check_model(model, project, macros)
    if checked.faults or checked.rendered is None:
        return Linted(key, None, [plain(one) for one in in_order(checked.faults)], [])
    made = Compiled(model.pipeline, model.name, key, *entry(model, checked.rendered))
    return Linted(key, made, [], [plain(one) for one in doubts_of(model, project, checked)])


def _inputs(project: Project) -> Inputs:
    """What compiling looks at, and every file that nothing may use."""
    from runner.lint.unused import FOLDERS, sql_files

    found = inputs(project)
    files = {*found.files, *sql_files(project.root)}
    folders = {*found.folders}
    for name in FOLDERS:
        for folder, _, _ in os.walk(project.root / name):
            folders.add(Path(folder).relative_to(project.root).as_posix())
    absent = {*found.absent, *(name for name in FOLDERS if name not in folders)}
    return replace(found, files=sorted(files), folders=sorted(folders), absent=sorted(absent - folders))
