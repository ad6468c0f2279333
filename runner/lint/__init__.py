"""What is wrong with a project, and what is merely doubtful, without Spark.

In: a project as far as it could be read. Out: findings, each with its level, in order of place: the faults
that every run refuses, and those of the rules that lint alone looks for (``rules.toml``), but what a comment
silences with a reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from runner.errors import Fault, ProjectError
from runner.findings import ERROR, Finding, Report
from runner.lineage import Checked, check_model
from runner.lint.documentation import documentation_faults
from runner.lint.look import look
from runner.lint.query import query_faults
from runner.lint.reading import reading_faults
from runner.lint.rules import rules
from runner.lint.silence import Silences, silences_of_sql, silences_of_yaml, useless
from runner.lint.unused import files_of, is_inside, sql_files, unused_faults
from runner.load import Loaded, in_order
from runner.macros import load_macros, read_sql
from runner.spec import Model, Project

__all__ = ["doubts_of", "judged", "lint"]


def lint(loaded: Loaded, models: Sequence[Model], *, whole: bool) -> Report:
    """Look at ``models``; ``whole``: they are all of the project, so that what nothing uses can be told."""
    project, broken = loaded.project, loaded.broken
    errors = list(loaded.faults)
    doubts: list[Fault] = []
    try:
        macros = load_macros(project.root)
    except ProjectError as error:
        errors += error.faults
    else:
        for model in models:
            if model.id in broken:
                continue
            checked = check_model(model, project, macros, broken)
            errors += checked.faults
            if not checked.faults:
                doubts += doubts_of(model, project, checked, broken)
    return judged(loaded.project, models, in_order(errors), doubts, whole=whole)


def doubts_of(model: Model, project: Project, checked: Checked, broken: Collection[str] = ()) -> list[Fault]:
    """What the rules say of one sound model, silenced or not."""
    doubts = list(documentation_faults(model))
    if at := look(model, project, checked, broken):
        doubts += query_faults(at)
        doubts += reading_faults(at)
    return doubts


def judged(
    project: Project,
    models: Sequence[Model],
    errors: Sequence[Fault],
    doubts: Sequence[Fault],
    *,
    whole: bool,
) -> Report:
    """The report: ``errors``, and ``doubts`` about sound models as far as nothing silences them."""
    specs = dict(_specs(project, models))
    files = sql_files(project.root) if whole else ()
    doubts = list(doubts)
    if whole and not errors:
        doubts += unused_faults(project, specs, files)
    silences = _silences(project, models, specs, files)
    kept, used = silences.kept(doubts)
    found = [*errors, *kept, *silences.faults]
    if whole and not errors:
        # Only here has every rule looked at every line.
        found += [useless(silence) for silence in silences.found if silence not in used]
    return Report(tuple(Finding(fault, _level(fault)) for fault in in_order(found)), len(models))


def _level(fault: Fault) -> str:
    rule = rules().get(fault.code)
    return rule.level if rule else ERROR


def _specs(project: Project, models: Iterable[Model]) -> Iterator[tuple[str, str]]:
    """The text of the specs that declare ``models``, by file."""
    for file in dict.fromkeys(model.place.file for model in models):
        yield file, (project.root / file).read_text(encoding="utf-8-sig")


def _silences(
    project: Project, models: Iterable[Model], specs: Mapping[str, str], files: Sequence[str]
) -> Silences:
    found = Silences()
    for file, text in specs.items():
        found += silences_of_yaml(text, file)
    of_models = [file for model in models for file in files_of(model)]
    listed = set(files)
    for file in dict.fromkeys([*of_models, *files]):
        if file not in listed and not is_inside(project.root, file):
            continue
        try:
            found += silences_of_sql(read_sql(project.root / file, file), file)
        except ProjectError:
            continue  # the model says what is wrong with its file
    return found
