"""Everything that a reader of the stream must survive, as changes to an ordinary event.

An event goes in as a dictionary, the lines to send come out; ``ODDITIES`` lists them all with their rate,
and each occurs at that rate, not by chance.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from producer.generator.world import HOSTILE_COMMENTS, HOSTILE_TITLES, HOSTILE_USERS

Event = dict[str, Any]
Sent = Event | str
Edit = Callable[[Event, Random], Event]
Change = Callable[[Event, Random], Sent | list[Sent]]


@dataclass(frozen=True)
class Oddity:
    """A way in which an event can differ; ``on`` is the type of the event that it starts from."""

    name: str
    per_10k: float
    change: Change
    on: str = "edit"
    cost: int = 1

    def lines(self, line: str, rng: Random) -> list[str]:
        """The lines to send instead of ``line``; as many as ``cost`` says."""
        sent = self.change(json.loads(line), rng)
        return [
            one if isinstance(one, str) else dump(one) for one in (sent if isinstance(sent, list) else [sent])
        ]


def dump(event: Event) -> str:
    """One event as the server writes it."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def _put(**fields: Any) -> Edit:
    return lambda event, rng: {**event, **fields}


def _drop(*names: str) -> Edit:
    return lambda event, rng: {k: v for k, v in event.items() if k not in names}


def _meta(**fields: Any) -> Edit:
    """Changes in ``meta``; a field that becomes ``...`` is taken out."""

    def change(event: Event, rng: Random) -> Event:
        meta = {**event["meta"], **fields}
        return {**event, "meta": {k: v for k, v in meta.items() if v is not ...}}

    return change


def _any_of(field: str, texts: tuple[str, ...]) -> Change:
    return lambda event, rng: {**event, field: rng.choice(texts)}


def _heartbeat(*, domain: bool, event_id: bool) -> Change:
    def change(event: Event, rng: Random) -> Event:
        meta = {"stream": "mediawiki.recentchange", "dt": event["meta"]["dt"]}
        if event_id:
            meta["id"] = event["meta"]["id"]
        if domain:
            meta["domain"] = "canary"
        return {"$schema": "/mediawiki/recentchange/1.0.1", "meta": meta}

    return change


def _of_type(kind: str | int) -> Change:
    """An event of a type that carries neither ``length`` nor ``revision``."""
    drop = _drop("length", "revision", "minor", "patrolled")
    return lambda event, rng: {
        **drop(event, rng),
        "type": kind,
        "namespace": 2600 if kind != "external" else 0,
    }


def _dt(form: Callable[[str], str]) -> Change:
    return lambda event, rng: _meta(dt=form(event["meta"]["dt"]))(event, rng)


def _text(form: Callable[[str], str]) -> Change:
    return lambda event, rng: form(dump(event))


def _truncated(event: Event, rng: Random) -> str:
    line = dump(event)
    return line[: rng.randrange(len(line) // 4, len(line) - 1)]


def _years_behind(event: Event, rng: Random) -> Event:
    return {**event, "timestamp": rng.randrange(1_100_000_000, 1_400_000_000)}


def _healed(event: Event, rng: Random) -> list[Sent]:
    """A delivery without a type, then the same event whole."""
    return [{k: v for k, v in event.items() if k != "type"}, event]


def _rewritten(event: Event, rng: Random) -> list[Sent]:
    """A second delivery that differs from the first."""
    return [event, {**event, "comment": "second delivery"}]


def _twice(event: Event, rng: Random) -> list[Sent]:
    anonymous = _meta(id=...)(event, rng)
    return [anonymous, dict(anonymous)]


def _escaped(event: Event, rng: Random) -> str:
    """The same event with every character beyond ASCII as an escape, as other serialisers write it."""
    return json.dumps(event, separators=(",", ":"))


def _east(dt: str) -> str:
    """The same instant on the clock of another zone."""
    local = datetime.fromisoformat(dt) + timedelta(hours=5, minutes=30)
    return local.replace(tzinfo=None).isoformat(timespec="milliseconds") + "+0530"


def _without_seconds(dt: str) -> str:
    return dt[:16] + "Z"


ODDITIES: tuple[Oddity, ...] = (
    # Heartbeats: with most fields, with an identity only, with nothing.
    Oddity("heartbeat", 20, _meta(domain="canary")),
    Oddity("heartbeat_bare", 8, _heartbeat(domain=True, event_id=True)),
    Oddity("heartbeat_nothing", 5, _heartbeat(domain=False, event_id=False)),
    # Shapes that the schema allows.
    Oddity("external", 30, _of_type("external")),
    Oddity("type_142", 8, _of_type("142")),
    Oddity("type_142_number", 6, _of_type(142)),
    Oddity("user_redacted", 15, _drop("user")),
    Oddity("user_null", 3, _put(user=None)),
    Oddity("user_empty", 1, _put(user="")),
    Oddity("user_blank", 1, _put(user="\u0000\u0085 \u00a0")),
    Oddity("id_null", 4, _put(id=None), on="log"),
    Oddity("old_null", 4, lambda event, rng: {**event, "length": {"old": None, "new": 10}}),
    Oddity("nulls", 3, _put(length=None, revision=None, minor=None, title=None, namespace=None)),
    Oddity("bot_absent", 2, _drop("bot")),
    Oddity("params_null", 2, _put(log_params=None), on="log"),
    Oddity("imported", 5, _years_behind, on="log"),
    Oddity("extra_field", 2, _put(newfield={"a": 1})),
    Oddity("schema_1_0_1", 2, lambda event, rng: {**event, "$schema": "/mediawiki/recentchange/1.0.1"}),
    Oddity("no_event_id", 2, _meta(id=...)),
    Oddity("no_event_id_twice", 1, _twice, cost=2),
    Oddity("rewritten", 1, _rewritten, cost=2),
    # The forms of ISO 8601.
    Oddity("dt_offset", 1, _dt(lambda dt: dt.replace("Z", "+00:00"))),
    Oddity("dt_east", 1, _dt(_east)),
    Oddity("dt_naive", 1, _dt(lambda dt: dt.replace("T", " ").replace("Z", ""))),
    Oddity("dt_micros", 1, _dt(lambda dt: dt[:19] + ".987654Z")),
    Oddity("dt_minutes", 1, _dt(_without_seconds)),
    # Text from strangers.
    Oddity("hostile_title", 10, _any_of("title", HOSTILE_TITLES)),
    Oddity("hostile_user", 10, _any_of("user", HOSTILE_USERS)),
    Oddity("hostile_comment", 60, _any_of("comment", HOSTILE_COMMENTS)),
    Oddity("escaped", 15, _escaped),
    # Fields that do not fit their column: null and counted, or still readable.
    Oddity("namespace_word", 2, _put(namespace="Talk")),
    Oddity("length_word", 1, lambda event, rng: {**event, "length": {"old": "small", "new": "big"}}),
    Oddity("length_digits", 1, lambda event, rng: {**event, "length": {"old": "5080", "new": "5121"}}),
    Oddity("length_list", 1, _put(length=[1, 2])),
    Oddity("id_fraction", 1, _put(id=12.5)),
    Oddity("id_huge", 1, _put(id=10**19)),
    Oddity("bot_word", 1, _put(bot="maybe")),
    Oddity("bot_text", 1, _put(bot="true")),
    Oddity("timestamp_word", 1, _put(timestamp="yesterday")),
    Oddity("title_number", 1, _put(title=1984)),
    Oddity("comment_object", 1, _put(comment={"a": [1, None]})),
    # What is not an event: the four faults.
    Oddity("truncated", 2, _truncated),
    Oddity("no_dt", 1, _meta(dt=...)),
    Oddity("bad_dt", 1, _meta(dt="yesterday at noon")),
    Oddity("no_type", 1, _drop("type")),
    Oddity("no_domain", 1, _meta(domain=...)),
    Oddity("meta_text", 1, _put(meta="none")),
    Oddity("not_an_object", 1, _text(lambda line: f"[{line}]")),
    Oddity("bare_word", 1, lambda event, rng: rng.choice(("null", "42", '"reconnect"', "<html>503</html>"))),
    Oddity("single_quotes", 1, lambda event, rng: str({k: event[k] for k in ("meta", "id", "type")})),
    Oddity("nan", 1, _text(lambda line: line[:-1] + ',"score":NaN}')),
    Oddity("trailing", 1, _text(lambda line: line + "}")),
    Oddity("raw_control", 1, _text(lambda line: line.replace('"comment":"', '"comment":"raw\ttab', 1))),
    Oddity("healed", 1, _healed, cost=2),
)  # fmt: skip
