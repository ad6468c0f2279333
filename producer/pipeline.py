"""From events to records: events go in, in order; records go to a sink, how far all is done comes out.

The same for the live stream, for replayed files and for dead letters.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from producer.acks import Prefix, Ticket
from producer.breaker import Breaker
from producer.counts import Counts
from producer.envelope import DeadLetter
from producer.errors import Failed
from producer.judge import Heartbeat, Malformed, Valid, judge
from producer.sink import Full, Sink
from producer.sse import HEAD, Event

#: Events between two looks at what was acknowledged.
BATCH = 64


class BreakerOpen(Exception):
    """Most of the last events were malformed: something other than events arrives."""


@dataclass(frozen=True)
class Routes:
    """Which events go where. ``wanted``: domains, None for all."""

    events: str = "raw-events"
    dead: str = "dlq-events"
    wanted: frozenset[str] | None = None


class Pipeline:
    """``breathe`` is called while the sink is full, until there is room; what it raises ends the waiting,
    and the event stays undone."""

    def __init__(
        self,
        sink: Sink,
        routes: Routes,
        *,
        breathe: Callable[[], None],
        breaker: Breaker | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.counts = Counts()
        self.prefix = Prefix()
        #: The last event that was handled, acknowledged or not.
        self.reached: str | None = None
        self.breaker = breaker or Breaker(window=0, ratio=1)
        self._sink = sink
        self._routes = routes
        self._breathe = breathe
        self._clock = clock
        self._keys: dict[str, bytes] = {}
        self._retries = 0

    def handle(self, event: Event) -> None:
        """Send one event, or the record of what is wrong with it. :class:`BreakerOpen` after too many."""
        data, position, size = event
        counts = self.counts
        counts.received += 1
        counts.bytes += len(data)
        if not counts.received % BATCH:
            self.settle()
        verdict = Malformed("too-large") if size else judge(data)
        bad = False
        if type(verdict) is Valid:
            domain, at, _ = verdict
            if at > counts.newest:
                counts.newest = at
            wanted = self._routes.wanted
            if wanted is None or domain in wanted:
                counts.sent += 1
                key = self._keys.get(domain) or self._key(domain)
                self._push(self._routes.events, key, data, self.prefix.sent(position))
            else:
                counts.filtered += 1
                self.prefix.unsent(position)
        elif type(verdict) is Heartbeat:
            counts.heartbeats += 1
            self.prefix.unsent(position)
        else:
            assert isinstance(verdict, Malformed)
            bad = True
            counts.malformed += 1
            counts.reasons[verdict.reason] += 1
            letter = DeadLetter(verdict.reason, verdict.field, position, self._clock(), data, size)
            self._push(self._routes.dead, None, letter.encode(), self.prefix.sent(position))
        self.reached = position
        if self.breaker.count(bad=bad):
            counts.openings += 1
            raise BreakerOpen

    def settle(self, timeout: float = 0) -> None:
        """Take in what was acknowledged or refused. Those refused twice become dead letters."""
        self._sink.poll(timeout)
        while ticket := self.prefix.advance():
            self._refused(ticket)
        self.counts.unacknowledged = len(self.prefix)

    def finish(self, timeout: float) -> int:
        """Wait for all that is under way; how many records are left after about ``timeout`` seconds."""
        before: tuple[int, int] | None = None
        # Again while it helps: what is refused is sent again or becomes a dead letter, and is waited for.
        while before != (now := (len(self.prefix), self._retries)) and now[0]:
            before = now
            self._sink.flush(timeout)
            self.settle()
        self.settle()
        return len(self.prefix)

    def _push(self, topic: str, key: bytes | None, value: bytes, ticket: Ticket) -> None:
        while True:
            try:
                self._sink.send(topic, key=key, value=value, delivered=ticket)
                return
            except Full:
                self._breathe()

    def _refused(self, ticket: Ticket) -> None:
        refused = self._sink.explain(ticket.error)
        self._retries += 1
        record, value = ticket.record, ticket.record.value() or b""
        ticket.error = ticket.record = None
        ticket.attempt += 1
        if refused.fatal:
            raise refused.fatal(refused.code, refused.text, fix=refused.fix)
        if ticket.attempt == 1:
            # Kafka refuses whole batches: this one may only have stood beside the one that is too large.
            self._push(record.topic(), record.key(), value, ticket)
            return
        if ticket.attempt > 2:
            raise Failed(
                "dead-letter-refused",
                f"{self._routes.dead} takes no dead letter: {refused.text}",
                fix=refused.fix or "let the topic take larger records: `producer topics ensure` says how",
            )
        self.counts.refused += 1
        self.counts.reasons[refused.code] += 1
        cut = len(value) if len(value) > HEAD else 0
        letter = DeadLetter(refused.code, "", ticket.position, self._clock(), value[:HEAD], cut)
        self._push(self._routes.dead, None, letter.encode(), ticket)

    def _key(self, domain: str) -> bytes:
        if len(self._keys) > 10_000:  # invented domains must not fill the memory
            self._keys.clear()
        key = self._keys[domain] = domain.encode("utf-8", "replace")
        return key
