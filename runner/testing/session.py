"""One Spark session for all tests; each test gets an engine on a lake of its own.

In: how to start Spark. Out: engines, by folder. The JVM starts when the first test asks for one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.spec import Profile

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from runner.engine.spark.engine import SparkEngine

#: A test has a handful of rows: one task does each piece of work, and nothing is planned anew between them.
FEW_ROWS: Mapping[str, str] = {
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",
}


@dataclass
class Session:
    """``start``: how the session comes; ``spark`` is None until then."""

    start: Callable[[], SparkSession]
    spark: SparkSession | None = None

    def engine(self, profile: Profile, folder: Path) -> SparkEngine:
        """An engine on the lake in ``folder``, with a Spark session of its own."""
        spark = self.get()
        from runner.engine.spark.engine import SparkEngine

        conf = {**profile.conf, **FEW_ROWS}
        return SparkEngine(spark, Profile(profile.name, profile.place, profile.catalog, conf=conf), folder)

    def get(self) -> SparkSession:
        """The session, started where it is not there yet."""
        if self.spark is None:
            self.spark = self.start()
        return self.spark

    def stop(self) -> None:
        """End the session; nothing happens where none was started."""
        if self.spark is not None:
            from runner.engine.spark.launch import stop

            stop(self.spark)
            self.spark = None


def starter(
    conf: Mapping[str, str], log_file: Path, *, cores: int | None = None, groups: Sequence[str] = ()
) -> Callable[[], SparkSession]:
    """How a session starts; its log is appended to ``log_file``. ``groups``: of jars, beside the lake's."""

    def start() -> SparkSession:
        from runner.engine.spark.launch import launch

        return launch(conf=conf, cores=cores, log_file=log_file, groups=groups)

    return start
