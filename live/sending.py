"""One stream on its way: events go in as they happen, chunks go out, until something ends it."""

from __future__ import annotations

import select
import socket
import struct
import time
from typing import TYPE_CHECKING

from live.faults import Fault

if TYPE_CHECKING:
    from live.eventstreams import EventStreams

NO_LINGER = struct.pack("ii", 1, 0)  # SO_LINGER: a socket that is closed with it is reset

_BATCH_BYTES = 64 * 1024
_IDLE_SECONDS = 0.02  # how often a connection that waits for events looks whether its client is there


class Sending:
    """One stream on its way: where it is, and how many bytes of it were sent."""

    def __init__(self, streams: EventStreams, connection: socket.socket, number: int, first: int) -> None:
        self.streams, self.connection, self.number = streams, connection, number
        self.first = self.position = first
        self.bytes = self.partial = 0

    def run(self) -> str:
        """Sends until something ends it; what that was."""
        streams, rules = self.streams, self.streams.rules
        began = time.monotonic()
        self._chunk(b":ok\n\n")
        while not streams.stopping.is_set():
            limit = None if streams.frozen else rules.disconnect_seconds
            if limit is not None and time.monotonic() - began >= limit:
                return self._close("disconnect")
            available = streams.available()
            if rules.disconnect_events is not None:
                available = min(available, self.first + rules.disconnect_events)
                if self.position >= self.first + rules.disconnect_events:
                    return self._close("disconnect")
            if self.position >= available:
                if rules.end and available == len(streams.spool):
                    return self._close("end")
                if self._left(_IDLE_SECONDS):
                    break
                continue
            end = min(streams.spool.upto(self.position, _BATCH_BYTES), available)
            due = streams.next_fault(self.number, self.position, end, self.bytes)
            if due is None:
                self._events(end)
            elif ended := self._go_wrong(*due):
                return ended
        return "server stopped" if streams.stopping.is_set() else "client left"

    def _events(self, end: int) -> None:
        if end > self.position:
            self.streams.happen(end)
            content = self.streams.spool.frames(self.position, end)
            self._chunk(content)
            self._advance(end, len(content))

    def _advance(self, end: int, count: int) -> None:
        first, self.position = self.position, end
        self.bytes += count
        self.streams.was_sent(first, end)

    def _go_wrong(self, fault: Fault, event: int, byte: int) -> str:
        """What is before the fault, then the fault; empty when the stream goes on after it."""
        self._events(event)
        self.streams.happen(event + 1)
        content = self.streams.spool.frames(event, event + 1)
        if fault.kind == "slow":
            for at in range(len(content)):
                self._chunk(content[at : at + 1])
                if fault.seconds and self.streams.stopping.wait(fault.seconds):
                    return "server stopped"
            self._advance(event + 1, len(content))
            return ""
        if fault.kind == "short-chunk":
            byte = min(byte, len(content) - 1)
            self.connection.sendall(b"%X\r\n" % len(content) + content[:byte])
        elif byte:
            self._chunk(content[:byte])
        if byte == len(content):
            self._advance(event + 1, byte)
        else:
            self.partial = byte
            self.bytes += byte
        if fault.kind == "half-open":
            until = time.monotonic() + (fault.seconds if fault.seconds is not None else float("inf"))
            while not self.streams.stopping.is_set() and time.monotonic() < until:
                if self._left(_IDLE_SECONDS):
                    break
        elif fault.kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        elif fault.kind in ("close", "torn") or fault.refuses:
            return self._close(fault.kind)
        return fault.kind

    def _chunk(self, content: bytes) -> None:
        self.connection.sendall(b"%X\r\n%s\r\n" % (len(content), content))

    def _close(self, ended: str) -> str:
        self.connection.sendall(b"0\r\n\r\n")
        return ended

    def _left(self, seconds: float) -> bool:
        """Whether the client has closed; waits so long for it."""
        readable, _, _ = select.select([self.connection], [], [], seconds)
        return bool(readable) and self.connection.recv(4096) == b""
