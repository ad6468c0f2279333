"""Connections over real HTTP on this machine: what is asked, what each answer means, how each ends."""

from __future__ import annotations

import threading

import pytest

from producer.backoff import LONGEST_ASKED, retry_after
from producer.connection import Address, Lost
from producer.errors import Misconfigured
from producer.url import Unresolved, checked, demand_public
from tests.producer.http import Answer, serving


def opened(url: str, **options: float) -> object:
    return Address(url, "me@example.org", **options).open(position=None, since=None)  # type: ignore[arg-type]


def test_what_is_asked() -> None:
    with serving(lambda n: Answer(chunks=[b"data: 1\n\n"])) as fake:
        address = Address(fake.url, "me@example.org")
        assert (
            b"".join(filter(None, address.open(position=None, since="2026-10-01T00:00:00Z")))
            == b"data: 1\n\n"
        )
        assert b"".join(filter(None, address.open(position="[1]", since="x"))) == b"data: 1\n\n"
    first, second = fake.asked
    assert first["path"].endswith("?since=2026-10-01T00%3A00%3A00Z")
    assert "me@example.org" in first["User-Agent"]
    assert (first["Accept-Encoding"], first["Accept"]) == ("identity", "text/event-stream")
    assert "Last-Event-ID" not in first
    assert (second["Last-Event-ID"], "?" in second["path"]) == ("[1]", False)


@pytest.mark.parametrize("chunked", [True, False])
def test_events_arrive_while_the_connection_stays_open(chunked: bool) -> None:
    with serving(
        lambda n: Answer(chunks=[b"data: 1\n\n", b"data: 2\n\n"], chunked=chunked, hang=True)
    ) as fake:
        connection = Address(fake.url, "me@example.org").open(position=None, since=None)
        found = b""
        for chunk in connection:
            found += chunk or b""
            if found.endswith(b"2\n\n"):
                break
        connection.close()
        for thread in threading.enumerate():
            if thread.name == "stream":  # what it meets then is nobody's error
                thread.join()
        assert list(connection) == []


def test_a_silent_connection_gives_way_and_is_given_up() -> None:
    with serving(lambda n: Answer(chunks=[b"data: 1\n\n"], hang=True)) as fake:
        parts = iter(Address(fake.url, "me@example.org", read_timeout=0.8).open(position=None, since=None))
        assert next(parts) == b"data: 1\n\n"
        assert next(parts) is None
        with pytest.raises(Lost, match="cut off"):
            list(parts)


def test_a_connection_that_is_cut_off_hands_out_what_arrived_before() -> None:
    with serving(lambda n: Answer(chunks=[b"data: 1\n\ndata: 2"], cut=True)) as fake:
        parts = iter(Address(fake.url, "me@example.org").open(position=None, since=None))
        assert next(parts) == b"data: 1\n\ndata: 2"
        with pytest.raises(Lost):
            list(parts)


@pytest.mark.parametrize(
    ("status", "header", "wait"),
    [(429, "7", 7.0), (503, None, None), (500, "x", None), (502, "99999999", 300.0)],
)
def test_what_may_pass_is_tried_again(status: int, header: str | None, wait: float | None) -> None:
    with (
        serving(lambda n: Answer(status, {"Retry-After": header} if header else {})) as fake,
        pytest.raises(Lost, match=str(status)) as lost,
    ):
        opened(fake.url)
    assert lost.value.wait == wait


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        (Answer(403), "stream-refused", "--contact"),
        (Answer(404), "stream-refused", "--url"),
        (Answer(401), "stream-refused", "login"),
        (Answer(400), "stream-refused", "--since"),
        (Answer(302, {"Location": "http://169.254.169.254/\r"}), "redirected", "a redirect is not followed"),
        (Answer(200, {"Content-Type": "text/html"}), "not-a-stream", "text/html"),
    ],
)
def test_what_will_not_pass_says_what_to_do(answer: Answer, code: str, says: str) -> None:
    with serving(lambda n: answer) as fake, pytest.raises(Misconfigured) as fault:
        opened(fake.url)
    assert fault.value.fault.code == code
    assert says in str(fault.value)
    assert len(fake.asked) == 1


def test_nobody_there_may_pass() -> None:
    with serving(lambda n: Answer()) as fake:
        pass
    with pytest.raises(Lost, match="not reached"):
        opened(fake.url)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3", 3), ("0", 0), ("99999999999999999999", LONGEST_ASKED), ("-1", None), ("soon", None), (None, None),
     ("Thu, 01 Jan 1970 00:01:40 GMT", 40), ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("²", None)],
)  # fmt: skip
def test_retry_after_is_a_number_or_a_date(text: str | None, seconds: float | None) -> None:
    assert retry_after(text, now=60.0) == seconds


# --------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    "url",
    [
        "ftp://stream.wikimedia.org/",
        "file:///etc/passwd",
        "http://stream.wikimedia.org/",
        "https://example.org/",
        "https://stream.wikimedia.org.example.org/",
        "https://stream.wikimedia.org@example.org/",
        "https://me:secret@stream.wikimedia.org/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::ffff:169.254.169.254]/",
        "http://127.0.0.1.example.org/",
        "https://stream.wikimedia.org:99999/",
        "https:///x",
        "",
        "//x",
        "https://[",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(Misconfigured) as fault:
        checked(url)
    assert fault.value.fault.code == "url-refused"
    assert "secret" not in str(fault.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://stream.wikimedia.org/v2/stream/recentchange",
        "http://127.0.0.1:8000/x",
        "http://[::1]/",
        "http://localhost/",
    ],
)
def test_addresses_that_are_asked(url: str) -> None:
    checked(url)


def test_another_host_is_allowed_by_name_and_needs_https() -> None:
    checked("https://events.example.org/x", allowed=["events.example.org"])
    with pytest.raises(Misconfigured, match="http is for this machine"):
        checked("http://events.example.org/x", allowed=["events.example.org"])


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "169.254.169.254", "fe80::1%eth0", "127.0.0.1", "::1", "224.0.0.1", "0.0.0.0"]
)
def test_a_name_that_leads_into_a_private_network_is_refused(address: str) -> None:
    with pytest.raises(Misconfigured, match="not public"):
        demand_public("stream.wikimedia.org", resolve=lambda host: ["208.80.154.224", address])
    demand_public("stream.wikimedia.org", resolve=lambda host: ["208.80.154.224"])


def test_a_name_that_leads_nowhere_may_pass() -> None:
    with pytest.raises(Unresolved):
        demand_public("stream.invalid")
