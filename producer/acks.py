"""How far all is done: positions go in, in the order of the stream; the contiguous done prefix comes out.

An event that is not sent counts as done as soon as all before it are.
"""

from __future__ import annotations

from collections import deque
from typing import Any


class Ticket:
    """One record that was sent: the sink calls it with an error (None when all is well) and the record.

    ``position``: how far the stream is done once this is. ``attempt``: how often it was refused.
    """

    __slots__ = ("attempt", "done", "error", "position", "record")

    def __init__(self, position: str | None) -> None:
        self.position = position
        self.done = False
        self.error: Any = None
        self.record: Any = None
        self.attempt = 0

    def __call__(self, error: Any, record: Any) -> None:
        if error is None:
            self.done = True
        else:
            self.error, self.record = error, record


class Prefix:
    """``position``: the id of the last event up to which all are done; None before the first."""

    def __init__(self, position: str | None = None) -> None:
        self.position = position
        self._open: deque[Ticket] = deque()

    def __len__(self) -> int:
        """Records that are not part of the prefix."""
        return len(self._open)

    def sent(self, position: str | None) -> Ticket:
        """An event goes out: hand the ticket to the sink, which may call it in whatever order."""
        ticket = Ticket(position)
        self._open.append(ticket)
        return ticket

    def unsent(self, position: str | None) -> None:
        """An event that does not go out: it waits for those before it alone."""
        if self._open:
            self._open[-1].position = position
        else:
            self.position = position

    def advance(self) -> Ticket | None:
        """Take in what was acknowledged. A ticket that comes out was refused and stands in the way."""
        waiting = self._open
        while waiting:
            ticket = waiting[0]
            if ticket.error is not None:
                return ticket
            if not ticket.done:
                return None
            self.position = ticket.position
            waiting.popleft()
        return None
