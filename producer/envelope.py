"""A dead letter: why, where, when and the bytes of an event go in, a JSON document comes out, and back."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class DeadLetter:
    """``payload``: the bytes as received; of an event that was too large (``size`` bytes) the beginning.

    ``position``: the stream's id, or ``file:line`` of a replayed file. ``time``: when it was refused, UTC.
    """

    reason: str
    field: str
    position: str | None
    time: float
    payload: bytes
    size: int = 0

    def encode(self) -> bytes:
        try:
            text, encoding = self.payload.decode(), "utf-8"
        except UnicodeDecodeError:
            text, encoding = base64.b64encode(self.payload).decode(), "base64"
        document: dict[str, Any] = {
            "reason": self.reason,
            "field": self.field or None,
            "position": self.position,
            "time": datetime.fromtimestamp(self.time, UTC).isoformat(timespec="milliseconds"),
            "encoding": encoding,
            "payload": text,
        }
        if self.size:
            document |= {"truncated": True, "size": self.size}
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def decode(value: bytes) -> DeadLetter | None:
    """None for what is no such record."""
    try:
        document = json.loads(value)
        payload = document["payload"]
        return DeadLetter(
            str(document["reason"]),
            str(document.get("field") or ""),
            document.get("position"),
            datetime.fromisoformat(document["time"]).timestamp(),
            base64.b64decode(payload) if document["encoding"] == "base64" else payload.encode(),
            int(document.get("size") or 0),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
