"""How long to wait: what the server said and how often it failed go in, seconds come out."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime

#: Longer than this nobody waits, whatever a server asks for.
LONGEST_ASKED = 300.0


@dataclass
class Backoff:
    """Doubles from ``first`` to ``longest`` seconds; each wait is drawn from its upper half, so that many
    clients that lost the same server do not come back at the same moment."""

    first: float = 0.5
    longest: float = 60.0
    rng: random.Random = field(default_factory=random.Random)
    failures: int = 0

    def wait(self) -> float:
        """Seconds, after one failure more."""
        span: float = min(self.longest, self.first * 2 ** min(self.failures, 30))
        self.failures += 1
        return span * (0.5 + self.rng.random() / 2)

    def reset(self) -> None:
        self.failures = 0


def retry_after(text: str | None, now: float) -> float | None:
    """Seconds of a ``Retry-After`` header (a number, or a date); None when it says nothing usable."""
    if text is None:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return min(float(text.strip()[:9]), LONGEST_ASKED)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return min(max(0.0, date.timestamp() - now), LONGEST_ASKED)
