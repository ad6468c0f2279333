"""An HTTP server on this machine that answers each request with what the test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answer:
    """``chunks`` as the body of a stream; ``chunked``: in HTTP chunks, else until the connection closes;
    ``hang``: then wait until the test is over; ``cut``: end without the last chunk."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)
    chunked: bool = True
    hang: bool = False
    cut: bool = False


@dataclass
class Fake:
    url: str
    asked: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def serving(answer: Callable[[int], Answer]) -> Iterator[Fake]:
    """``answer`` gets the number of the request, from 0."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            fake.asked.append({**dict(self.headers), "path": self.path})
            said = answer(len(fake.asked) - 1)
            self.send_response(said.status)
            for name, value in {"Content-Type": "text/event-stream; charset=utf-8", **said.headers}.items():
                self.send_header(name, value)
            if said.status != 200:
                self.send_header("Content-Length", "0")
            elif said.chunked:
                self.send_header("Transfer-Encoding", "chunked")
            self.send_header("Connection", "close")
            self.end_headers()
            for chunk in said.chunks:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if said.chunked else chunk)
            self.wfile.flush()
            if said.hang:
                over.wait(30)
            if said.chunked and said.status == 200 and not said.cut:
                self.wfile.write(b"0\r\n\r\n")
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake = Fake(f"http://127.0.0.1:{server.server_port}/v2/stream/recentchange")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield fake
    finally:
        over.set()
        server.shutdown()
        server.server_close()
