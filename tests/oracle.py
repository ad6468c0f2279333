"""DATA.md in plain Python, written from its sentences: the tables that any run of the project must produce.

Raw lines in the order of their arrival go in; rows of plain values come out, as ``show`` prints them: dates
``YYYY-MM-DD``, timestamps ``YYYY-MM-DDTHH:MM:SS.mmmZ``, None for null. Slow and simple on purpose; it shares
no code, no SQL and no cleverness with what it checks. ``ingested_at`` is a clock and is left out.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

Row = dict[str, Any]
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

# "Thresholds and points are declared once, as vars." The names are those of the shipped gold pipeline.
VARS: dict[str, int] = {
    "high_velocity": 50,
    "velocity_points": 40,
    "many_deletions": 3,
    "deletion_points": 30,
    "anonymous_percent": 50,
    "anonymous_points": 20,
    "many_domains": 5,
    "spread_points": 10,
    "high_risk": 70,
    "medium_risk": 40,
    "rising": 20,
    "falling": -20,
}

BIGINT = (-(2**63), 2**63 - 1)
INT = (-(2**31), 2**31 - 1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


# ---------------------------------------------------------------------------------------------- JSON


class Number(str):
    """A JSON number as it was written, so that ``1.50`` and 10^30 stay what they are."""


class NotJson(ValueError):
    """The text is not strict JSON."""


def _constant(name: str) -> Any:
    raise NotJson(f"{name} is no JSON")  # Python would read NaN and Infinity


_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_constant, strict=True)
_SPACE = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True)
class Value:
    """A JSON value with the exact text it was read from."""

    value: Any
    text: str

    @functools.cached_property
    def members(self) -> dict[str, Value]:
        """The members of an object with their exact text; none for what is not an object."""
        if not isinstance(self.value, dict):
            return {}
        text = self.text
        found: dict[str, Value] = {}
        at = _space(text, 1)
        while text[at] != "}":
            key, at = _DECODER.raw_decode(text, at)
            start = _space(text, _space(text, at) + 1)  # after the colon
            value, at = _DECODER.raw_decode(text, start)
            found[key] = Value(value, text[start:at])
            at = _space(text, at)
            if text[at] == ",":
                at = _space(text, at + 1)
        return found


ABSENT = Value(None, "null")  # "An absent key and a JSON null mean the same."


def parse(text: str) -> Value:
    """The value of a whole line; raises ``NotJson``."""
    start = _space(text, 0)
    try:
        value, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error
    if _space(text, end) != len(text):
        raise NotJson("there is more after the value")
    return Value(value, text[start:end])


def _space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def get(of: Value, *path: str) -> Value:
    """The value at a path, ``ABSENT`` where there is none."""
    for name in path:
        of = of.members.get(name, ABSENT)
    return of


# ------------------------------------------------------------------------------------- typed fields


def as_text(value: Value) -> str | None:
    """A string as sent; anything else as its JSON text; absent or null is null."""
    if value.value is None:
        return None
    return value.value if isinstance(value.value, str) and not isinstance(value.value, Number) else value.text


def as_integer(value: Value, limits: tuple[int, int]) -> int | None:
    """An integer or a string of digits in range; what does not fit is null."""
    if not isinstance(value.value, str):
        return None
    # A number of 5,000 digits is out of range, and longer than Python likes to convert.
    if not re.fullmatch(r"[+-]?[0-9]{1,4000}", value.value):
        return None
    number = int(value.value)
    return number if limits[0] <= number <= limits[1] else None


def as_boolean(value: Value) -> bool | None:
    """True or false, also as a string; what does not fit is null."""
    if isinstance(value.value, bool):
        return value.value
    if isinstance(value.value, Number):
        return None
    return {"true": True, "false": False}.get(value.value) if isinstance(value.value, str) else None


_DATETIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?"
    r"(?:(Z)|([+-])([0-9]{2}):?([0-9]{2}))?"
)


def as_instant(text: str | None) -> datetime | None:
    """``meta.dt``: "ISO 8601 with Z or offset, without one UTC; cut to the millisecond"."""
    match = _DATETIME.fullmatch(text or "")
    if match is None:
        return None
    day, clock, seconds, fraction, _, sign, hours, minutes = match.groups()
    try:
        instant = datetime.fromisoformat(f"{day}T{clock}:{seconds or '00'}+00:00")
        instant += timedelta(milliseconds=int((fraction or "0").ljust(3, "0")[:3]))
        if sign:
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            if int(minutes) > 59 or offset > timedelta(hours=18):  # no zone of this world
                return None
            instant += -offset if sign == "+" else offset
    except (ValueError, OverflowError):  # the 30th of February, a 61st second, before year 1
        return None
    return instant


def show_instant(instant: datetime | None) -> str | None:
    if instant is None:
        return None
    # Not strftime: glibc writes the year 987 with three digits.
    return instant.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


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
    rows = _sorted(passed.values(), "event_id")
    return Bronze(rows, _sorted(aside, "event_id"), heartbeats, duplicates, late, dict(unfit))


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
    return _sorted((_silver_row(row, regions) for row in rows), "event_id")


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


# ---------------------------------------------------------------------------------------------- gold


def gold_from_silver(rows: Iterable[Row], vars: Mapping[str, int] = VARS) -> dict[str, list[Row]]:
    """The three tables of gold; "over valid silver rows" holds for all of them."""
    valid = [row for row in rows if row["is_valid"]]
    return {
        "hourly_stats": hourly_stats(valid),
        "risk_scores": risk_scores(valid, vars),
        "entity_trends": entity_trends(valid, vars),
    }


def hourly_stats(valid: Iterable[Row]) -> list[Row]:
    groups: dict[tuple[str, int, str], list[Row]] = defaultdict(list)
    for row in valid:
        groups[row["event_date"], row["event_hour"], row["domain"]].append(row)
    rows = (_hourly_row(*key, group) for key, group in groups.items())
    return _sorted(rows, "stat_date", "stat_hour", "domain")


def _hourly_row(stat_date: str, stat_hour: int, domain: str, group: list[Row]) -> Row:
    deltas = [row["length_delta"] for row in group if row["length_delta"] is not None]
    types = Counter(row["event_type"] for row in group)
    bots = sum(row["is_bot"] is True for row in group)
    return {
        "stat_date": stat_date,
        "stat_hour": stat_hour,
        "domain": domain,
        "region": group[0]["region"],
        "language": group[0]["language"],
        "total_events": len(group),
        # "distinct user_normalized", "distinct title"
        "unique_users": len({row["user_normalized"] for row in group}),
        "unique_pages": len({row["title"] for row in group}),
        # "sums of positive, of absolute negative deltas; 0 when none"
        "bytes_added": in_bigint(sum(delta for delta in deltas if delta > 0)),
        "bytes_removed": in_bigint(sum(-delta for delta in deltas if delta < 0)),
        # "mean |length_delta| over rows that have one, else null"; "not rounded"
        "avg_edit_size": float(Fraction(sum(map(abs, deltas)), len(deltas))) if deltas else None,
        "bot_events": bots,
        # A row whose `bot` did not fit is not known to be a bot: bots and humans sum to the total.
        "human_events": len(group) - bots,
        "anonymous_events": sum(row["is_anonymous"] for row in group),
        # "100 * bot ÷ total, 2 decimals"
        "bot_percentage": percent(bots, len(group)),
        "edits": types["edit"],
        "new_pages": types["new"],
        "log_actions": types["log"],
        "categorizations": types["categorize"],
        "large_deletions": sum(row["is_large_deletion"] for row in group),
        "large_additions": sum(row["is_large_addition"] for row in group),
    }


def risk_scores(valid: Iterable[Row], vars: Mapping[str, int] = VARS) -> list[Row]:
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in valid:
        # "Over valid, non-bot rows of type edit or new of that UTC day"
        if row["is_bot"] is not True and row["event_type"] in ("edit", "new"):
            groups[row["event_date"], row["user_normalized"]].append(row)
    rows = (_risk_row(*key, group, vars) for key, group in groups.items())
    return _sorted(rows, "stat_date", "entity_id")


def _risk_row(stat_date: str, user: str, group: list[Row], vars: Mapping[str, int]) -> Row:
    measures = {
        "total_edits": len(group),
        # "most in one clock hour"
        "peak_edits_per_hour": max(Counter(row["event_hour"] for row in group).values()),
        "large_deletions": sum(row["is_large_deletion"] for row in group),
        "anonymous_edits": sum(row["is_anonymous"] for row in group),
        "domains_edited": len({row["domain"] for row in group}),
    }
    fast = measures["peak_edits_per_hour"] > vars["high_velocity"]
    score = 0
    # "peak_edits_per_hour > 50 → 40"
    score += vars["velocity_points"] if fast else 0
    # "large_deletions > 3 → 30"
    score += vars["deletion_points"] if measures["large_deletions"] > vars["many_deletions"] else 0
    # "anonymous_edits > half of total_edits → 20"
    mostly = 100 * measures["anonymous_edits"] > vars["anonymous_percent"] * measures["total_edits"]
    score += vars["anonymous_points"] if mostly else 0
    # "domains_edited > 5 and peak_edits_per_hour > 50 → 10"
    score += vars["spread_points"] if fast and measures["domains_edited"] > vars["many_domains"] else 0
    # "risk_level HIGH ≥ 70, MEDIUM ≥ 40, else LOW"
    level = "HIGH" if score >= vars["high_risk"] else "MEDIUM" if score >= vars["medium_risk"] else "LOW"
    return {
        "stat_date": stat_date,
        "entity_id": user,
        "entity_type": "user",
        **measures,
        "risk_score": float(score),
        "risk_level": level,
        "alert_triggered": level == "HIGH",
        # "JSON object of the five measures in the order listed, without spaces"
        "evidence": json.dumps(measures, separators=(",", ":")),
    }


def entity_trends(valid: Iterable[Row], vars: Mapping[str, int] = VARS) -> list[Row]:
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in valid:
        # "`domain` (entity_id = domain) and `page` (entity_id = domain/title, title not null)"
        groups[row["event_date"], "domain", row["domain"]].append(row)
        if row["title"] is not None:
            groups[row["event_date"], "page", f"{row['domain']}/{row['title']}"].append(row)
    trends = []
    for (day, kind, entity), group in groups.items():
        # "same entity, the day before; 0 when none"
        first = day == date.min.isoformat()
        before = "" if first else (date.fromisoformat(day) - timedelta(days=1)).isoformat()
        prior = len(groups.get((before, kind, entity), ()))
        # "100 * (events - prior) ÷ prior, 2 decimals; null when prior is 0"
        change = percent(len(group) - prior, prior) if prior else None
        trends.append(
            {
                "stat_date": day,
                "entity_type": kind,
                "entity_id": entity,
                "events": len(group),
                "unique_users": len({row["user_normalized"] for row in group}),
                # "sum of length_delta, 0 when none"
                "net_bytes": in_bigint(sum(row["length_delta"] or 0 for row in group)),
                "prior_events": prior,
                "change_pct": change,
                "trend": trend(change, vars),
            }
        )
    return _sorted(trends, "stat_date", "entity_type", "entity_id")


def trend(change: float | None, vars: Mapping[str, int] = VARS) -> str:
    """The rule: "`new` (no prior), `rising` (change ≥ 20), `falling` (≤ -20), `steady`"; change as shown."""
    if change is None:
        return "new"
    return "rising" if change >= vars["rising"] else "falling" if change <= vars["falling"] else "steady"


def in_bigint(total: int) -> int | None:
    """ "counts, byte sums and peaks bigint": a sum that no bigint holds is null."""
    return total if -(2**63) <= total < 2**63 else None


def percent(part: int, whole: int) -> float:
    """The rule: "rounding is half up on exact values (1 of 800 = 0.13 %)"; the half goes away from zero."""
    exact = Fraction(100 * part, whole)
    hundredths = abs(exact) * 100
    rounded = Decimal(int(hundredths + Fraction(1, 2))) / 100
    return float(rounded if exact >= 0 else -rounded)


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


def _sorted(rows: Iterable[Row], *key: str) -> list[Row]:
    """Rows in the order of their key: no table has an order, two lists compare best with one."""
    return sorted(rows, key=lambda row: tuple(row[column] for column in key))
