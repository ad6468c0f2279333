"""The pytest plugin: every test of ``tests/models/**/*.yml`` is an item, and ``run_model`` runs a model.

A failing item shows what ``runner test`` shows, in place of a traceback. All of them share one Spark session,
which starts when the first one needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from runner.spec import Project
    from runner.testing.conduct import Conductor
    from runner.testing.session import Session
    from runner.testing.spec import ModelTest

_SESSION = pytest.StashKey["Session"]()
_JARS = "medallion_jars"
_CONDUCTOR = pytest.StashKey["Conductor"]()
_PROJECTS = pytest.StashKey["dict[Path, Project]"]()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A file of tests of a model: below ``tests/models/`` of a project."""
    if file_path.suffix not in (".yml", ".yaml"):
        return None
    root = _root(file_path)
    return TestFile.from_parent(parent, path=file_path, root=root) if root else None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(_JARS, "groups of jars of the Spark session beside the lake's: kafka", "args", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker by which `-m` tells these tests from others."""
    config.addinivalue_line("markers", "model: a test of a model from tests/models/, on Spark")


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the session, where one was started here."""
    if session := config.stash.get(_SESSION, None):
        session.stop()


class TestFile(pytest.File):
    """The tests of one model."""

    __test__ = False

    def __init__(self, *, root: Path, **given: Any) -> None:
        super().__init__(**given)
        self.root = root

    def collect(self) -> Iterator[pytest.Item]:
        from runner.errors import ProjectError
        from runner.load import load_project
        from runner.testing.load import load_tests, reloading

        try:
            project = _project(self.config, self.root)
            reload = reloading(lambda given: load_project(self.root, overrides=given))
            tests = load_tests(project, reload, files=[self.path])
        except ProjectError as error:
            raise self.CollectError(str(error)) from None
        for test in tests:
            yield ModelItem.from_parent(self, name=test.name, test=test)


class ModelItem(pytest.Item):
    """One test of a model."""

    def __init__(self, *, test: ModelTest, **given: Any) -> None:
        super().__init__(**given)
        self.test = test
        self.add_marker("model")

    def runtest(self) -> None:
        outcome = _conductor(self.config).run(self.test)
        if not outcome.passed:
            raise Failed("\n".join(outcome.lines))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, Failed):
            return f"{self.test.place}: {self.test.id}\n{excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.test.place.line - 1, self.test.id


class Failed(Exception):
    """A test of a model failed; the message tells how."""


@pytest.fixture(scope="session")
def medallion_spark(request: pytest.FixtureRequest) -> SparkSession:
    """The Spark session that all tests of models share."""
    return _session(request.config).get()


@pytest.fixture(scope="session")
def medallion_root(request: pytest.FixtureRequest) -> Path:
    """The project's folder; a project that lies elsewhere overrides this fixture."""
    from runner.root import find_root

    return find_root(request.config.rootpath) or request.config.rootpath


@pytest.fixture
def run_model(
    request: pytest.FixtureRequest, medallion_root: Path, tmp_path: Path
) -> Iterator[Callable[..., Any]]:
    """``run_model("gold.hourly_stats", {"events": rows_or_dataframe})`` runs a model on a lake of its own;
    ``target`` and ``quarantined`` of what it gives are DataFrames."""
    from runner.load import load_project
    from runner.testing.frames import Frames

    frames = Frames(
        _conductor(request.config),
        _project(request.config, medallion_root),
        lambda given: load_project(medallion_root, overrides=given),
        tmp_path,
    )
    yield frames.run_model
    frames.close()


def _root(path: Path) -> Path | None:
    """The project whose ``tests/models/`` a file lies in."""
    for folder in path.parents:
        if (folder / "pipelines").is_dir() and path.is_relative_to(folder / "tests" / "models"):
            return folder
    return None


def _project(config: pytest.Config, root: Path) -> Project:
    from runner.load import load_project

    known = config.stash.setdefault(_PROJECTS, {})
    if root not in known:
        known[root] = load_project(root)
    return known[root]


def _session(config: pytest.Config) -> Session:
    from runner.testing.session import Session, starter

    if _SESSION not in config.stash:
        log_file = config.rootpath / "target" / "logs" / "tests.log"
        config.stash[_SESSION] = Session(starter({}, log_file, groups=config.getini(_JARS)))
    return config.stash[_SESSION]


def _conductor(config: pytest.Config) -> Conductor:
    from runner.testing.conduct import Conductor

    if _CONDUCTOR not in config.stash:
        config.stash[_CONDUCTOR] = Conductor(_session(config))
    return config.stash[_CONDUCTOR]
