"""What was done so far, as numbers that the loop adds to and that logs, metrics and health read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Counts:
    """``received`` = ``sent`` + ``malformed`` + ``heartbeats`` + ``filtered``. ``newest``: the highest event
    time, seconds since 1970. ``unacknowledged``: records that are queued or under way."""

    received: int = 0
    bytes: int = 0
    sent: int = 0
    malformed: int = 0
    heartbeats: int = 0
    filtered: int = 0
    refused: int = 0
    newest: float = 0.0
    unacknowledged: int = 0
    connections: int = 0
    disconnects: int = 0
    openings: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def acknowledged(self) -> int:
        return self.sent + self.malformed - self.unacknowledged
