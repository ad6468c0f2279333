"""Spark's and Iceberg's exceptions, reduced to their cause and to the analyst's line."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import AnalysisException, ParseException, PySparkException

from runner.errors import Fault, Place, ProjectError, RunFailed

_CONFLICTS = (
    "org.apache.iceberg.exceptions.ValidationException",
    "org.apache.iceberg.exceptions.CommitFailedException",
)
#: An exception of Kafka's client or of Spark's connector, as a cause is named: not a frame of a trace, which
#: says of a failure only that rows came from a topic.
_KAFKAS = re.compile(
    r"(?:^|: |Caused by: )org\.apache\.(?:kafka\.common|spark\.sql\.kafka010)\.[\w.$]*(?:Exception|Error)\b",
    re.MULTILINE,
)
_LINE_POS = re.compile(r"line (\d+),? pos(?:ition)? (\d+)")
_CONTEXT = re.compile(r"\s*\n?== SQL.*", re.DOTALL)


def causes(error: BaseException) -> list[Any]:
    """The chain of Java throwables behind an exception, outermost first; empty for Python's own."""
    current = error.java_exception if isinstance(error, Py4JJavaError) else getattr(error, "_origin", None)
    chain: list[Any] = []
    while current is not None and len(chain) < 20:
        chain.append(current)
        current = current.getCause()
    return chain


def is_conflict(error: BaseException) -> bool:
    """Whether another writer's commit came first."""
    return any(cause.getClass().getName() in _CONFLICTS for cause in causes(error))


def root_message(error: BaseException) -> str:
    """One line: what the innermost cause says, without stack and SQL text."""
    chain = causes(error)
    text = str(error)
    if chain:
        text = chain[-1].getMessage() or chain[-1].getClass().getSimpleName()
    elif isinstance(error, PySparkException):
        text = error.getMessage() or str(error)
    text = _CONTEXT.sub("", text)
    text = text.split("\n\tat ")[0].split("JVM stacktrace")[0]
    return " ".join(text.split()).removesuffix(";")[:600]


def position(error: BaseException, sql: str) -> tuple[int, int] | None:
    """Line and column (from 1) in ``sql`` that an exception points at."""
    if isinstance(error, PySparkException):
        try:
            contexts = error.getQueryContext()
        except (Py4JError, AttributeError):  # the accessor fails for exceptions without an origin
            contexts = []
        for context in contexts:
            start = context.startIndex()
            if 0 <= start < len(sql):
                before = sql[:start]
                return before.count("\n") + 1, start - (before.rfind("\n") + 1) + 1
    if found := _LINE_POS.search(str(error)):
        return int(found[1]), int(found[2]) + 1
    return None


def query_fault(error: BaseException, sql: str, at: Callable[[int, int], Place]) -> ProjectError | RunFailed:
    """A query of the analyst's that does not resolve: ProjectError at its line; else RunFailed."""
    if not isinstance(error, AnalysisException | ParseException):
        return run_failed(error, "the query cannot be planned")
    found = position(error, sql)
    place = at(*found) if found else at(1, 1)
    message = root_message(error)
    return ProjectError((Fault("query-does-not-resolve", place, message, fix="correct the query"),))


def run_failed(error: BaseException, what: str, place: Place | None = None) -> RunFailed:
    """A failure while a statement ran."""
    return RunFailed(
        Fault(
            "statement-failed",
            place,
            f"{what}: {root_message(error)}",
            "nothing of this model was published; readers see the last published state",
            "mend the cause and run again; the whole trace is in the log file",
        ),
        retryable=_passes(error),
    )


def _passes(error: BaseException) -> bool:
    """Whether a failure is Kafka's: brokers go and come, and what a topic lost the next plan tells."""
    names = [cause.getClass().getName() for cause in causes(error)]
    return _KAFKAS.search("\n".join([*names, str(error)])) is not None
