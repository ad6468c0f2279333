"""What an event is worth by the rules of the stream: its bytes go in, a verdict comes out.

Written from the rules and not from the producer's code, which it judges: the ledger of the replay server is
what runs are compared with.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

VALID, MALFORMED, HEARTBEAT = "valid", "malformed", "heartbeat"
MAX_BYTES = 1024 * 1024  #: Larger events are dead letters, of which their beginning is kept.

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DT = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[T ](?P<minute>\d\d:\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d+))?)?"
    r"(?:Z|(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d))?",
    re.ASCII,
)


class _Literal(str):
    """A number as it was written: of any length, never rounded."""


@dataclass(frozen=True)
class Verdict:
    """``event_id``: ``meta.id``, else the MD5 of the bytes. ``reason``: why it is malformed.

    ``instant_ms``: its ``meta.dt`` as milliseconds since 1970; None where that cannot be read.
    """

    kind: str
    event_id: str
    domain: str | None = None
    reason: str = ""
    instant_ms: int | None = None


def judge(data: bytes) -> Verdict:
    """Heartbeats first: they are neither data nor errors, whatever else they lack."""
    digest = hashlib.md5(data).hexdigest()
    if len(data) > MAX_BYTES:
        return Verdict(MALFORMED, digest, reason="too_big")
    try:
        event = json.loads(
            data.decode("utf-8"), parse_int=_Literal, parse_float=_Literal, parse_constant=_refuse
        )
    except UnicodeDecodeError:
        return Verdict(MALFORMED, digest, reason="not_utf8")
    except (ValueError, RecursionError):
        return Verdict(MALFORMED, digest, reason="not_json")
    if not isinstance(event, dict):
        return Verdict(MALFORMED, digest, reason="not_json")
    sent = event.get("meta")
    meta: dict[str, Any] = sent if isinstance(sent, dict) else {}
    event_id = _text(meta.get("id")) or digest
    domain, kind = _text(meta.get("domain")), event.get("type")
    instant = instant_ms(meta.get("dt"))
    if domain == "canary" or (
        isinstance(sent, dict) and domain is None and kind is None and event.get("id") is None
    ):
        return Verdict(HEARTBEAT, event_id, domain, instant_ms=instant)
    missing = [
        name
        for name, value in (("no_dt", instant), ("no_type", kind), ("no_domain", domain))
        if value is None
    ]
    if missing:
        return Verdict(MALFORMED, event_id, domain, missing[0], instant)
    return Verdict(VALID, event_id, domain, instant_ms=instant)


def instant_ms(dt: object) -> int | None:
    """ISO 8601 with Z, an offset, or neither (then UTC), cut to the millisecond."""
    match = _DT.fullmatch(dt) if isinstance(dt, str) else None
    if match is None:
        return None
    zone: timezone = UTC
    try:
        if match["sign"]:
            away = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"]))
            if int(match["minutes"]) > 59 or away > timedelta(hours=18):  # no zone of this world
                return None
            zone = timezone(away if match["sign"] == "+" else -away)
        second = datetime.fromisoformat(f"{match['day']}T{match['minute']}:{match['second'] or '00'}")
        whole = (second.replace(tzinfo=zone) - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        return None
    return whole + int((match["fraction"] or "0").ljust(3, "0")[:3])


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return None if value is None else str(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _refuse(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's
