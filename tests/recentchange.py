"""One event of recentchange, changed as a test asks, and the line in which it is sent."""

from __future__ import annotations

import json
from typing import Any

from tests.oracle_rows import Row


def event(
    event_id: str | None = "e1", /, *, drop: tuple[str, ...] = (), meta: Row | None = None, **fields: Any
) -> Row:
    """An edit of 100 bytes by Ada on de.wikipedia.org at 2026-02-26 15:49:36.544, changed as asked."""
    whole: Row = {
        "$schema": "/mediawiki/recentchange/1.0.0",
        "meta": {
            "id": event_id,
            "dt": "2026-02-26T15:49:36.544Z",
            "domain": "de.wikipedia.org",
            "stream": "mediawiki.recentchange",
            **(meta or {}),
        },
        "id": 3213449330,
        "type": "edit",
        "namespace": 0,
        "title": "Brücke",
        "comment": "",
        "timestamp": 1772120975,
        "user": "Ada",
        "bot": False,
        "minor": True,
        "patrolled": False,
        "length": {"old": 200, "new": 300},
        "revision": {"old": 1, "new": 2543471307},
        "wiki": "dewiki",
        **fields,
    }
    return {name: value for name, value in whole.items() if name not in drop}


def line(event_id: str | None = "e1", /, **changes: Any) -> str:
    return json.dumps(event(event_id, **changes), ensure_ascii=False)
