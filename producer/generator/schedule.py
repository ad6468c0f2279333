"""What is planned for a day before any chance: how busy each hour is, who is busy in it, what goes wrong.

A seed, a day and its number of lines go in; per hour a quota of lines and a shuffled list of planned
things come out. Everything that gold shows and that a reader must survive is planned, so it is there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from random import Random

from producer.generator.oddities import ODDITIES, Oddity

_VOLUME = 6_667  # lines a day for which the sizes below are written


@dataclass(frozen=True)
class Visit:
    """One edit that is planned: by somebody, on some page, of some size; None leaves it to chance."""

    domain: str
    user: str | None = None
    title: str | None = None
    delta: int | None = None
    cost: int = 1


@dataclass(frozen=True)
class Late:
    """One edit that arrives this long after it happened."""

    lag_ms: int
    cost: int = 1


@dataclass(frozen=True)
class Reconnect:
    """The connection drops and the server repeats what it sent before; ``cost`` lines of it."""

    cost: int


Planned = Visit | Late | Reconnect | Oddity


@dataclass(frozen=True)
class Story:
    """A user who is busy in one clock hour of the day: edits in it, wikis they go over, large deletions."""

    user: str
    edits: int
    wikis: int
    deletions: int
    hour: int


_TOUR = (
    "en.wikipedia.org", "de.wikipedia.org", "fr.wikipedia.org", "commons.wikimedia.org", "ja.wikipedia.org",
    "es.wikipedia.org", "ru.wikipedia.org", "pl.wikisource.org",
)  # fmt: skip

# By the points of gold.risk_scores: 100 and 80 are HIGH, 40 and 50 MEDIUM, 30 LOW.
STORIES = (
    Story("~2026-31337-01", edits=66, wikis=7, deletions=5, hour=14),  # 100
    Story("Quillstorm", edits=68, wikis=7, deletions=6, hour=19),  # 80
    Story("Lexiconium", edits=64, wikis=1, deletions=0, hour=16),  # 40
    Story("Wanderpaw", edits=62, wikis=8, deletions=1, hour=12),  # 50
    Story("203.0.113.77", edits=9, wikis=1, deletions=5, hour=21),  # 50
    Story("Marlowe the Pruner", edits=12, wikis=2, deletions=5, hour=10),  # 30
)

# Pages with a known course from day to day, in events at the volume above.
_STEADY = (("en.wikipedia.org", "2026 Harbour Railway strike"), ("de.wikipedia.org", "Stille Brücke"))
_RISING = (("en.wikipedia.org", "Comet Kestrel"), ("ja.wikipedia.org", "しろい彗星"))
_FALLING = (("fr.wikipedia.org", "Coupe du phare"), ("fa.wikipedia.org", "جام فانوس دریایی"))


def hours(count: int) -> tuple[int, ...]:
    """The lines of each hour: a cycle with its peak at 15 UTC, exact in sum."""
    weights = [1 + 0.45 * math.cos((hour - 15) * math.pi / 12) for hour in range(24)]
    total, done, quotas = sum(weights), 0, []
    for hour in range(24):
        upto = round(count * sum(weights[: hour + 1]) / total)
        quotas.append(upto - done)
        done = upto
    return tuple(quotas)


def courses(day: int) -> list[tuple[str, str, float]]:
    """Domain, title and events of the pages with a planned course on that day, counted from 0."""
    step = day % 5
    return [
        *((domain, title, 26.0) for domain, title in _STEADY),
        *((domain, title, 7 * 1.6**step) for domain, title in _RISING),
        *((domain, title, 7 * 1.6 ** (4 - step)) for domain, title in _FALLING),
        ("en.wikipedia.org", f"Breaking story {day + 1}", 24.0),
        ("es.wikipedia.org", f"Última noticia {day + 1}", 16.0),
    ]


def campaign(day: int) -> str:
    """The domain with more than twice its share on that day."""
    return ("ce.wikipedia.org", "", "id.wikipedia.org", "", "www.wikidata.org", "vi.wikipedia.org")[day % 6]


def plan(rng: Random, *, when: date, day: int, count: int) -> list[list[Planned]]:
    """What is planned for each hour of that day; never more than half of the hour's lines."""
    quotas = hours(count)
    planned: list[list[Planned]] = [[] for _ in range(24)]
    room = [quota // 2 for quota in quotas]

    def put(hour: int, thing: Planned) -> None:
        if room[hour] >= thing.cost:
            room[hour] -= thing.cost
            planned[hour].append(thing)

    for oddity in ODDITIES:
        # The running total over the days is rounded, so that a rare oddity comes round on small days too.
        rate = oddity.per_10k * count / 10_000
        for _ in range(math.floor((day + 1) * rate + 0.5) - math.floor(day * rate + 0.5)):
            put(rng.randrange(24), oddity)
    if day:  # across midnight, into the next day's file
        for _ in range(max(3, count // 5_000)):
            put(0, Late(rng.randrange(3_700_000, 70_000_000)))
    for _ in range(round(count * 0.0012)):
        put(rng.randrange(8, 24), Late(rng.randrange(330_000, 7 * 3_600_000)))
    for _ in range(max(1, count // 2_500)):
        put(rng.randrange(24), Reconnect(rng.randrange(10, 50)))
    for story in _todays(day, count):
        if room[story.hour] >= story.edits:
            for visit in _visits(story, when.year):
                put(story.hour, visit)
    for domain, title, events in courses(day):
        for _ in range(round(events * count / _VOLUME)):
            put(rng.choice(range(6, 24)), Visit(domain, title=title))
    for things in planned:
        rng.shuffle(things)
    return planned


def _todays(day: int, count: int) -> list[Story]:
    """Every story on a day of normal size; on smaller days those that fit, in turn."""
    budget, todays = count * 0.06, []
    for i in range(len(STORIES)):
        story = STORIES[(i + day) % len(STORIES)]
        if story.edits <= budget:
            budget -= story.edits
            todays.append(story)
    return todays


def _visits(story: Story, year: int) -> list[Visit]:
    user = (
        story.user.replace("2026", str(year))
        if year >= 2025
        else story.user.replace("~2026-31337-01", "203.0.113.66")
    )
    return [
        Visit(_TOUR[i % story.wikis], user=user, delta=-5_200 - 37 * i if i < story.deletions else 40 + i)
        for i in range(story.edits)
    ]
