"""A server like EventStreams: requests for ``/v2/stream/recentchange`` come in, a stream of events goes out.

It keeps the real server's rules (contact, connections, ids, resuming by time), goes wrong where it is told
to, and writes a ledger. ``GET /status`` tells how far it is, as JSON.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

from live import asks, ports
from live.asks import Refusal
from live.faults import STATUS, Fault, in_transit
from live.ledger import Connection, Ledger
from live.sending import NO_LINGER, Sending
from live.spool import Spool
from runner.errors import Fault as Wrong
from runner.errors import RunFailed

PATH = "/v2/stream/recentchange"


@dataclass(frozen=True)
class Rules:
    """How the server behaves. ``rate``: events a second from the first connection on; None is at once.

    ``end``: whether the connection is closed after the last event, or stays open as the real one's.
    """

    rate: float | None = None
    disconnect_seconds: float | None = None
    disconnect_events: int | None = None
    connections: int = 2
    retry_after: int = 1
    end: bool = False


class EventStreams:
    """The running server; as a context manager it is stopped at the end."""

    def __init__(self, spool: Spool, rules: Rules, faults: list[Fault], ledger: Ledger, port: int) -> None:
        self.spool, self.rules, self.ledger = spool, rules, ledger
        self._changed = threading.Condition()
        self._pending = in_transit(faults)
        self._open: Counter[str] = Counter()
        self._requests = 0
        self._started: float | None = None
        self._happened = 0
        self._sent = bytearray(len(spool))
        self._distinct = 0
        self._frozen: int | None = None
        self.stopping = threading.Event()
        self._sockets: set[socket.socket] = set()
        try:
            self._http = _Server((ports.HOST, port), self)
        except OSError as error:
            what, fix = f"port {port} of {ports.HOST} is taken", "stop what listens there, or name another"
            raise RunFailed(Wrong("port-taken", None, what, error.strerror or "", fix)) from None
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.02,), name="eventstreams", daemon=True
        )

    @classmethod
    def start(
        cls,
        spool: Spool,
        *,
        rules: Rules | None = None,
        faults: list[Fault] | None = None,
        ledger: Path | None = None,
        port: int = 0,
    ) -> EventStreams:
        """A server that answers; RunFailed (``port-taken``). The spool is closed with it."""
        server = cls(spool, rules or Rules(), faults or [], Ledger(ledger), port)
        server._thread.start()
        return server

    @property
    def url(self) -> str:
        """What a client asks for."""
        return f"http://{ports.HOST}:{self._http.server_port}{PATH}"

    @property
    def status(self) -> dict[str, int]:
        """Counts: events in all, happened, distinct ones sent in full, requests, open streams."""
        with self._changed:
            return {
                "events": len(self.spool),
                "happened": self._happened,
                "sent": self._distinct,
                "requests": self._requests,
                "open": sum(self._open.values()),
            }

    @property
    def frozen(self) -> bool:
        """Whether nothing happens any more."""
        return self._frozen is not None

    def wait_sent(self, count: int | None = None, timeout: float = 60) -> bool:
        """Until so many distinct events (all) were sent in full; False when that took too long."""
        with self._changed:
            wanted = len(self.spool) if count is None else count
            return self._changed.wait_for(lambda: self._distinct >= wanted, timeout)

    def wait_closed(self, timeout: float = 60) -> bool:
        """Until no stream is open, and the ledger tells of all that were."""
        with self._changed:
            return self._changed.wait_for(lambda: not sum(self._open.values()), timeout)

    def freeze(self) -> int:
        """Nothing happens any more; how many events did. What happened is still sent.

        Connections are not ended by time any more: each would bring repeats, and nobody could tell the end.
        """
        available = self.available()
        with self._changed:
            self._frozen = max(available, self._happened)
            return self._frozen

    def stop(self) -> None:
        """All connections end, the ledger is complete, the spool is gone."""
        self.stopping.set()
        self._http.shutdown()
        self._thread.join()
        with self._changed:
            for one in self._sockets:
                _hang_up(one)
        self._http.server_close()  # waits for the threads of the connections
        self.ledger.close()
        self.spool.close()

    def __enter__(self) -> EventStreams:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ------------------------------------------------------------------ what the connections' threads ask

    def admit(self, client: str) -> tuple[int, Fault | None]:
        """The number of a request, and the fault that refuses it; Refusal for a connection too many."""
        with self._changed:
            number = self._requests
            self._requests += 1
            due = [one for one in self._pending if one.refuses and one.connection == number]
            if due:
                self._pending.remove(due[0])
                return number, due[0]
            if self._open[client] >= self.rules.connections:
                raise Refusal(429, "too many connections from your address", self.rules.retry_after)
            self._open[client] += 1
            return number, None

    def leave(self, client: str, connection: socket.socket) -> None:
        with self._changed:
            self._open[client] -= 1
            self._sockets.discard(connection)
            self._changed.notify_all()

    def enter(self, connection: socket.socket) -> int:
        """Where a stream without a position begins: at what happens next, the first one at the beginning."""
        with self._changed:
            self._sockets.add(connection)
            if self._started is None:
                self._started = time.monotonic()
                return 0
            return max(self._happened, 0 if self.rules.rate is None else self.available())

    def available(self) -> int:
        """How many events have happened and can be sent."""
        frozen = self._frozen
        if frozen is not None:
            return frozen
        if self.rules.rate is None:
            return len(self.spool)
        since = 0.0 if self._started is None else time.monotonic() - self._started
        return min(len(self.spool), int(since * self.rules.rate))

    def happen(self, end: int) -> None:
        """All events before ``end`` are in the ledger."""
        with self._changed:
            if end > self._happened:
                self.ledger.events(self.spool.ledger_lines(self._happened, end))
                self._happened = end

    def was_sent(self, first: int, end: int) -> None:
        with self._changed:
            self._sent.extend(bytes(max(end - len(self._sent), 0)))  # the spool may have grown
            self._distinct += (end - first) - sum(self._sent[first:end])
            self._sent[first:end] = b"\x01" * (end - first)
            self._changed.notify_all()

    def next_fault(self, number: int, first: int, end: int, sent: int) -> tuple[Fault, int, int] | None:
        """The first fault in the events ``first`` to ``end`` of a connection that has sent so many bytes.

        With it: the event it is in, and the byte of that event. It is not pending any more.
        """
        found: list[tuple[int, int, Fault]] = []
        ends = self.spool.ends(first, end)
        with self._changed:
            for fault in self._pending:
                if fault.event is not None and first <= fault.event < end:
                    at = fault.event - first
                    length = ends[at] - (ends[at - 1] if at else 0)
                    found.append((fault.event, fault.at(length), fault))
                elif fault.connection == number and not fault.refuses and sent <= (fault.byte or 0):
                    offset = (fault.byte or 0) - sent
                    there = next((n for n, one in enumerate(ends) if offset < one), None)
                    if there is not None:
                        within = offset - (ends[there - 1] if there else 0)
                        found.append((first + there, within, fault))
            if not found:
                return None
            event, byte, fault = min(found, key=lambda one: one[:2])
            self._pending.remove(fault)
            if fault.refuses:  # it answers the next request, whichever that is
                self._pending.append(Fault(fault.kind, connection=self._requests, seconds=fault.seconds))
            return fault, event, byte


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # waited for: their lines belong in the ledger
    block_on_close = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], streams: EventStreams) -> None:
        self.streams = streams
        super().__init__(address, _Handler)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        assert isinstance(request, socket.socket)
        if request.fileno() != -1 and request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == NO_LINGER:
            self.close_request(request)  # without the polite end that would come before the reset
        else:
            super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no error of ours; anything else is."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        streams = self.server.streams
        self.close_connection = True
        path = urlsplit(self.path)
        if path.path == "/status":
            self._answer(200, json.dumps(streams.status), {"Content-Type": "application/json"})
            return
        client, since = self.client_address[0], parse_qs(path.query).get("since", [None])[0]
        last = self.headers.get("Last-Event-ID")
        try:
            if path.path != PATH:
                raise Refusal(404, "there is no such stream")
            asks.contact(self.headers.get("User-Agent"))
            number, refused = streams.admit(client)
        except Refusal as refusal:
            streams.ledger.connection(Connection(-1, refusal.status, last, since, 0, 0, 0, 0, "refused"))
            self._refuse(refusal)
            return
        if refused is not None:
            status = STATUS[refused.kind]
            streams.ledger.connection(Connection(number, status, last, since, 0, 0, 0, 0, refused.kind))
            self._refuse(Refusal(status, f"a fault of the test: {refused.kind}", refused.seconds))
            return
        try:
            self._stream(streams, number, last, since)
        finally:
            streams.leave(client, self.connection)

    def _stream(self, streams: EventStreams, number: int, last: str | None, since: str | None) -> None:
        newest = streams.enter(self.connection)
        try:
            first = asks.position(
                streams.spool, last=last, since=since, newest=newest, end=streams.available()
            )
        except Refusal as refusal:
            streams.ledger.connection(Connection(number, refusal.status, last, since, 0, 0, 0, 0, "refused"))
            self._refuse(refusal)
            return
        sending = Sending(streams, self.connection, number, first)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "private, max-age=0, no-cache, no-store, must-revalidate")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        try:
            self.end_headers()
            ended = sending.run()
        except OSError:
            ended = "server stopped" if streams.stopping.is_set() else "client left"
        streams.ledger.connection(
            Connection(
                number, 200, last, since, first, sending.position, sending.bytes, sending.partial, ended
            )
        )

    def _refuse(self, refusal: Refusal) -> None:
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if refusal.status == 429 or refusal.retry_after is not None:
            headers["Retry-After"] = str(int(refusal.retry_after or 0))
        if refusal.status == 302:
            headers["Location"] = "/v2/stream/elsewhere"
        self._answer(refusal.status, refusal.why, headers)

    def _answer(self, status: int, text: str, headers: dict[str, str]) -> None:
        body = text.encode() + b"\n"
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body)), "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the ledger tells of every connection."""


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has ended by itself
        connection.shutdown(socket.SHUT_RDWR)
