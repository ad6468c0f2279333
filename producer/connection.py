"""One connection: an address and a position go in, chunks of bytes come out, None when none came.

A thread reads and holds no more than ``ROOM`` bytes; when nobody takes them the socket fills, and the server
waits. So the loop never hangs on a silent server.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import requests
import urllib3

from producer import url as urls
from producer.backoff import retry_after
from producer.errors import Misconfigured, shown

ROOM = 1 << 20
CHUNK = 1 << 16
#: Seconds after which a silent stream gives way to what else there is to do.
TICK = 0.5


class Lost(Exception):
    """The connection failed or was refused for now. ``wait``: seconds that the server asked for."""

    def __init__(self, text: str, *, wait: float | None = None) -> None:
        super().__init__(text)
        self.wait = wait


@dataclass(frozen=True)
class Address:
    """What to ask. ``contact``: an address of who runs this, for the User-Agent; timeouts in seconds."""

    url: str
    contact: str
    allowed: tuple[str, ...] = ()
    connect_timeout: float = 10
    read_timeout: float = 45

    def open(self, *, position: str | None, since: str | None) -> Connection:
        """:class:`Lost` when it may work later, :class:`Misconfigured` when it will not."""
        parts = urls.checked(self.url, allowed=self.allowed)
        try:
            urls.demand_public(parts.hostname or "")
        except urls.Unresolved as error:
            raise Lost(str(error)) from error
        headers = {
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",
            "Cache-Control": "no-cache",
            "User-Agent": f"medallion-producer/0.1 ({self.contact})",
        }
        if position is not None:
            headers["Last-Event-ID"] = position
        session = requests.Session()
        # Neither a proxy nor a password of the environment: the address that was checked is the one asked.
        session.trust_env = False
        try:
            response = session.get(
                self.url,
                params={"since": since} if since and position is None else None,
                headers=headers,
                stream=True,
                timeout=(self.connect_timeout, self.read_timeout),
                allow_redirects=False,
            )
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader, UnicodeError) as error:
            raise Misconfigured("url-refused", f"{self.url} cannot be asked: {shown(error)}") from error
        except requests.exceptions.SSLError as error:
            raise Lost(f"the certificate was not accepted: {shown(error)}") from error
        except requests.RequestException as error:
            raise Lost(f"not reached: {shown(error)}") from error
        _demand_stream(response, self.url)
        return Connection(response)


def _demand_stream(response: requests.Response, url: str) -> None:
    status = response.status_code
    kind = response.headers.get("Content-Type", "")
    if status == 200 and kind.partition(";")[0].strip().lower() == "text/event-stream":
        return
    asked = retry_after(response.headers.get("Retry-After"), time.time())
    where = shown(response.headers.get("Location", ""))
    response.close()
    if status in (408, 425, 429) or status >= 500:
        raise Lost(f"the server answered {status}", wait=asked)
    if status == 200:
        raise Misconfigured(
            "not-a-stream", f"{url} answered with {shown(kind) or 'no type'}, not with text/event-stream",
            fix="ask a stream of events, such as " + urls.DEFAULT,
        )  # fmt: skip
    if 300 <= status < 400:
        raise Misconfigured(
            "redirected", f"{url} leads on to {where}", why="a redirect is not followed",
            fix="give the new address with --url, if it is one to trust",
        )  # fmt: skip
    fixes = {
        403: "name an address at which you can be reached: --contact you@example.org",
        404: "see that --url names a stream that exists",
        401: "this stream wants a login, which the producer has not",
        400: "see that --since is a time, and that the stored position is of this stream",
    }
    raise Misconfigured("stream-refused", f"{url} answered {status}", fix=fixes.get(status, "see --url"))


class Connection:
    """Iterate over it once. ``close`` ends it from whatever thread."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self._ready = threading.Condition()
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._error: Lost | None = None
        threading.Thread(target=self._read, name="stream", daemon=True).start()

    def __iter__(self) -> Iterator[bytes | None]:
        """All that has arrived as one chunk; None after ``TICK`` seconds of silence; :class:`Lost`."""
        while True:
            with self._ready:
                if not self._chunks and not self._ended:
                    self._ready.wait(TICK)
                chunk = b"".join(self._chunks)
                self._chunks.clear()
                self._size = 0
                ended = self._ended
                self._ready.notify_all()
            if chunk:
                yield chunk
            elif not ended:
                yield None
            else:
                if self._error:
                    raise self._error
                return

    def close(self) -> None:
        with self._ready:
            self._ended = True
            self._ready.notify_all()
        with suppress(Exception):
            self._response.raw.shutdown()

    def _read(self) -> None:
        error: Lost | None = None
        try:
            for chunk in self._arriving():
                with self._ready:
                    while self._size >= ROOM and not self._ended:
                        self._ready.wait()
                    if self._ended:
                        break
                    self._chunks.append(chunk)
                    self._size += len(chunk)
                    self._ready.notify_all()
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as problem:
            error = Lost(f"cut off: {shown(problem)}")
        except (ValueError, AttributeError):  # closed while it was read
            error = Lost("closed")
        finally:
            with self._ready:
                if not self._ended:  # else it was closed, and that is how closing looks to who reads
                    self._error = error
                self._ended = True
                self._ready.notify_all()
            self._response.close()

    def _arriving(self) -> Iterable[bytes]:
        raw = self._response.raw
        if getattr(raw, "chunked", False):
            # By pieces of the server's chunks: never waiting for more, never more than CHUNK at once.
            return self._response.iter_content(CHUNK)
        # Without chunks iter_content would wait until CHUNK is full.
        return iter(lambda: raw.read1(CHUNK), b"")
