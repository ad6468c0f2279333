"""What a client may ask the server for: headers and parameters go in, a position or a refusal comes out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from live.judge import instant_ms
from live.spool import Spool


@dataclass
class Refusal(Exception):
    """A request that is answered by a status alone."""

    status: int
    why: str
    retry_after: float | None = None


def contact(agent: str | None) -> None:
    """Refusal (403) when the User-Agent names neither an address nor a page."""
    if not re.search(r"[^\s@]+@[^\s@]+\.[^\s@]+|https?://\S+", agent or ""):
        raise Refusal(403, "the User-Agent must name a contact: an e-mail address or a page")


def position(spool: Spool, *, last: str | None, since: str | None, newest: int, end: int) -> int:
    """Where the stream begins: at ``Last-Event-ID``, without it at ``since``, without both at ``newest``.

    ``end``: how many events have happened.
    """
    if last:
        return _resumed(spool, last, end)
    if since:
        at = int(since) if re.fullmatch(r"\d{1,18}", since) else instant_ms(since)
        if at is None:
            raise Refusal(400, "since is neither ISO 8601 nor milliseconds since 1970")
        return min(spool.seek(at), end)
    return newest


def _resumed(spool: Spool, last: str, end: int) -> int:
    try:
        places = json.loads(last)
        if not isinstance(places, list) or not all(isinstance(place, dict) for place in places):
            raise ValueError(last)
        found = [
            spool.seek(int(place["timestamp"])) if "timestamp" in place else int(place["offset"])
            for place in places
            if int(place.get("offset", 0)) >= 0
        ]
    except (ValueError, KeyError, TypeError):
        raise Refusal(400, "Last-Event-ID is no JSON array of topic, partition and timestamp") from None
    # A partition at offset -1 is read from its end: it holds nothing of this stream.
    return min(*found, end)
