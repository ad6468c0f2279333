"""Which addresses may be asked: a URL goes in and comes out, or the reason why it is refused.

The producer runs inside a network that trusts it: whoever can set its URL must not reach that network.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from urllib.parse import SplitResult, urlsplit

from producer.errors import Misconfigured

HOSTS = ("stream.wikimedia.org",)
DEFAULT = "https://stream.wikimedia.org/v2/stream/recentchange"
Resolve = Callable[[str], Iterable[str]]


class Unresolved(Exception):
    """The name is not known at the moment."""


def checked(url: str, *, allowed: Iterable[str] = ()) -> SplitResult:
    """The parts of a URL that may be asked, by its text alone; :class:`Misconfigured` otherwise."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise _refused(url, str(error), "write it as https://HOST/PATH") from error
    if parts.scheme not in ("http", "https") or not host:
        raise _refused(url, "it is no https address", "write it as https://HOST/PATH")
    if parts.username is not None or parts.password is not None:
        raise _refused(f"{parts.scheme}://…@{host}", "it holds credentials", "take them out")
    if loopback(host):
        return parts
    if parts.scheme == "http":
        raise _refused(url, "http is for this machine alone", "write https")
    if host not in {*HOSTS, *(name.lower() for name in allowed)}:
        raise _refused(url, f"{host} is not among the hosts that may be asked", f"add --allow-host {host}")
    return parts


def demand_public(host: str, *, resolve: Resolve | None = None) -> None:
    """Refuse a name that leads into a private network; :class:`Unresolved` when it leads nowhere now."""
    if loopback(host):
        return
    for text in (resolve or _addresses)(host):
        address = ipaddress.ip_address(text.partition("%")[0])
        if not address.is_global or address.is_multicast:
            raise _refused(
                host, f"its address {address} is not public", "ask a public host, or one on this machine"
            )


def loopback(host: str) -> bool:
    """This machine, by its usual names; what resolves to it by another name is not meant."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _addresses(host: str) -> list[str]:
    try:
        return [str(info[4][0]) for info in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise Unresolved(f"{host}: {error}") from error


def _refused(url: str, why: str, fix: str) -> Misconfigured:
    return Misconfigured("url-refused", f"the stream's address {url} is refused", why=why, fix=fix)
