"""The live producer: connect, send, keep the position, connect again; until it is told to stop.

What enters is a stream (a function that opens connections), a pipeline and a state; what leaves is a
position that never runs ahead of what Kafka has acknowledged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from producer.backoff import Backoff
from producer.breaker import Breaker
from producer.connection import Lost
from producer.errors import Failed, Unavailable
from producer.pace import Pace
from producer.pipeline import BreakerOpen, Pipeline, Routes
from producer.resume import furthest, rewound, usable
from producer.sink import Sink
from producer.sse import events
from producer.state import State


class Opened(Protocol):
    def __iter__(self) -> Iterator[bytes | None]: ...

    def close(self) -> None: ...


class Open(Protocol):
    def __call__(self, *, position: str | None, since: str | None) -> Opened: ...


@dataclass(frozen=True)
class Settings:
    """Times in seconds. ``rewind``: how far before the position a connection starts; ``limit``: most bytes
    of an event; ``openings``: of the breaker, after which it gives up; ``rate``: most events a second."""

    since: str | None = None
    rewind: float = 5.0
    limit: int = 1 << 20
    save_every: float = 1.0
    flush: float = 30.0
    openings: int = 5
    breaker_wait: float = 30.0
    rate: float | None = None


class Stopped(BaseException):
    """It was told to stop while it waited. No library on the way may take it for an error of its own."""


class Conductor:
    """``say`` gets log lines, ``report`` is called about once a second."""

    def __init__(
        self,
        stream: Open,
        sink: Sink,
        state: State,
        routes: Routes,
        settings: Settings,
        *,
        say: Callable[[str], None],
        breaker: Breaker | None = None,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        report: Callable[[], None] = lambda: None,
    ) -> None:
        self.pipeline = Pipeline(sink, routes, breathe=self._breathe, breaker=breaker)
        self.connected = False
        self.alive = self.acknowledged = clock()
        self.stopping = False
        self._stream, self._state, self._settings, self._say = stream, state, settings, say
        self._clock, self._sleep, self.report = clock, sleep, report
        self._backoff = backoff or Backoff()
        self._pace = Pace(settings.rate, clock=clock, sleep=self._wait)
        self._saved: str | None = None
        self._position: str | None = None
        self._reached: str | None = None
        self._saved_at = clock()
        self._rewind = settings.rewind
        self._save_failed = False
        self._connecting = False

    def stop(self) -> None:
        """For signal handlers: a flag, and out of a connect, which may last long, by an exception."""
        self.stopping = True
        if self._connecting:
            raise Stopped

    def run(self) -> None:
        """Until :meth:`stop`; raises a :class:`ProducerError` for what nobody can wait for."""
        self._position = self._saved = self._reached = self._state.load()
        self._say(f"starts at {self._start()}")
        try:
            while not self.stopping:
                self._once()
        except Stopped:
            pass
        finally:
            self._end()

    def _start(self) -> str:
        if self._position is not None:
            return f"the stored position, {self._settings.rewind:g} s earlier"
        return f"{self._settings.since}, as --since says" if self._settings.since else "the newest event"

    def _once(self) -> None:
        """One connection, and the wait after it."""
        before, received = self._reached, self.pipeline.counts.received
        wait: float | None = None
        try:
            self._read()
            how = "the server ended the connection"
        except Lost as lost:
            how, wait = str(lost), lost.wait
        except BreakerOpen:
            self._broken()
            return
        finally:
            self.connected = False
            # What is queued needs no second delivery: it is acknowledged, or this process ends.
            reached = self.pipeline.reached
            if reached is not None and usable(reached):
                self._reached = furthest(self._reached, reached)
        if self.stopping:
            return
        self._checkpoint()
        self.pipeline.counts.disconnects += 1
        if self.pipeline.counts.received > received:
            self._backoff.reset()
        # A connection that ends before it is past the rewound part would come to the same place for ever.
        stuck = before is not None and before == self._reached
        self._rewind = max(0.001, self._rewind / 2) if stuck else self._settings.rewind
        seconds = max(wait or 0.0, self._backoff.wait())
        self._say(f"{how}; connects again in {seconds:.1f} s")
        self._wait(seconds)

    def _read(self) -> None:
        position = self._reached
        if position is not None:
            position = rewound(position, max(1, round(self._rewind * 1000)))
        self._connecting = True
        try:
            connection = self._stream(position=position, since=self._settings.since)
        finally:
            self._connecting = False
        self.connected = True
        self.pipeline.counts.connections += 1
        try:
            for event in events(self._chunks(connection), limit=self._settings.limit):
                self.pipeline.handle(event)
                self._pace.one()
        finally:
            connection.close()

    def _chunks(self, connection: Iterable[bytes | None]) -> Iterator[bytes]:
        for chunk in connection:
            self._tick()
            if self.stopping:
                return
            if chunk is not None:
                yield chunk

    def _tick(self) -> None:
        """What is done every so often, whether events come or not."""
        now = self._clock()
        self.alive = now
        if now - self._saved_at >= self._settings.save_every:
            self._saved_at = now
            self._checkpoint()
            self.report()

    def _checkpoint(self) -> None:
        """Take in acknowledgements, then store how far they reach: never the other way round."""
        done = self.pipeline.counts.acknowledged
        self.pipeline.settle()
        counts = self.pipeline.counts
        if counts.acknowledged > done or not counts.unacknowledged:
            self.acknowledged = self._clock()
        reached = self.pipeline.prefix.position
        if reached is not None and usable(reached):
            self._position = furthest(self._position, reached)
        if self._position is None or self._position == self._saved:
            return
        try:
            self._state.save(self._position)
        except Unavailable as error:
            # Nothing is lost: after a crash more comes twice.
            if not self._save_failed:
                self._say(str(error))
            self._save_failed = True
            return
        self._saved, self._save_failed = self._position, False

    def _breathe(self) -> None:
        """The sink is full: the stream waits until Kafka has taken something."""
        self.pipeline.settle(0.1)
        self._tick()
        if self.stopping:
            raise Stopped

    def _wait(self, seconds: float) -> None:
        until = self._clock() + seconds
        while not self.stopping and (left := until - self._clock()) > 0:
            self._sleep(min(left, 0.2))
            self._tick()

    def _broken(self) -> None:
        breaker, settings = self.pipeline.breaker, self._settings
        reasons = ", ".join(f"{name} {n:,}" for name, n in self.pipeline.counts.reasons.most_common(3))
        if breaker.openings >= settings.openings:
            raise Failed(
                "breaker-open",
                f"most events are malformed, {breaker.openings} times in a row ({reasons})",
                why="something other than events arrives; going on would fill the dead letters",
                fix="look at them with `producer dlq list`, see that --url is the right stream, start again",
            )
        seconds = settings.breaker_wait * 2 ** (breaker.openings - 1)
        self._say(f"breaker open: most events are malformed ({reasons}); tries again in {seconds:.0f} s")
        self._wait(seconds)
        breaker.close()

    def _end(self) -> None:
        left = self.pipeline.finish(self._settings.flush)
        self._checkpoint()
        if left:
            self._say(f"{left:,} records were not acknowledged; they come again at the next start")
