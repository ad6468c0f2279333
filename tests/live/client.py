"""The simplest client of the stream: a request goes out, the events that arrived whole come back."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

AGENT = "tests/1.0 (tests@example.org)"


@dataclass(frozen=True)
class Event:
    """An event that arrived whole."""

    id: str
    data: bytes


@dataclass(frozen=True)
class Answer:
    """All of a response: the body's bytes, and whether the response ended as HTTP says."""

    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool

    @property
    def events(self) -> list[Event]:
        found = []
        for block in self.body.split(b"\n\n")[:-1]:
            if block.startswith(b"event"):
                lines = [line.partition(b": ")[::2] for line in block.split(b"\n")]
                data = b"\n".join(value for name, value in lines if name == b"data")
                found.append(Event(dict(lines)[b"id"].decode(), data))
        return found

    @property
    def tail(self) -> bytes:
        """What came of an event that never ended."""
        return self.body.rsplit(b"\n\n", 1)[-1]


def get(url: str, *, agent: str = AGENT, last: str | None = None, since: str | None = None) -> Answer:
    """Reads until the response ends, however it does."""
    headers = {"User-Agent": agent, "Accept-Encoding": "identity"}
    if last is not None:
        headers["Last-Event-ID"] = last
    body, complete = bytearray(), True
    with requests.get(
        url, headers=headers, params={"since": since} if since else None, stream=True,
        timeout=(10, 30), allow_redirects=False,
    ) as response:  # fmt: skip
        try:
            for chunk in response.iter_content(chunk_size=None):
                body += chunk
        except requests.RequestException:
            complete = False
    return Answer(response.status_code, dict(response.headers), bytes(body), complete)


class Socket:
    """A connection whose bytes are looked at as they come, and which can stay open."""

    def __init__(self, url: str, last: str | None = None) -> None:
        where = urlsplit(url)
        assert where.hostname is not None
        assert where.port is not None
        self.socket = socket.create_connection((where.hostname, where.port), timeout=30)
        resume = f"Last-Event-ID: {last}\r\n" if last else ""
        self.socket.sendall(
            f"GET {where.path} HTTP/1.1\r\nHost: test\r\nUser-Agent: {AGENT}\r\n{resume}\r\n".encode()
        )
        self.received = b""

    def until(self, wanted: bytes) -> bytes:
        """All that was received, once ``wanted`` is in it."""
        while wanted not in self.received:
            more = self.socket.recv(65536)
            assert more, f"ended without {wanted!r}: {self.received[-200:]!r}"
            self.received += more
        return self.received

    def to_the_end(self) -> bytes:
        """All until the end of the connection; ConnectionResetError when it is reset."""
        while more := self.socket.recv(65536):
            self.received += more
        return self.received

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
