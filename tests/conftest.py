"""What all tests share: one Spark session for those that ask for it, in a tier of their own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.lineage import compile_project
from runner.load import load_project
from runner.render import Rendered
from tests.desk import Desk
from tests.projects import MERGE, write
from tests.world import SPEC, World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parent.parent

# Declared, so that it is there without an installation as well.
pytest_plugins = ["runner.testing.plugin"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tier follows from what a test uses, so nobody can forget the marker."""
    for item in items:
        used = set(getattr(item, "fixturenames", ()))
        if used & {"spark", "run_model"} or item.get_closest_marker("model"):
            item.add_marker(pytest.mark.spark)
        if "broker" in used:
            item.add_marker(pytest.mark.kafka)


@pytest.fixture(scope="session")
def spark(medallion_spark: SparkSession) -> SparkSession:
    """The session of the whole test run. A test takes its own by ``spark.newSession()``."""
    return medallion_spark


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    queries = {
        name: MERGE.format(
            query=f"SELECT id, CAST(amount AS BIGINT) AS amount FROM {{{{ source('{source}') }}}}"
        )
        for name, source in {"items": "csv", "prices": "items", "totals": "prices", "stock": "items"}.items()
    }
    files = {"pipelines/shop.yml": SPEC, "profiles.yml": "default: local\ntargets: {local: {type: local}}\n"}
    files |= {f"sql/{name}.sql": text.replace("{{{{", "{{") for name, text in queries.items()}
    return write(tmp_path_factory.mktemp("shop"), files)


@pytest.fixture(scope="module")
def compiled(root: Path) -> Mapping[str, Rendered]:
    """Compiled once: no test here changes a spec or a query."""
    return compile_project(load_project(root))


@pytest.fixture
def world(
    root: Path, tmp_path: Path, compiled: Mapping[str, Rendered], monkeypatch: pytest.MonkeyPatch
) -> World:
    monkeypatch.setattr("runner.run.compile_project", lambda project, models: compiled)
    return World(root, tmp_path)


@pytest.fixture
def built(world: World) -> World:
    """A lake in which everything is built, and new items that wait."""
    assert world.run() == 0
    world.new_items()
    return world


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def sound_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sound project of tests/errors, as the current folder."""
    shutil.copytree(ROOT / "tests" / "errors" / "base", tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def dev(built: World, monkeypatch: pytest.MonkeyPatch, compiled: Mapping[str, Rendered]) -> World:
    """A branch on which all four tables took the new items in."""
    monkeypatch.setattr("runner.outlook.compile_project", lambda project, models: compiled)
    assert built.run(branch="dev") == 0
    built.engine.calls.clear()
    built.started = 0
    return built
