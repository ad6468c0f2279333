"""Test files → :class:`ModelTest`, strictly: every fault of every file, each with its place, at once.

A file is ``tests/models/**/*.yml`` of a project and holds tests of one model. Nothing here starts Spark.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import cast

from runner.errors import Fault, Place, ProjectError, did_you_mean
from runner.load import in_order
from runner.load.keys import TABLE
from runner.load.nodes import Entries, Node, Unreadable, parse
from runner.load.paths import project_file
from runner.load.reader import At, Reader, Record
from runner.spec import Model, Project
from runner.testing import keys
from runner.testing.cells import WrongCell, cell
from runner.testing.expected import read_expect
from runner.testing.inputs import Inputs
from runner.testing.rows import RowReader
from runner.testing.spec import ModelTest, Step
from runner.testing.types import Type

FOLDER = Path("tests", "models")
Reload = Callable[[Mapping[str, object]], Project]


def find_files(root: Path) -> list[Path]:
    """The test files of a project, sorted."""
    folder = root / FOLDER
    return sorted([*folder.rglob("*.yml"), *folder.rglob("*.yaml")])


def load_tests(
    project: Project,
    reload: Reload,
    *,
    models: Collection[str] | None = None,
    files: Sequence[Path] | None = None,
) -> tuple[ModelTest, ...]:
    """The tests of ``models`` (ids; all without) in ``files`` (all of the project without).

    ``reload``: the project with variables of a test. ProjectError with all faults; those of files about
    other models are left out.
    """
    faults: list[Fault] = []
    tests: list[ModelTest] = []
    for path in find_files(project.root) if files is None else files:
        reading = _FileReading(project, reload, path)
        tests += reading.read(models)
        faults += reading.faults
    if faults:
        raise ProjectError(in_order(faults))
    return tuple(tests)


class _FileReading:
    """One reading of one file."""

    def __init__(self, project: Project, reload: Reload, path: Path) -> None:
        self.project, self.reload, self.path = project, reload, path
        self.file = path.relative_to(project.root).as_posix()
        self.faults: list[Fault] = []

    def read(self, models: Collection[str] | None) -> list[ModelTest]:
        node = self._root()
        if node is None:
            return []
        found = Reader(self.faults, None).read(node, keys.FILE, "test file")
        named = self._model(node)
        if models is not None and named is not None and named.id not in models:
            self.faults.clear()
            return []
        if found is None or named is None:
            return []
        record = cast(Record, found.value)
        tests: list[ModelTest] = []
        seen: dict[str, Place] = {}
        for at in record.many("tests"):
            test = cast(Record, at.value)
            if other := seen.get(test.text("name")):
                self._fault(
                    "duplicate-test",
                    test.place_of("name"),
                    f"two tests are named '{test.text('name')}'",
                    f"the first stands in line {other.line}, and a name says which one failed",
                    "rename one of them",
                )
            seen.setdefault(test.text("name"), test.place_of("name"))
            if made := self._test(record, test, named):
                tests.append(made)
        return tests

    def _root(self) -> Node | None:
        if fault := project_file(self.project.root, self.file, Place(self.file), suffix=self.path.suffix):
            self.faults.append(fault)
            return None
        try:
            return parse(self.path.read_bytes(), self.file, self.faults)
        except Unreadable as error:
            fault = error.fault
            if fault.code == "empty-file":
                why, fix = "every file of tests/models/ tests a model", "write a test, or remove the file"
                fault = Fault(fault.code, fault.place, fault.what, why, fix)
            self.faults.append(fault)
        except OSError as error:
            self._fault(
                "unreadable",
                Place(self.file),
                f"the file cannot be read: {error.strerror}",
                "every file of tests/models/ is read",
                "correct its permissions",
            )
        return None

    def _model(self, node: Node) -> Model | None:
        """The model under test, also where something else in the file is wrong."""
        quiet: list[Fault] = []
        written = node.get("model") if isinstance(node, Entries) else None
        at = Reader(quiet, None).read(written, TABLE, "model") if written is not None else None
        if at is None:
            return None
        name = str(at.value)
        for model in self.project.models:
            if name in (model.id, str(model.target.table)):
                return model
        self._fault(
            "unknown-model",
            at.place,
            f"no model makes '{name}'",
            "a test file names the table of the model that it tests",
            did_you_mean(name, {str(m.target.table) for m in self.project.models}),
        )
        return None

    def _test(self, file: Record, record: Record, named: Model) -> ModelTest | None:
        varied = self._with_vars(record) or self.project
        model = next((m for m in varied.models if m.id == named.id), named)
        rows = RowReader(self.project.root, self.faults)
        stepwise = len(record.many("steps")) > 1
        inputs = Inputs(varied, model, rows, file, stepwise=stepwise)
        self._shape(record)
        base = self._now(record, None)
        steps: list[Step] = []
        for number, at in enumerate(record.many("steps") or (At(record, record.place),)):
            step = cast(Record, at.value)
            given = inputs.read(step.named("given"), step.place, first=number == 0)
            if expect := step.record("expect"):
                wanted = read_expect(expect, step.place_of("expect"), model, rows)
                steps.append(Step(given, wanted, self._now(step, base)))
        existing = inputs.existing(record) if "existing" in record else ()
        if not steps:
            return None
        return ModelTest(
            name=record.text("name"),
            place=record.place_of("name"),
            project=varied,
            model=model,
            steps=tuple(steps),
            existing=existing,
            description=record.text("description"),
        )

    def _shape(self, record: Record) -> None:
        """A test is one run, with `given` and `expect`, or several `steps`."""
        written = record.key_places
        single = [key for key in ("given", "expect") if key in written]
        if "steps" in written and single:
            self._fault(
                "one-of",
                written[single[0]],
                f"the test has `steps` and `{single[0]}`",
                "a test is one run, or several",
                f"move `{single[0]}` into the first step",
            )
        elif "steps" not in written:
            for key, doc in (("given", "what the inputs hold"), ("expect", "what the run leaves behind")):
                guessed = [
                    did_you_mean(word, keys.TEST.keys) for word in written if word not in keys.TEST.keys
                ]
                # A misspelt key is one fault, not two.
                if key not in written and f"did you mean '{key}'?" not in guessed:
                    self._fault(
                        "missing-key",
                        record.place,
                        f"this test has no `{key}`",
                        f"it is needed: {doc}",
                        f"add `{key}:`",
                    )

    def _with_vars(self, record: Record) -> Project | None:
        given = {name: at.value for name, at in record.named("vars").items()}
        if not given:
            return self.project
        pipelines = self.project.pipelines
        declared = {name for p in pipelines for name in p.vars} | set(self.project.profile.vars)
        unknown = [name for name in given if name not in declared]
        for name in unknown:
            self._fault(
                "unknown-var",
                record.named("vars")[name].place,
                f"no pipeline and no profile declares a variable '{name}'",
                "a value that nothing reads is a typing error",
                did_you_mean(name, declared) or "declare it under `vars:` of a pipeline",
            )
        if unknown:
            return None
        try:
            return self.reload(given)
        except ProjectError as error:
            self._fault(
                "wrong-var",
                record.place_of("vars"),
                f"with these variables the project has faults: {error.faults[0].what}",
                f"a variable is used at {error.faults[0].place}",
                error.faults[0].fix,
            )
            return None

    def _now(self, record: Record, base: dt.datetime | None) -> dt.datetime | None:
        if "now" not in record:
            return base
        try:
            value = cell(cast(Node, record.get("now")), Type("timestamp", "timestamp"))
        except WrongCell as error:
            wrong = error.wrong
            self._fault(
                "wrong-value", error.place, f"`now`: {wrong.what}", "it is the run's clock", wrong.fix
            )
            return base
        return cast("dt.datetime | None", value)

    def _fault(self, code: str, place: Place, what: str, why: str, fix: str) -> None:
        self.faults.append(Fault(code, place, what, why, fix))


def reloading(load: Reload) -> Reload:
    """The same, each set of variables once."""
    known: dict[str, Project] = {}

    def reload(given: Mapping[str, object]) -> Project:
        name = json.dumps(given, sort_keys=True, default=str)
        if name not in known:
            known[name] = load(given)
        return known[name]

    return reload


def find_model(project: Project, name: str) -> Model:
    """The model of that table or id; ProjectError with what was meant."""
    for model in project.models:
        if name in (model.id, str(model.target.table), model.name):
            return model
    known = {str(m.target.table) for m in project.models}
    raise ProjectError(
        (
            Fault(
                "unknown-model",
                None,
                f"no model makes '{name}'",
                "a model is named by its table",
                did_you_mean(name, known),
            ),
        )
    )
