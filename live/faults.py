"""What goes wrong on the way, and where: a text or a seed goes in, faults with their places come out.

``KIND@event=K[,byte=B]`` is at the event of that position, wherever it is sent first;
``KIND@connection=C,byte=B`` at that byte of the events that the connection sends; connections are counted
from 0, and a status is the answer to that request. Each happens once.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from live.spool import Change
from runner.errors import ProjectError, did_you_mean, fail

#: What happens at the place, as the client sees it.
KINDS = {
    "close": "the server ends the response properly",
    "torn": "the response ends properly, inside an event",
    "cut": "the connection ends inside an event, without the end of the response",
    "reset": "the connection is reset",
    "half-open": "nothing comes any more, and the connection stays",
    "slow": "the event comes byte by byte",
    "short-chunk": "a chunk is shorter than it was announced, and the connection ends",
    "utf8": "a byte of the event is no UTF-8, whenever it is sent",
    "oversize": "the event is of `size` bytes, whenever it is sent",
    "redirect": "the connection ends, and the next request is sent elsewhere",
    "429": "the connection ends, and the next request is one too many",
    "403": "the connection ends, and the next request is forbidden",
    "500": "the connection ends, and the next request fails",
    "503": "the connection ends, and the next request finds the server overloaded",
}
STATUS = {"redirect": 302, "429": 429, "403": 403, "500": 500, "503": 503}
_IN_THE_LOG = {"utf8", "oversize"}
_MIDDLE = {"torn", "cut", "reset", "half-open", "short-chunk"}
#: Of those that a seed chooses: what a client must survive without losing or waiting for long.
RANDOM = ("close", "torn", "cut", "reset", "short-chunk", "utf8", "429", "500", "503")
OVERSIZE = 8 * 1024 * 1024


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong. ``byte``: within the event, or of the connection; None is the kind's own.

    ``seconds``: how long it lasts (half-open: until the client leaves), or Retry-After of a status;
    of ``slow`` the pause after each byte.
    """

    kind: str
    event: int | None = None
    connection: int | None = None
    byte: int | None = None
    seconds: float | None = None
    size: int = OVERSIZE

    def at(self, length: int) -> int:
        """The byte within its event of that length."""
        if self.byte is not None:
            return min(self.byte, length)
        if self.kind == "slow":
            return 0
        return length // 2 if self.kind in _MIDDLE else length

    @property
    def refuses(self) -> bool:
        """Whether it answers a request, instead of what is sent."""
        return self.kind in STATUS


def parse(text: str) -> Fault:
    """The fault that a text describes; ProjectError (``bad-fault``) says what it may be."""
    kind, _, place = text.strip().partition("@")
    if kind not in KINDS:
        raise _bad(text, f"there is no fault '{kind}'", did_you_mean(kind, KINDS))
    numbers: dict[str, float] = {}
    for part in filter(None, place.split(",")):
        name, _, value = part.partition("=")
        try:
            if name not in ("event", "connection", "byte", "seconds", "size") or float(value) < 0:
                raise ValueError(name)
            numbers[name] = float(value)
        except ValueError:
            raise _bad(text, f"'{part}' is not understood", "") from None
    seconds = numbers.pop("seconds", None)
    fault = Fault(kind, seconds=seconds, **{name: int(value) for name, value in numbers.items()})
    if (fault.event is None) == (fault.connection is None):
        raise _bad(text, "it has no place, or two", "")
    if fault.kind in _IN_THE_LOG and fault.event is None:
        raise _bad(text, f"{kind} is of an event", "")
    return fault


def at_random(count: int, *, seed: int, events: int) -> list[Fault]:
    """As many faults, at most one an event; the same for the same seed."""
    rng = random.Random(seed)
    places = sorted(rng.sample(range(events), min(count, events)))
    return [Fault(rng.choice(RANDOM), event=place, seconds=0) for place in places]


def changes(faults: Iterable[Fault]) -> dict[int, Change]:
    """What the faults do to the events themselves, by position."""
    found: dict[int, Change] = {}
    for fault in faults:
        if fault.event is not None and fault.kind in _IN_THE_LOG:
            found[fault.event] = _not_utf8 if fault.kind == "utf8" else _grown(fault.size)
    return found


def in_transit(faults: Iterable[Fault]) -> list[Fault]:
    """Those that happen while the server answers."""
    return [fault for fault in faults if fault.kind not in _IN_THE_LOG]


def _not_utf8(data: bytes) -> bytes:
    # Inside a string, where a reader that replaces or drops the byte still finds JSON.
    at = data.find(b'"', data.find(b'"title":"') + 9) if b'"title":"' in data else len(data) // 2
    return data[:at] + b"\xff" + data[at:]


def _grown(size: int) -> Change:
    def change(data: bytes) -> bytes:
        room = size - len(data) - len(b'"padding":"",')
        return data[:1] + b'"padding":"' + b"x" * max(room, 0) + b'",' + data[1:]

    return change


def _bad(text: str, why: str, hint: str) -> ProjectError:
    fix = hint or "write KIND@event=K[,byte=B][,seconds=S][,size=N] or KIND@connection=C[,byte=B][,seconds=S]"
    return fail("bad-fault", None, f"'{text}' is no fault", why=why, fix=fix)
