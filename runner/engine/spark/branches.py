"""Branches of tables: the part of the port that makes, moves and drops them.

Without Iceberg's SQL extensions there are no statements for it, so it goes through the Java API.
"""

from __future__ import annotations

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from runner.catalog import MAIN
from runner.engine.spark import faults
from runner.engine.spark.diff import load_table
from runner.refs import TableRef

_RETRIES = 20


class Branches:
    """What a session does with branches. ``catalog``: the lake's name in Spark."""

    spark: SparkSession
    catalog: str

    def create_branch(self, table: TableRef, branch: str, snapshot: int | None) -> None:
        for attempt in range(_RETRIES):
            manage = load_table(self.spark, table.sql(self.catalog)).manageSnapshots()
            try:
                made = (
                    manage.createBranch(branch) if snapshot is None else manage.createBranch(branch, snapshot)
                )
                made.commit()
                return
            except Py4JJavaError as error:
                if not faults.is_conflict(error) or attempt == _RETRIES - 1:
                    raise faults.run_failed(error, f"branch {branch} of {table} cannot be made") from error

    def drop_branch(self, table: TableRef, branch: str) -> None:
        java = load_table(self.spark, table.sql(self.catalog))
        if java.refs().containsKey(branch):
            java.manageSnapshots().removeBranch(branch).commit()

    def replace_branch(self, table: TableRef, branch: str, by: str) -> None:
        java = load_table(self.spark, table.sql(self.catalog))
        try:
            java.manageSnapshots().replaceBranch(branch, by).commit()
        except Py4JJavaError as error:
            raise faults.run_failed(error, f"branch {branch} of {table} cannot be moved") from error

    def fast_forward(self, table: TableRef, branch: str, onto: str = MAIN, *, drop: bool = False) -> bool:
        java = load_table(self.spark, table.sql(self.catalog))
        try:
            moved = java.manageSnapshots().fastForwardBranch(onto, branch)
            (moved.removeBranch(branch) if drop else moved).commit()
        except (Py4JError, PySparkException) as error:  # pyspark translates Java's own exceptions
            if faults.is_conflict(error) or "is not an ancestor of" in str(error):
                return False
            raise faults.run_failed(error, f"{table} cannot be published") from error
        return True

    def drop_table(self, table: TableRef) -> None:
        try:
            self.spark.sql(f"DROP TABLE IF EXISTS {table.sql(self.catalog)} PURGE")
        except (Py4JError, PySparkException) as error:
            raise faults.run_failed(error, f"{table} cannot be removed") from error
