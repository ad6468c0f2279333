"""The generated sample that tests of the generator look at, and how a line of it is read."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import producer.generator.generate as generate

EVENTS, DAYS, START = 20_000, 3, date(2026, 10, 1)

Event = dict[str, Any]


def sample() -> list[str]:
    return list(generate.lines(events=EVENTS, days=DAYS, seed=1, start=START))


def event_of(line: str) -> Event:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}
