"""No faster than asked: each event is told, and the caller waits where it would be too many a second."""

from __future__ import annotations

from collections.abc import Callable


class Pace:
    """``rate``: events a second, None: as many as come. ``speed``: event time by the clock, 1 as it was."""

    def __init__(
        self,
        rate: float | None = None,
        *,
        speed: float | None = None,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._gap = 1 / rate if rate else 0.0
        self._speed = speed
        self._clock, self._sleep = clock, sleep
        self._next = 0.0
        self._start: tuple[float, float] | None = None

    def one(self) -> None:
        """One event was sent."""
        if not self._gap:
            return
        now = self._clock()
        # What was not used for a while is not made up for by more than a quarter of a second.
        self._next = max(self._next + self._gap, now - 0.25)
        if self._next - now > 0.02:  # many short waits cost more than a few longer ones
            self._sleep(self._next - now)

    def at(self, seconds: float) -> None:
        """The next event is of that event time: wait until its moment, counted from the first."""
        if not self._speed:
            return
        now = self._clock()
        if self._start is None:
            self._start = (now, seconds)
        due = self._start[0] + (seconds - self._start[1]) / self._speed
        if due - now > 0.02:
            self._sleep(due - now)
