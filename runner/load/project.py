"""Files → :class:`Project`: every file is read, every fault is found, then they are raised together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runner.errors import Fault, Place, ProjectError, did_you_mean
from runner.forks import spread
from runner.load import keys
from runner.load.build import build_model, build_profile, build_variables
from runner.load.cross import project_faults
from runner.load.nodes import Entries, Items, Node, Scalar, Unreadable, parse
from runner.load.paths import project_file
from runner.load.reader import At, Reader, Record
from runner.load.rules import model_faults, other_targets
from runner.refs import TableRef
from runner.spec import CheckKind, Model, Pipeline, Profile, Project

PROFILES_FILE = "profiles.yml"
#: Fewer take less time than a process more.
_FILES_A_PROCESS = 4
_HARMLESS = ("description", "owner", "tags", "on_change", "late", "checks", "expectations")


@dataclass(frozen=True)
class Loaded:
    """A project as far as it could be read. ``broken``: ids of models with faults of their own."""

    project: Project
    faults: tuple[Fault, ...]
    broken: frozenset[str]


def load_project(
    root: Path,
    *,
    target: str | None = None,
    overrides: Mapping[str, object] | None = None,
    lake: Path | None = None,
) -> Project:
    """The project in ``root``; ProjectError with all faults of all files, in order of place.

    ``target`` picks a profile, ``overrides`` are variables of the command line, and ``lake`` takes the
    place of the profile's warehouse.
    """
    loaded = read_project(root, target=target, overrides=overrides, lake=lake)
    if loaded.faults:
        raise ProjectError(loaded.faults)
    return loaded.project


def read_project(
    root: Path,
    *,
    target: str | None = None,
    overrides: Mapping[str, object] | None = None,
    lake: Path | None = None,
) -> Loaded:
    """What can be read of the project in ``root``, and everything that is wrong with it."""
    return _Loading(root, dict(overrides or {})).load(target, lake)


def in_order(faults: list[Fault]) -> tuple[Fault, ...]:
    """Each fault once, by file, line and column; those without a place first."""
    return tuple(sorted(dict.fromkeys(faults), key=lambda f: (f.place or Place(""), f.code)))


@dataclass(frozen=True)
class _Part:
    """What was read of some pipeline files."""

    pipelines: list[Pipeline]
    faults: list[Fault]
    declared: set[str]
    broken: set[str]
    unread: list[TableRef]


class _Loading:
    """One reading of one project: the files, and the faults found on the way."""

    def __init__(
        self, root: Path, overrides: dict[str, object], targets: frozenset[str] = frozenset()
    ) -> None:
        self.root = root
        self.overrides = overrides
        self.targets = targets  # of profiles.yml
        self.faults: list[Fault] = []
        self.declared: set[str] = set()
        self.broken: set[str] = set()
        self.unread: list[TableRef] = []

    def load(self, target: str | None, lake: Path | None) -> Loaded:
        profile = self._profile(target, lake)
        pipelines: list[Pipeline] = []
        for part in spread(lambda paths: self._read(paths, profile), self._files(), least=_FILES_A_PROCESS):
            pipelines += part.pipelines
            self.faults += part.faults
            self.declared |= part.declared
            self.broken |= part.broken
            self.unread += part.unread
        for fault, models in project_faults(pipelines, self.unread):
            self.faults.append(fault)
            self.broken |= {model.id for model in models}
        for name in self.overrides:
            if name not in self.declared:
                self.faults.append(
                    Fault(
                        "unknown-var",
                        None,
                        f"--vars: no pipeline and no profile declares a variable '{name}'",
                        "a value that nothing reads is a typing error",
                        did_you_mean(name, self.declared) or "declare it under `vars:` of a pipeline",
                    )
                )
        return Loaded(
            Project(self.root, tuple(pipelines), profile), in_order(self.faults), frozenset(self.broken)
        )

    def _read(self, paths: Sequence[Path], profile: Profile) -> _Part:
        """The pipelines of some files, each read on its own."""
        pipelines = []
        faults: list[Fault] = []
        inner = _Loading(self.root, self.overrides, self.targets)
        for path in paths:
            inner.faults = []
            if found := inner._pipeline(path, profile):
                pipelines.append(found)
            faults += inner.faults
        return _Part(pipelines, faults, inner.declared, inner.broken, inner.unread)

    def _files(self) -> list[Path]:
        folder = self.root / "pipelines"
        found = sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")])
        if not found:
            self.faults.append(
                Fault(
                    "no-pipelines",
                    Place("pipelines"),
                    "there is no pipeline" if folder.is_dir() else "there is no folder 'pipelines'",
                    f"a pipeline is one file pipelines/NAME.yml in {self.root}",
                    "write the first one, or change to the project's folder",
                )
            )
        return found

    def _root_node(self, path: Path) -> Node | None:
        file = path.relative_to(self.root).as_posix()
        if fault := project_file(self.root, file, Place(file), suffix=path.suffix):
            self.faults.append(fault)
            return None
        try:
            return parse(path.read_bytes(), file, self.faults)
        except Unreadable as error:
            self.faults.append(error.fault)
        except OSError as error:
            self.faults.append(
                Fault(
                    "unreadable",
                    Place(file),
                    f"the file cannot be read: {error.strerror}",
                    "every file of pipelines/ is read",
                    "correct its permissions",
                )
            )
        return None

    def _profile(self, target: str | None, lake: Path | None) -> Profile:
        path = self.root / PROFILES_FILE
        place = Place(PROFILES_FILE)
        profiles: Mapping[str, At] = {}
        name = target or "local"
        if path.exists() and (node := self._root_node(path)):
            # Which variables a value may use depends on the target, and the target is in this file.
            chosen = target or _scalar(node, "default")
            # Other targets are read, too, and their values may name variables of their own.
            others = _find(node, "targets")
            every = [of for _, of in others.entries] if isinstance(others, Entries) else []
            theirs = {name: value for of in every for name, value in _variables(of).items()}
            given = {**theirs, **_variables(_find(node, "targets", chosen)), **self.overrides}
            if found := Reader(self.faults, given).read(node, keys.PROFILES, "profiles"):
                assert isinstance(found.value, Record)
                profiles = found.value.named("targets")
                self.targets = frozenset(profiles)
                name = target or found.value.text("default")
                place = found.value.place_of("default" if not target else "targets")
        if profiles and name in profiles:
            record = profiles[name].value
            assert isinstance(record, Record)
            variables = build_variables(record)
            self.declared |= set(variables)
            return self._located(build_profile(name, record, variables), lake)
        if profiles or target:
            said = "--target" if target else "`default`"
            self.faults.append(
                Fault(
                    "unknown-target",
                    place,
                    f"{said}: there is no target '{name}'",
                    f"targets are declared in {PROFILES_FILE}",
                    did_you_mean(name, profiles) if profiles else f"declare it in {PROFILES_FILE}",
                )
            )
        return self._located(Profile(name, place), lake)

    def _located(self, profile: Profile, lake: Path | None) -> Profile:
        warehouse = str(lake.absolute()) if lake else profile.warehouse
        if profile.type == "local" and "://" not in warehouse:
            warehouse = str(self.root / Path(warehouse).expanduser())
        return replace(profile, warehouse=warehouse)

    def _pipeline(self, path: Path, profile: Profile) -> Pipeline | None:
        node = self._root_node(path)
        if node is None:
            return None
        declared = _variables(_child(node, "vars"), inside=True)
        self.declared |= set(declared)
        variables = {**declared, **profile.vars, **self.overrides}
        before = len(self.faults)
        found = Reader(self.faults, variables).read(node, keys.PIPELINE, "pipeline")
        faulty = [fault.place for fault in self.faults[before:] if fault.place]
        if found is None:
            return None
        record = found.value
        assert isinstance(record, Record)
        name = record.text("pipeline")
        if name != path.stem:
            self.faults.append(
                Fault(
                    "pipeline-name",
                    record.place_of("pipeline"),
                    f"the file of the pipeline '{name}' is named {path.name}",
                    "a pipeline is found by its file's name",
                    f"rename one of them: pipelines/{name}.yml, or pipeline: {path.stem}",
                )
            )
        models = tuple(self._model(at, name, variables, profile.name) for at in record.many("models"))
        self._mark_broken(node, models, faulty)
        return Pipeline(
            name=name,
            place=record.place_of("pipeline"),
            models=models,
            description=record.text("description"),
            schedule=record.text("schedule"),
            vars=declared,
            var_places={name: at.place for name, at in record.named("vars").items()},
        )

    def _model(self, at: At, pipeline: str, variables: Mapping[str, object], profile: str) -> Model:
        record = at.value
        assert isinstance(record, Record)
        model = build_model(record, pipeline=pipeline, variables=variables, profile=profile)
        found = [*model_faults(model, record, profile), *other_targets(record, self.targets)]
        missing = project_file(self.root, model.sql, record.place_of("sql"), suffix=".sql")
        if missing:
            found.append(missing)
        for check in model.table_checks:
            if check.kind is CheckKind.SQL:
                wrong = project_file(
                    self.root, str(check.args["path"]), check.place_of("path"), suffix=".sql"
                )
                found += [wrong] if wrong else []
        if found:
            self.broken.add(model.id)
        self.faults += found
        return model

    def _mark_broken(self, node: Node, models: tuple[Model, ...], faulty: list[Place]) -> None:
        """Models whose YAML has a fault, and tables of those that could not be translated at all."""
        entries = _child(node, "models")
        items = entries.items if isinstance(entries, Items) else ()
        starts = [item.place for item in items]
        by_table = {model.target.place: model for model in models}
        for i, item in enumerate(items):
            end = starts[i + 1] if i + 1 < len(starts) else Place(item.place.file, 1 << 30)
            target = _child(item, "target")
            table = _child(target, "table") if target else None
            model = by_table.get(table.place) if table else None
            if model is None:
                if isinstance(table, Scalar) and table.text.count(".") == 1:
                    self.unread.append(TableRef(*table.text.split(".")))
            elif any(item.place <= place < end and not _harmless(item, place) for place in faulty):
                self.broken.add(model.id)


def _harmless(item: Node, place: Place) -> bool:
    """Whether a fault stands in a key that no SQL depends on."""
    if not isinstance(item, Entries):
        return False
    names = [key.text for key, _ in item.entries if key.place <= place]
    if not names:
        return False
    hint = did_you_mean(names[-1], keys.MODEL.keys)
    return any(names[-1] == key or hint == f"did you mean '{key}'?" for key in _HARMLESS)


def _child(node: Node | None, key: str) -> Node | None:
    return node.get(key) if isinstance(node, Entries) else None


def _find(node: Node | None, *path: str) -> Node | None:
    for key in path:
        node = _child(node, key)
    return node


def _scalar(node: Node, key: str) -> str:
    found = _child(node, key)
    return found.text if isinstance(found, Scalar) else ""


def _variables(node: Node | None, *, inside: bool = False) -> dict[str, object]:
    """The values under ``vars`` ahead of the reading that checks them; faults are left to it."""
    found = node if inside else _child(node, "vars")
    if not isinstance(found, Entries):
        return {}
    quiet: list[Fault] = []
    read = Reader(quiet, None).read(found, keys.Named(keys.Free()), "vars")
    if read is None:
        return {}
    assert isinstance(read.value, dict)
    return {name: at.value for name, at in read.value.items()}
