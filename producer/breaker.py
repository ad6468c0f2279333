"""A circuit breaker: whether each event was bad goes in; when too many of the last ones were, it opens."""

from __future__ import annotations

from collections import deque


class Breaker:
    """Open when more than ``ratio`` of the last ``window`` events were bad; 0 for a window: never.

    ``openings`` counts how often it opened since a whole window was last well.
    """

    def __init__(self, *, window: int, ratio: float) -> None:
        self._window = window
        self._most = window * ratio
        self._last: deque[bool] = deque()
        self._bad = 0
        self.openings = 0
        self.open = False

    def count(self, *, bad: bool) -> bool:
        """Take in one event; whether the breaker is open now."""
        if not self._window:
            return False
        self._last.append(bad)
        self._bad += bad
        if len(self._last) > self._window:
            self._bad -= self._last.popleft()
        if len(self._last) == self._window:
            if self._bad > self._most:
                self.open = True
                self.openings += 1
            elif not self.open:
                self.openings = 0
        return self.open

    def close(self) -> None:
        """Try again: what was counted is forgotten."""
        self.open = False
        self._last.clear()
        self._bad = 0
