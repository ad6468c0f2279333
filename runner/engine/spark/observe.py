"""Aggregates that Spark counts while it writes rows, without another pass.

In: views with what is to be observed of their rows, and a write. Out: the observed values by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F


class Observations:
    """Those of the views that are defined now; each is asked once, after the write that they are beneath."""

    def __init__(self) -> None:
        self._pending: dict[str, list[Observation]] = {}

    def of(self, view: str, frame: DataFrame, observe: Mapping[str, str]) -> DataFrame:
        """The view's frame, observed. ``observe``: name → aggregate."""
        observation = Observation()
        self._pending.setdefault(view, []).append(observation)
        return frame.observe(observation, *(F.expr(e).alias(name) for name, e in observe.items()))

    def write(self, view: str, write: Callable[[], None], written: Callable[[], DataFrame]) -> dict[str, Any]:
        """Write ``view``; the values of every view beneath it. ``written``: the rows that were written."""
        outermost = self._pending.pop(view, [])
        beneath = [observation for of in self._pending.values() for observation in of]
        self._pending.clear()
        write()  # where it fails, nothing is asked: observations of a failed write never answer
        found: dict[str, Any] = {}
        for observation in beneath:
            found.update(_values(observation) or {})
        for observation in outermost:
            values = _values(observation)
            if values is None and not written().isEmpty():
                raise RuntimeError(f"Spark observed nothing of the rows of {view}")
            found.update(values or {})
        return found

    def clear(self) -> None:
        """Forget those that nobody wrote."""
        self._pending.clear()


def _values(observation: Observation) -> dict[str, Any] | None:
    """What was observed; None where the optimizer found the relation to be empty and cut it out."""
    try:
        return dict(observation.get)
    except Py4JJavaError as error:
        if "AssertionError" in str(error.java_exception.getClass().getName()):
            return None
        raise
