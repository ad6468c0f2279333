"""DATA.md in plain Python, written from its sentences: the tables that any run of the project must produce.

Raw lines in the order of their arrival go in; rows of plain values come out, as ``show`` prints them: dates
``YYYY-MM-DD``, timestamps ``YYYY-MM-DDTHH:MM:SS.mmmZ``, None for null. Slow and simple on purpose; it shares
no code, no SQL and no cleverness with what it checks. ``ingested_at`` is a clock and is left out.
How a line is read is in ``exact_json.py``, gold is in ``oracle_gold.py``.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from tests.exact_json import (
    NotJson,
    Value,
    as_boolean,
    as_instant,
    as_integer,
    as_text,
    get,
    parse,
    show_instant,
)
from tests.oracle_gold import VARS, gold_from_silver
from tests.oracle_rows import Row, by_key

_T = TypeVar("_T")

# "asia_pacific: zh ja ko vi id th · europe: de fr it es pl nl ru · americas: en pt · middle_east: ar fa he
# (each `<code>.wikipedia.org`)"
REGIONS: dict[str, str] = {
    f"{code}.wikipedia.org": region
    for region, codes in {
        "asia_pacific": "zh ja ko vi id th",
        "europe": "de fr it es pl nl ru",
        "americas": "en pt",
        "middle_east": "ar fa he",
    }.items()
    for code in codes.split()
}

BIGINT = (-(2**63), 2**63 - 1)
INT = (-(2**31), 2**31 - 1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


# -------------------------------------------------------------------------------------------- bronze

BRONZE_COLUMNS = (
    "event_id", "rc_id", "event_type", "domain", "wiki", "title", "user", "comment", "namespace", "is_bot",
    "is_minor", "is_patrolled", "length_old", "length_new", "length_delta", "revision_old", "revision_new",
    "log_id", "log_type", "log_action", "log_params", "event_timestamp", "source_timestamp", "event_date",
    "event_hour", "kafka_topic", "kafka_partition", "kafka_offset", "payload", "schema_version",
)  # fmt: skip


@dataclass(frozen=True)
class Bronze:
    """What a run over the lines leaves: the table, what was set aside, and what was counted."""

    rows: list[Row]
    quarantine: list[Row]
    heartbeats: int
    duplicates: int
    late: int
    unfit: dict[str, int] = field(default_factory=dict)


def bronze(lines: Iterable[str]) -> Bronze:
    """``bronze.raw_events`` and its quarantine from raw lines in the order of their arrival."""
    passed: dict[str, Row] = {}
    failed: dict[str, Row] = {}
    heartbeats = duplicates = late = 0
    unfit: Counter[str] = Counter()
    highest: datetime | None = None
    for position, line in enumerate(lines):
        event = _event(line)
        # "dropped and counted before validation"
        if event is not None and is_heartbeat(event):
            heartbeats += 1
            continue
        key = _event_id(event, line)
        faults = _faults(event)
        if event is None or faults:
            # "goes to quarantine with its payload, the names of the checks it failed and its position"
            row = {"event_id": key, "payload": line, "faults": faults, "position": position}
            failed.setdefault(key, row)
            continue
        row, poor, instant = _bronze_row(event, line, key)
        # "A first delivery (by arrival) that passes the checks wins; a second changes nothing."
        if key in passed:
            duplicates += 1
            continue
        passed[key] = row
        unfit.update(poor)
        # "late … before the highest event_timestamp of earlier arrivals when read from files"
        if highest is not None and instant < highest - timedelta(minutes=5):
            late += 1
        highest = instant if highest is None else max(highest, instant)
    # "a key that passes now … leaves it": quarantine holds no key that bronze has.
    aside = [row for key, row in failed.items() if key not in passed]
    rows = by_key(passed.values(), "event_id")
    return Bronze(rows, by_key(aside, "event_id"), heartbeats, duplicates, late, dict(unfit))


def is_heartbeat(event: Value) -> bool:
    """The rule: "an event with that domain, or with no domain, no type and no top-level `id`"."""
    domain = get(event, "meta", "domain")
    if as_text(domain) == "canary":
        return True
    # Every event has a `meta` object: an object without one cannot be read as an event, which is a fault.
    if not isinstance(get(event, "meta").value, dict):
        return False
    return all(value.value is None for value in (domain, get(event, "type"), get(event, "id")))


def _event(line: str) -> Value | None:
    """The event of a line, None when the line is no JSON object."""
    try:
        value = parse(line)
    except NotJson:
        return None
    return value if isinstance(value.value, dict) else None


def _event_id(event: Value | None, line: str) -> str:
    """The rule: "`meta.id`; without one, lower-case MD5 hex of the payload text"; an empty id is none."""
    sent = as_text(get(event, "meta", "id")) if event is not None else None
    return sent or hashlib.md5(line.encode("utf-8", "replace")).hexdigest()


def _faults(event: Value | None) -> list[str]:
    """The rule: "a row that cannot be read as an event (not JSON, no `meta.dt`, no type, no domain)"."""
    if event is None:
        return ["not_json"]
    faults = []
    if as_instant(as_text(get(event, "meta", "dt"))) is None:
        faults.append("no_dt")
    if as_text(get(event, "type")) is None:
        faults.append("no_type")
    if as_text(get(event, "meta", "domain")) is None:
        faults.append("no_domain")
    return faults


def _bronze_row(event: Value, line: str, key: str) -> tuple[Row, list[str], datetime]:
    """The row, the fields that did not fit their column, and the event's instant."""
    poor: list[str] = []

    def note(column: str, value: Value, result: _T | None) -> _T | None:
        # "any other field that does not fit its column is null and counted, never an abort"
        if value.value is not None and result is None:
            poor.append(column)
        return result

    def integer(column: str, *path: str, limits: tuple[int, int] = BIGINT) -> int | None:
        value = get(event, *path)
        return note(column, value, as_integer(value, limits))

    def boolean(column: str, name: str) -> bool | None:
        value = get(event, name)
        return note(column, value, as_boolean(value))

    for container in ("length", "revision"):
        value = get(event, container)
        if value.value is not None and not isinstance(value.value, dict):
            poor.append(container)
    instant = as_instant(as_text(get(event, "meta", "dt")))
    assert instant is not None
    old, new = integer("length_old", "length", "old"), integer("length_new", "length", "new")
    # "delta = new - coalesce(old, 0); null without `length.new`"
    delta = None if new is None else new - (old or 0)
    if delta is not None and not BIGINT[0] <= delta <= BIGINT[1]:
        poor.append("length_delta")
        delta = None
    # "`timestamp` (epoch seconds)"
    epoch = integer("source_timestamp", "timestamp")
    try:
        source = None if epoch is None else EPOCH + timedelta(seconds=epoch)
    except OverflowError:
        poor.append("source_timestamp")
        source = None
    row: Row = {
        "event_id": key,
        "rc_id": integer("rc_id", "id"),
        "event_type": as_text(get(event, "type")),
        "domain": as_text(get(event, "meta", "domain")),
        "wiki": as_text(get(event, "wiki")),
        "title": as_text(get(event, "title")),
        "user": as_text(get(event, "user")),
        "comment": as_text(get(event, "comment")),
        "namespace": integer("namespace", "namespace", limits=INT),
        # "`bot`, absent = false"
        "is_bot": False if get(event, "bot").value is None else boolean("is_bot", "bot"),
        # "absent = null"
        "is_minor": boolean("is_minor", "minor"),
        "is_patrolled": boolean("is_patrolled", "patrolled"),
        "length_old": old,
        "length_new": new,
        "length_delta": delta,
        "revision_old": integer("revision_old", "revision", "old"),
        "revision_new": integer("revision_new", "revision", "new"),
        "log_id": integer("log_id", "log_id"),
        "log_type": as_text(get(event, "log_type")),
        "log_action": as_text(get(event, "log_action")),
        # "its exact JSON text (a string with its quotes; numbers unchanged); absent or null = null"
        "log_params": None if get(event, "log_params").value is None else get(event, "log_params").text,
        "event_timestamp": show_instant(instant),
        "source_timestamp": show_instant(source),
        # "of event_timestamp, UTC"
        "event_date": instant.date().isoformat(),
        "event_hour": instant.hour,
        # "null when read from files"
        "kafka_topic": None,
        "kafka_partition": None,
        "kafka_offset": None,
        "payload": line,
        "schema_version": "1.0",
    }
    return row, poor, instant


# -------------------------------------------------------------------------------------------- silver

_PROJECTS = {
    "wikipedia", "wiktionary", "wikiquote", "wikibooks",
    "wikinews", "wikisource", "wikiversity", "wikivoyage",
}  # fmt: skip
_NO_LANGUAGE = {"www", "test", "test2", "m"}
_TYPES = {"edit", "new", "log", "categorize", "external"}
_CONTROL = re.compile("[\u0000-\u001f\u007f-\u009f]")


def silver_from_bronze(rows: Iterable[Row], regions: Mapping[str, str] = REGIONS) -> list[Row]:
    """``silver.cleaned_events``: one row for each row of bronze."""
    return by_key((_silver_row(row, regions) for row in rows), "event_id")


def _silver_row(row: Row, regions: Mapping[str, str]) -> Row:
    user = normalize(row["user"])
    delta = row["length_delta"]
    return {
        # "Everything of bronze except payload and user, plus"
        **{name: value for name, value in row.items() if name not in ("payload", "user")},
        # "from domain_regions, else `other`"
        "region": regions.get(row["domain"], "other"),
        "language": language(row["domain"]),
        "user_normalized": user,
        "is_anonymous": is_anonymous(user),
        # "length_delta < -5000 / > 50000; never null"
        "is_large_deletion": delta is not None and delta < -5000,
        "is_large_addition": delta is not None and delta > 50000,
        # "event_type in (…), and title and user_normalized neither null nor empty; never null"
        "is_valid": row["event_type"] in _TYPES and bool(row["title"]) and bool(user),
    }


def language(domain: str) -> str | None:
    """The rule: "first label of the host when the second is one of … and the first is not …; else null"."""
    labels = domain.split(".")
    if len(labels) > 1 and labels[1] in _PROJECTS and labels[0] not in _NO_LANGUAGE:
        return labels[0]
    return None


def normalize(user: str | None) -> str | None:
    """The rule: "user without control characters (…), trimmed; empty = null; case kept"."""
    if user is None:
        return None
    return _CONTROL.sub("", user).strip() or None


def is_anonymous(user: str | None) -> bool:
    """The rule: "an IPv4 or IPv6 address (as Python accepts, without a zone), or a temporary account"."""
    if user is None:
        return False
    # "(`~2026-…`: tilde, four digits, hyphen)"
    if re.match(r"~[0-9]{4}-", user):
        return True
    try:
        ipaddress.ip_address(user)
    except ValueError:
        return False
    return "%" not in user


# ----------------------------------------------------------------------------------------------- all


def tables(
    lines: Iterable[str], *, regions: Mapping[str, str] = REGIONS, vars: Mapping[str, int] = VARS
) -> dict[str, list[Row]]:
    """Every table of the project from raw lines in the order of their arrival, each sorted by its key."""
    landed = bronze(lines)
    silver = silver_from_bronze(landed.rows, regions)
    return {
        "bronze": landed.rows,
        "bronze_quarantine": landed.quarantine,
        "silver": silver,
        **gold_from_silver(silver, vars),
    }
