"""A stand-in for ``runner`` without Spark, for tests of the demo: ``stream``, ``run`` and ``show``.

``show`` prints what the shipped project would make of the topic ``raw-events``, as far as the demo looks.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys

from live.topics import everything


def main(verb: str, bootstrap: str, *rest: str) -> int:
    if verb == "stream":
        signal.sigwait({signal.SIGTERM})
        return 0
    if verb == "run":
        return int(os.environ.get("STAND_IN_EXIT", "0"))
    events = {}
    for value in everything(bootstrap, "raw-events"):
        event_id = json.loads(value)["meta"].get("id") or hashlib.md5(value).hexdigest()
        events.setdefault(event_id, value.decode())
    if rest[-1] == "gold.hourly_stats":
        print(json.dumps({"total_events": len(events)}))
        return 0
    lose = os.environ.get("STAND_IN_LOSES") == rest[-1]
    for event_id, payload in list(events.items())[lose:]:
        print(json.dumps({"event_id": event_id, "payload": payload, "is_valid": True}))
    return 0


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    sys.exit(main(*sys.argv[1:]))
