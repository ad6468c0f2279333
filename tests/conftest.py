"""What all tests share: one Spark session for those that ask for it, in a tier of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tier follows from what a test uses, so nobody can forget the marker."""
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.spark)


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """The session of the whole test run. A test takes its own by ``spark.newSession()``."""
    from runner.engine.spark.launch import launch, stop

    session = launch(log_file=ROOT / "target" / "logs" / "tests.log")
    yield session
    stop(session)
