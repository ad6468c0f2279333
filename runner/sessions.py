"""Sessions on a lake: when Spark starts, who has one of their own, and how it is told that it died.

In: a project and its lake. Out: engines and keepers. The JVM starts where one is first needed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from runner.engine import Engine, Keeper
from runner.errors import Fault, RunFailed
from runner.lake import Lake
from runner.spec import Model, Project

if TYPE_CHECKING:
    from runner.engine.spark.engine import SparkEngine

T = TypeVar("T")


@dataclass
class Lazy(Generic[T]):
    """A session, started at the first call and kept; ``started`` is None until then."""

    start: Callable[[], T]
    started: T | None = None

    def __call__(self) -> T:
        if self.started is None:
            self.started = self.start()
        return self.started


class Sessions:
    """Spark for every thread that asks: started by the first, and a session of its own for each other one."""

    def __init__(self, start: Callable[[], Engine]) -> None:
        self._start = start
        self._own = threading.local()
        self._starting = threading.Lock()
        self.first: Engine | None = None

    def __call__(self) -> Engine:
        found: Engine | None = getattr(self._own, "engine", None)
        if found is None:
            with self._starting:
                found = self._start() if self.first is None else self.first.fork()
                self.first = self.first or found
            self._own.engine = found
        return found

    def cancel(self) -> None:
        """End the jobs of all threads."""
        if self.first is not None:
            self.first.cancel()

    def died(self) -> str:
        """How the engine's process ended; empty while it lives, and before it was started."""
        return self.first.died() if self.first is not None else ""


def start_keeper(project: Project, lake: Lake, artifacts: Path) -> Keeper:
    """A session for maintenance."""
    from runner.engine.spark.keep import SparkKeeper

    return SparkKeeper(start_spark(project, lake, artifacts))


def start_spark(project: Project, lake: Lake, artifacts: Path, *, long: bool = False) -> SparkEngine:
    """A new session on the lake; its log goes below ``artifacts``. ``long``: it works for hours."""
    from runner.engine.spark.launch import launch  # the JVM starts here and nowhere else

    # The jars of topics are loaded by those who read some.
    groups = ("kafka",) if any(model.streams for model in project.models) else ()
    log = artifacts / "logs" / ("stream.log" if long else "spark.log")
    spark = launch(conf=project.profile.conf, log_file=log, groups=groups, long=long)
    # After the launch, which imports pyspark while the JVM boots.
    from runner.engine.spark.engine import SparkEngine

    return SparkEngine(spark, project.profile, lake.warehouse)


def engine_died(model: Model, how: str) -> RunFailed:
    """The engine's process ended in the middle of a model."""
    return RunFailed(
        Fault(
            "engine-died",
            model.place,
            f"Spark's JVM ended while {model.id} ran: {how}",
            "mostly for lack of memory; nothing of this model was published",
            "give it more, `conf: {spark.driver.memory: 4g}` in profiles.yml, and run again",
        )
    )
