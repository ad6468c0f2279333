"""The SQL of the selected models, or all that is wrong with them: what ``compile`` tells.

In: a project's folder and what the command line says of it. Out: :class:`Compiled`. What was found out before
is found again without a look at YAML, Jinja or SQL; where something changed, only models that it reaches are
rendered and checked again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.answers import Answers, Inputs
from runner.errors import Fault, ProjectError
from runner.findings import fault, plain
from runner.manifest_file import Description

if TYPE_CHECKING:
    from runner.load import Loaded
    from runner.refs import TableRef
    from runner.spec import Model, Project

_OF_DISK = frozenset(("missing-file", "no-pipelines", "not-a-file", "path-escape", "unreadable"))
#: Fewer take less time than a process more.
MODELS_A_PROCESS = 100


class Compiled(NamedTuple):
    """One model: ``text`` is its SQL; ``key`` stands for all that the rest depends on, soundness included."""

    pipeline: str
    name: str
    key: str
    text: str
    fingerprint: str
    checksum: str

    @property
    def id(self) -> str:
        return f"{self.pipeline}.{self.name}"


def of_disk(fault: Fault) -> bool:
    """Whether a fault tells what is on disk beside the files that are read: it is looked for each time."""
    return fault.code in _OF_DISK


@dataclass(frozen=True)
class Answer:
    """The selected models; of the whole project its description, too, where that was asked for."""

    models: tuple[Compiled, ...]
    described: Description | None


def compiled(
    root: Path,
    question: object,
    read: Callable[[], Loaded],
    choose: Callable[[Project], Sequence[Model]],
    *,
    describe: bool = False,
    keep: bool = True,
) -> Answer:
    """The models that ``choose`` names, in its order; ProjectError with all faults at once.

    ``question``: what ``read`` and ``choose`` do, as plain data; ``describe``: whether the project's
    description is wanted; ``keep``: whether answers are kept and used.
    """
    if not keep:
        return _look(read(), choose, {})
    with Answers(root) as answers:
        if (found := answers.find(question)) is not None:
            text = answers.text(question) if describe and found.get("target") else ""
            if text is not None:
                return _given(found, text)
        answers.begin()
        loaded = read()
        last = answers.last(question) or {}
        known = {model.key: model for model in _listed(last)}
        try:
            answer = _look(loaded, choose, known)
        except ProjectError as error:
            if not any(of_disk(f) for f in error.faults):
                answers.keep(question, {"faults": [plain(f) for f in error.faults]}, inputs(loaded.project))
            raise
        keep_answer(answers, question, answer, loaded.project)
        return answer


def keep_answer(answers: Answers, question: object, answer: Answer, project: Project) -> None:
    """Keep what was found out of a sound project."""
    target, text = answer.described or (None, "")
    answers.keep(question, {"models": answer.models, "target": target}, inputs(project), text=text)


def answer_of(project: Project, models: Sequence[Compiled]) -> Answer:
    """The answer of ``models``, with the project's description where they are all of it."""
    from runner.manifest import Entry, describe

    if len(models) < len(project.models):
        return Answer(tuple(models), None)
    entries = {model.id: Entry(model.text, model.fingerprint, model.checksum) for model in models}
    return Answer(tuple(models), describe(project, entries))


def _given(found: Mapping[str, Any], text: str) -> Answer:
    if "faults" in found:
        raise ProjectError(tuple(fault(*values) for values in found["faults"]))
    return Answer(_listed(found), Description(found["target"], text) if text else None)


def _listed(found: Mapping[str, Any]) -> tuple[Compiled, ...]:
    return tuple(Compiled(*values) for values in found.get("models", ()))


def _look(
    loaded: Loaded, choose: Callable[[Project], Sequence[Model]], known: Mapping[str, Compiled]
) -> Answer:
    from runner.forks import spread
    from runner.lineage import compile_project
    from runner.load import in_order

    project = loaded.project
    if loaded.faults:
        compile_project(project, faults=loaded.faults, broken=loaded.broken)
    models = choose(project)
    found: list[Compiled] = []
    faults: list[Fault] = []
    keys = Keys(project)
    for part in spread(lambda some: _part(keys, some, known), models, least=MODELS_A_PROCESS):
        found += part[0]
        faults += part[1]
    if faults:
        raise ProjectError(in_order(faults))
    return answer_of(project, found)


def _part(
    keys: Keys, models: Sequence[Model], known: Mapping[str, Compiled]
) -> tuple[list[Compiled], list[Fault]]:
    """Some of the models, or their faults."""
    from runner.lineage import compile_project
    from runner.manifest import entry

    found: list[Compiled] = []
    faults: list[Fault] = []
    # Some at a time: statements in parts take much more memory than their texts.
    for start in range(0, len(models), MODELS_A_PROCESS):
        some = models[start : start + MODELS_A_PROCESS]
        key = {model.id: keys.of(model) for model in some}
        try:
            rendered = compile_project(keys.project, [m for m in some if key[m.id] not in known])
        except ProjectError as error:
            faults += error.faults
            continue
        found += (
            Compiled(m.pipeline, m.name, key[m.id], *entry(m, rendered[m.id]))
            if m.id in rendered
            else known[key[m.id]]
            for m in some
        )
    return found, faults


class Keys:
    """What stands for a model: its declaration, its files, the macros, and the tables that it reads."""

    def __init__(self, project: Project) -> None:
        from runner.macros import FOLDER

        self.project = project
        macros = sorted((project.root / FOLDER).glob("*.sql"))
        self._shared = _digest(repr([(path.name, _content(path)) for path in macros]))
        self._targets: dict[str, str] = {}

    def of(self, model: Model) -> str:
        """The key of a model; lint's rules look at the tables of its checks, too."""
        from runner.lineage.columns import source_columns
        from runner.spec import TableInput

        tables = [s.origin.table for s in model.sources if isinstance(s.origin, TableInput)]
        read = [self._target(table) for table in tables]
        looked_into = [self._target(table) for _, table in model.references]
        files = [(path, _content(self.project.root / path)) for path in _sql_of(model)]
        columns = None if len(read) == len(model.sources) else source_columns(model, self.project)
        return _digest(repr((self._shared, model, read, looked_into, files, columns)))

    def _target(self, table: TableRef) -> str:
        """What is declared of a table; of those that nobody here writes nothing."""
        if (maker := self.project.producer(table)) is None:
            return ""
        if maker.id not in self._targets:
            self._targets[maker.id] = _digest(repr(maker.target))
        return self._targets[maker.id]


def _sql_of(model: Model) -> list[str]:
    from runner.spec import CheckKind

    of_checks = [str(c.args["path"]) for c in model.table_checks if c.kind is CheckKind.SQL]
    return [model.sql, *of_checks]


def inputs(project: Project) -> Inputs:
    """Every file that reading and checking the project looks at."""
    from runner.load.project import PROFILES_FILE
    from runner.macros import FOLDER
    from runner.spec import FilesInput

    root = project.root
    named = {path for model in project.models for path in _sql_of(model)}
    pipelines = [p for p in (root / "pipelines").iterdir() if p.suffix in (".yml", ".yaml")]
    macros = list((root / FOLDER).glob("*.sql"))
    listed = {path.relative_to(root).as_posix() for path in (*pipelines, *macros)}
    there = [name for name in (PROFILES_FILE, FOLDER) if (root / name).exists()]
    origins = [source.origin for model in project.models for source in model.sources]
    return Inputs(
        files=sorted({*named, *listed, *(name for name in there if name == PROFILES_FILE)}),
        folders=["pipelines", *(name for name in there if name == FOLDER)],
        absent=[name for name in (PROFILES_FILE, FOLDER) if name not in there],
        csv=sorted({o.path for o in origins if isinstance(o, FilesInput) and o.format == "csv"}),
    )


def _content(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return str(error)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
