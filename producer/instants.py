"""Event times: the text of ``meta.dt`` goes in, seconds since 1970 come out, None where it is no time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_FORM = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]((?:[01][0-9]|2[0-3]):[0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?"
    r"(?:Z|([+-])([0-9]{2}):?([0-9]{2}))?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


# Many events share a second.
@lru_cache(maxsize=4096)
def seconds(text: str) -> float | None:
    """ISO 8601 with date, hour and minute; with ``Z`` or an offset, without one UTC; to the millisecond."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    day, clock, second, fraction, sign, hours, minutes = match.groups()
    try:
        instant = datetime.fromisoformat(f"{day}T{clock}:{second or '00'}+00:00")
        instant += timedelta(milliseconds=int((fraction or "0")[:3].ljust(3, "0")))
        if sign:
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            if int(minutes) > 59 or offset > timedelta(hours=18):  # no zone of this world
                return None
            instant += -offset if sign == "+" else offset
    except (ValueError, OverflowError):  # the 30th of February, a 61st second, before the year 1
        return None
    return (instant - _EPOCH) / timedelta(seconds=1)
