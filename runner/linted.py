"""What lint says of the selected models, found again while nothing that it depends on has changed.

In: a project's folder and what the command line says of it. Out: :class:`runner.findings.Report`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.answers import Answers, Inputs
from runner.compiled import inputs, of_disk
from runner.errors import ProjectError
from runner.findings import Report, report

if TYPE_CHECKING:
    from runner.load import Loaded
    from runner.spec import Model, Project


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
        return _look(read(), choose, narrowed=narrowed)
    with Answers(root, "lint") as answers:
        if (found := answers.find(question)) is not None:
            return report(found)
        answers.begin()
        loaded = read()
        said = _look(loaded, choose, narrowed=narrowed)
        if not any(of_disk(finding.fault) for finding in said.findings):
            answers.keep(question, said.plain(), _inputs(loaded.project))
        return said


def _look(loaded: Loaded, choose: Callable[[Project], Sequence[Model]], *, narrowed: bool) -> Report:
    from runner.lint import lint

    if any(fault.place is None or fault.place.file == "profiles.yml" for fault in loaded.faults):
        raise ProjectError(loaded.faults)
    models = loaded.project.models if loaded.faults else choose(loaded.project)
    return lint(loaded, models, whole=not loaded.faults and not narrowed)


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
