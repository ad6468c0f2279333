"""The lines of one day in the order of their arrival: plan and chance go in, text comes out.

Events come in bursts, each stamped with the moment it happened, seconds and for a few hours ago; the last
lines stay in a ring, for the server to repeat after a reconnect.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from json.encoder import encode_basestring
from random import Random
from typing import TypeVar

from producer.generator import schedule, world
from producer.generator.schedule import Late, Planned, Reconnect, Visit
from producer.generator.shapes import Actor, Moment, Request, Scribe
from producer.generator.world import Page, Wiki

_T = TypeVar("_T")

RING = 60  # lines that a reconnect may repeat
_HOUR, _DAY = 3_600_000, 86_400_000
_DELTAS = world.deltas(4_096)
_ACTIONS = world.spread(world.LOG_ACTIONS, [action[4] for action in world.LOG_ACTIONS], 256)


class Day:
    """One day of the stream; ``ring`` holds the end of the day before and is left holding this one's."""

    def __init__(self, *, seed: int, start: date, day: int, count: int, ring: deque[str]) -> None:
        # By the date: two runs that start on different days must not invent the same event ids.
        self._rng = Random(f"{seed}/{start + timedelta(days=day)}")
        self._random = self._rng.random
        self._ring = ring
        self._first = day == 0
        self._date = start + timedelta(days=day)
        self._count = count
        self._quotas = schedule.hours(count)
        self._planned = schedule.plan(self._rng, when=self._date, day=day, count=count)
        self._campaign = schedule.campaign(day)
        self._scribe = Scribe(self._rng, self._date, world.WIKIS)
        self._midnight = int(datetime(*self._date.timetuple()[:3], tzinfo=UTC).timestamp())
        self._dates = (str(self._date - timedelta(days=1)), str(self._date))
        self._today = self._date.year >= 2025  # milliseconds and temporary accounts
        # Readers, writers and pages grow with the day: (offset, ratio) of a Zipf draw by wiki.
        self._users = [_zipf(12, count * wiki.weight * 0.005) for wiki in world.WIKIS]
        self._pages = [_zipf(20, count * wiki.weight * 0.008) for wiki in world.WIKIS]
        self._bots, self._everywhere, self._visitors = _zipf(3, 60), _zipf(8, 300), _zipf(10, count * 0.05)
        self._slot = 0

    def lines(self) -> Iterator[str]:
        """Exactly as many lines as the day was given."""
        ring = self._ring
        # The end of the day before comes again, so that repeats cross the border of two files.
        reconnects = not self._first and self._count > 1_000
        if reconnects:
            self._planned[0].append(Reconnect(12))  # planned things are taken from the end
        for hour, quota in enumerate(self._quotas):
            for line in self._hour(hour, quota, planned_first=reconnects and hour == 0):
                ring.append(line)
                yield line

    def _hour(self, hour: int, quota: int, *, planned_first: bool) -> Iterator[str]:
        wikis = world.wikis_at(hour, self._campaign)
        planned = self._planned[hour]
        reserved = sum(thing.cost for thing in planned)
        left, burst = quota, 0
        while left > 0:
            if burst <= 0:
                burst = 8 + int(self._random() * 32)
                at = hour * _HOUR + int(_HOUR * (quota - left + self._random() * burst / 2) / quota)
                self._slot = max(self._slot, min(at, (hour + 1) * _HOUR - 1))
            self._slot = min(self._slot + int(self._random() * 60), _DAY - 1)
            if reserved and (planned_first or self._random() * left < reserved):
                thing, planned_first = planned.pop(), False
                lines = self._do(thing, wikis)
                reserved -= thing.cost
            else:
                lines = self._request(wikis, self._lag(), left - reserved)
            left -= len(lines)
            burst -= len(lines)
            yield from lines

    def _do(self, thing: Planned, wikis: tuple[Wiki, ...]) -> list[str]:
        """What is planned, as lines; as many as it costs."""
        if isinstance(thing, Reconnect):
            again = list(self._ring)[-thing.cost :]
            while len(again) < thing.cost:  # nothing sent yet, at the very beginning
                again += self._request(wikis, 0, 1)
            return again
        wiki = self._any(wikis)
        if isinstance(thing, Visit):
            return [self._visit(thing)]
        if isinstance(thing, Late):
            return [self._edit(self._asked(wiki, self._page(wiki), thing.lag_ms))]
        request = self._asked(wiki, self._page(wiki), self._lag())
        if thing.on == "log":
            return thing.lines(self._scribe.log(request, self._any(_ACTIONS), ""), self._rng)
        return thing.lines(self._edit(request), self._rng)

    def _visit(self, visit: Visit) -> str:
        wiki = world.BY_DOMAIN[visit.domain]
        page = self._page(wiki)
        if visit.title is not None:
            page = world.page_of(wiki.domain, visit.title, 0, 20_000)
        request = self._asked(wiki, page, int(self._random() * 2_000))
        if visit.user is None:
            return self._edit(request)
        request = request._replace(actor=Actor(encode_basestring(visit.user), "false"))
        return self._scribe.edit(request, visit.delta or 0, "")

    def _request(self, wikis: tuple[Wiki, ...], lag: int, most: int) -> list[str]:
        """One request and what follows from it, at most ``most`` lines."""
        roll = self._random()
        wiki = self._any(wikis)
        request = self._asked(wiki, self._page(wiki), lag)
        if roll < 0.064:
            return [self._scribe.log(request, self._any(_ACTIONS), self._comment(wiki))]
        if roll < 0.122:
            lines = [self._scribe.new(request, int(self._random() ** 3 * 9_000), self._comment(wiki))]
        else:
            lines = [self._edit(request)]
        if wiki.script != "item":  # Wikidata has no categories
            while len(lines) < most and self._random() < 0.46:
                category = world.category(wiki, _rank(self._pages[wiki.index], self._random()))
                lines.append(self._scribe.categorize(request, category, self._random() < 0.7))
        return lines

    def _edit(self, request: Request) -> str:
        return self._scribe.edit(request, self._any(_DELTAS), self._comment(request.wiki))

    def _any(self, table: tuple[_T, ...]) -> _T:
        return table[int(self._random() * len(table))]

    def _comment(self, wiki: Wiki) -> str:
        return self._any(world.ITEM_COMMENTS if wiki.script == "item" else world.COMMENTS)

    def _page(self, wiki: Wiki) -> Page:
        return world.page(wiki, _rank(self._pages[wiki.index], self._random()))

    def _asked(self, wiki: Wiki, page: Page, lag: int) -> Request:
        return Request(wiki, page, self._actor(wiki), self._moment(lag), self._scribe.key())

    def _actor(self, wiki: Wiki) -> Actor:
        roll = self._random()
        if self._random() < wiki.bots:
            return Actor(world.bot((_rank(self._bots, roll) + wiki.index * 7) % 60), "true")
        who = self._random()
        if who < 0.1:
            visitor = _rank(self._visitors, roll)
            if self._today and visitor % 6:
                return Actor(f'"~{self._date.year}-{10_000 + visitor}-{visitor % 97:02d}"', "false")
            if visitor % 3:
                return Actor(f'"{("203.0.113", "198.51.100")[visitor % 2]}.{visitor // 6 % 250}"', "false")
            return Actor(
                f'"2001:DB8:{visitor * 7919 % 65536:X}:7807:81A6:2943:0:{visitor % 4093:X}"', "false"
            )
        if who < 0.2:
            return Actor(world.human("latin", _rank(self._everywhere, roll)), "false")
        rank = 300 + _rank(self._users[wiki.index], roll) * len(world.WIKIS) + wiki.index
        return Actor(world.human(wiki.script, rank), "false")

    def _lag(self) -> int:
        """Milliseconds from event to arrival: half none, 99 % under 9 s, at most 64 s."""
        roll = self._random()
        if roll < 0.4:
            return 0
        if roll > 0.9993:
            return 15_000 + int(self._random() * 49_000)
        return min(20_000, int(-math.log(1 - self._random()) * 2_200))

    def _moment(self, lag: int) -> Moment:
        at = self._slot - lag
        if at < 0 and self._first:
            at = 0
        seconds, ms = divmod(at, 1_000)
        minutes, second = divmod(seconds % 86_400, 60)
        hour, minute = divmod(minutes, 60)
        clock = f"{self._dates[at >= 0]}T{hour:02d}:{minute:02d}:{second:02d}"
        if not self._today:
            return Moment(f"{clock}Z", self._midnight + seconds)
        behind = int(self._random() ** 2 * 6)
        return Moment(f"{clock}.{ms:03d}Z", self._midnight + seconds - behind)


def _zipf(offset: int, ranks: float) -> tuple[int, float]:
    return offset, (max(60.0, ranks) + offset) / offset


def _rank(zipf: tuple[int, float], roll: float) -> int:
    """A rank drawn with a chance that falls with the rank, flattened at the top by the offset."""
    offset, ratio = zipf
    return int(offset * ratio**roll) - offset
