"""dbt in an environment of its own: where it is, how it is started, and its session's settings.

The environment is made by ``make bench-dbt`` from ``bench/dbt.lock``; nothing is fetched at run time.
"""

from __future__ import annotations

from pathlib import Path

from bench.harness import ROOT

PYTHON = ROOT / ".venv-dbt" / "bin" / "python"


class NoPeer(Exception):
    """dbt is not installed where it is looked for."""


def dbt(*arguments: str | Path) -> list[str]:
    """A command line of dbt's. NoPeer where its environment is not made."""
    program = PYTHON.with_name("dbt")
    if not program.is_file():
        raise NoPeer(f"{program} is not there\n  fix: make bench-dbt")
    return [str(program), *map(str, arguments)]


def environment(project: Path) -> dict[str, str]:
    """Variables of dbt's processes: the project, no telemetry, no way to our own packages."""
    return {
        "DBT_PROJECT_DIR": str(project),
        "DBT_PROFILES_DIR": str(project),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "PYTHONPATH": "",
    }


def session(warehouse: Path, log: Path) -> dict[str, str]:
    """Settings of dbt's Spark session: the runner's own, as far as ``spark-submit`` takes them."""
    from runner.engine.spark import jars
    from runner.engine.spark.jvm import FAST_START
    from runner.engine.spark.launch import defaults

    return {
        **defaults(cores()),
        # Not spark.jars: those are seen too late for the implementation of local files.
        "spark.driver.extraClassPath": ":".join(map(str, jars.ensure("lake"))),
        "spark.driver.extraJavaOptions": " ".join(("-XX:+UseSerialGC", *FAST_START)),
        "spark.sql.catalog.spark_catalog": "org.apache.iceberg.spark.SparkSessionCatalog",
        "spark.sql.catalog.spark_catalog.type": "hadoop",
        "spark.sql.catalog.spark_catalog.warehouse": str(warehouse),
        "spark.sql.warehouse.dir": str(warehouse),
        **event_log(log),
    }


def cores() -> int:
    """Those that may be used."""
    import os

    return len(os.sched_getaffinity(0))


def event_log(folder: Path) -> dict[str, str]:
    """Settings with which Spark writes down its statements, jobs and tasks: one file, plain text."""
    return {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": folder.as_uri(),
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.compress": "false",
    }
