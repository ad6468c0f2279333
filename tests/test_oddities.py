"""The oddities of real captures: the generated sample holds each of them, and an id is one event's."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable

import pytest

import producer.generator.generate as generate
from producer.generator.oddities import ODDITIES
from tests import oracle
from tests.generated import Event, event_of, sample

_LOG = "log_params"
ODD: dict[str, Callable[[str, Event], object]] = {
    "heartbeat with fields": lambda line, e: _meta(e).get("domain") == "canary" and "title" in e,
    "heartbeat with a domain only": lambda line, e: _meta(e).get("domain") == "canary" and len(e) == 2,
    "heartbeat with nothing": lambda line, e: sorted(e) == ["$schema", "meta"] and len(e["meta"]) == 2,
    "type 142 as text": lambda line, e: e.get("type") == "142",
    "type 142 as a number": lambda line, e: e.get("type") == 142,
    "type external": lambda line, e: e.get("type") == "external",
    "user redacted": lambda line, e: "title" in e and "user" not in e,
    "user null": lambda line, e: e.get("user", "") is None,
    "user empty": lambda line, e: e.get("user") == "",
    "user of control characters": lambda line, e: _text(e, "user") and not oracle.normalize(e["user"]),
    "user padded": lambda line, e: _text(e, "user").strip() != _text(e, "user"),
    "IPv4": lambda line, e: re.fullmatch(r"[\d.]+", _text(e, "user")),
    "IPv6": lambda line, e: _text(e, "user").startswith("2001:DB8:"),
    "temporary account": lambda line, e: re.fullmatch(r"~2026-\d{5}-\d\d", _text(e, "user")),
    "id null": lambda line, e: e.get("id", 0) is None,
    "id above 2^31": lambda line, e: isinstance(e.get("id"), int) and 2**31 < e["id"] < 2**63,
    "id above 2^63": lambda line, e: isinstance(e.get("id"), int) and e["id"] >= 2**63,
    "id with a fraction": lambda line, e: isinstance(e.get("id"), float),
    "old length null": lambda line, e: _part(e, "length").get("old", 0) is None,
    "lengths as words": lambda line, e: _part(e, "length").get("new") == "big",
    "lengths as digits": lambda line, e: (
        str(_part(e, "length").get("new", 0)) == _part(e, "length").get("new")
    ),
    "length as a list": lambda line, e: isinstance(e.get("length"), list),
    "length null": lambda line, e: e.get("length", 0) is None,
    "page emptied or shrunk a lot": lambda line, e: _delta(e) < -5_000,
    "page grown a lot": lambda line, e: _delta(e) > 50_000,
    "bot absent": lambda line, e: "title" in e and "bot" not in e,
    "bot as a word": lambda line, e: e.get("bot") == "maybe",
    "bot as text": lambda line, e: e.get("bot") == "true",
    "namespace as a word": lambda line, e: e.get("namespace") == "Talk",
    "timestamp as a word": lambda line, e: e.get("timestamp") == "yesterday",
    "title as a number": lambda line, e: isinstance(e.get("title"), int),
    "comment as an object": lambda line, e: isinstance(e.get("comment"), dict),
    "params empty array": lambda line, e: e.get(_LOG) == [],
    "params mixed array": lambda line, e: isinstance(e.get(_LOG), list) and len(set(map(type, e[_LOG]))) > 1,
    "params string": lambda line, e: isinstance(e.get(_LOG), str),
    "params null": lambda line, e: e.get(_LOG, 0) is None,
    "params with numbers as written": lambda line, e: (
        '"count":1.50,"big":12345678901234567890,"exp":1E5' in line
    ),
    "params with escapes": lambda line, e: r"\u00e9\/é" in line,
    "unknown field": lambda line, e: "newfield" in e,
    "no event id": lambda line, e: "title" in e and "dt" in _meta(e) and "id" not in _meta(e),
    "dt with an offset": lambda line, e: _dt(e).endswith("+00:00"),
    "dt in another zone": lambda line, e: _dt(e).endswith("+0530"),
    "dt without a zone": lambda line, e: re.fullmatch(r"[\d-]+ [\d:]+\.\d{3}", _dt(e)),
    "dt with microseconds": lambda line, e: re.search(r"\.\d{6}Z", _dt(e)),
    "dt without seconds": lambda line, e: re.fullmatch(r"[\d-]+T\d\d:\d\dZ", _dt(e)),
    "{{ in a title": lambda line, e: "{{" in _text(e, "title"),
    "{{ in a comment": lambda line, e: "{{" in _text(e, "comment"),
    "</script> in a title": lambda line, e: "</script>" in _text(e, "title"),
    "</script> in a comment": lambda line, e: "</script>" in _text(e, "comment"),
    "quotes in a title": lambda line, e: {'"', "'", "\\"} <= set(_text(e, "title")),
    "quotes in a user": lambda line, e: "'" in _text(e, "user"),
    "newline in a comment": lambda line, e: "\n" in _text(e, "comment"),
    "U+2028 as it is": lambda line, e: "\u2028" in line,
    "right to left": lambda line, e: re.search("[\u0590-\u06ff]", _text(e, "title")),
    "direction marks": lambda line, e: "\u200f" in _text(e, "title") and "\u202e" not in line,
    "4 bytes in a title": lambda line, e: re.search("[\U00010000-\U0010ffff]", _text(e, "title")),
    "4 bytes in a comment": lambda line, e: re.search("[\U00010000-\U0010ffff]", _text(e, "comment")),
    "all beyond ASCII escaped": lambda line, e: line.isascii() and not str(e).isascii(),
    "truncated": lambda line, e: line.startswith('{"$schema"') and not e and not line.endswith("}"),
    "dt missing": lambda line, e: "title" in e and "dt" not in _meta(e) and "domain" in _meta(e),
    "dt unreadable": lambda line, e: _dt(e) == "yesterday at noon",
    "type missing": lambda line, e: "title" in e and "type" not in e,
    "domain missing": lambda line, e: "type" in e and "dt" in _meta(e) and "domain" not in _meta(e),
    "meta no object": lambda line, e: isinstance(e.get("meta"), str),
    "an array": lambda line, e: line.startswith("["),
    "a bare value": lambda line, e: line in ("null", "42", '"reconnect"', "<html>503</html>"),
    "single quotes": lambda line, e: line.startswith("{'"),
    "NaN": lambda line, e: line.endswith(":NaN}"),
    "garbage behind": lambda line, e: line.endswith("}}") and not e,
    "raw control character": lambda line, e: "\t" in line,
}


def _meta(event: Event) -> Event:
    return _part(event, "meta")


def _part(event: Event, name: str) -> Event:
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def _text(event: Event, name: str) -> str:
    value = event.get(name)
    return value if isinstance(value, str) else ""


def _dt(event: Event) -> str:
    return _text(_meta(event), "dt")


def _delta(event: Event) -> int:
    length = _part(event, "length")
    halves = length.get("new"), length.get("old")
    return halves[0] - halves[1] if isinstance(halves[0], int) and isinstance(halves[1], int) else 0


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return sample()


@pytest.fixture(scope="module")
def decoded(lines: list[str]) -> list[tuple[str, Event]]:
    return [(line, event_of(line)) for line in lines]


@pytest.mark.parametrize("name", ODD)
def test_the_sample_holds(name: str, decoded: list[tuple[str, Event]]) -> None:
    count = sum(bool(ODD[name](line, event)) for line, event in decoded)
    assert count > 0
    if name in ("truncated", "dt missing", "type missing", "domain missing", "an array"):
        assert count < 20, "a few, not a flood"


def test_no_line_holds_a_line_break(lines: list[str]) -> None:
    assert not [line for line in lines if "\n" in line or "\r" in line]


def test_an_id_belongs_to_one_event(lines: list[str]) -> None:
    ids = [_meta(event)["id"] for event in map(event_of, dict.fromkeys(lines)) if "id" in _meta(event)]
    again = sum(count > 1 for count in Counter(ids).values())
    assert again == 2 * 2, "what comes again whole and what comes again changed, twice each"


def test_one_key_delivered_broken_comes_again_whole_and_one_comes_again_changed(lines: list[str]) -> None:
    deliveries: dict[str, list[Event]] = {}
    for line in dict.fromkeys(lines):
        event = event_of(line)
        if "id" in _meta(event):
            deliveries.setdefault(event["meta"]["id"], []).append(event)
    again = [both for both in deliveries.values() if len(both) > 1]
    assert any("type" not in first and "type" in second for first, second in again)
    assert any(second["comment"] == "second delivery" != first["comment"] for first, second in again)


def test_every_oddity_sends_what_it_costs_and_has_one_name() -> None:
    assert len({oddity.name for oddity in ODDITIES}) == len(ODDITIES)
    line = next(line for line in generate.lines(events=500) if '"type":"edit"' in line)
    for oddity in ODDITIES:
        assert len(oddity.lines(line, random.Random(1))) == oddity.cost, oddity.name
