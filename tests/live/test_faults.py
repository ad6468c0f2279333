"""Each fault looks to a client as it says, at the place that was asked for, and happens once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from live import captures, faults, ledger
from live.eventstreams import EventStreams
from live.spool import Spool
from runner.errors import ProjectError
from tests.live.client import Answer, Socket, get
from tests.live.conftest import Serve

LINES = [one.data for one in captures.generated(events=60, seed=1)]


def rest(server: EventStreams) -> Answer:
    """What a client gets that begins again from the start."""
    return get(server.url, since="2000-01-01T00:00:00Z")


def data(answer: Answer) -> list[bytes]:
    return [one.data for one in answer.events]


def test_close_ends_the_response_after_the_event(serve: Serve) -> None:
    server = serve(60, wrong=["close@event=9"])
    first = get(server.url)
    assert first.complete
    assert first.tail == b""
    assert data(first) == LINES[:10]
    assert data(rest(server)) == LINES


@pytest.mark.parametrize(("kind", "complete"), [("torn", True), ("cut", False), ("short-chunk", False)])
@pytest.mark.parametrize("byte", [1, 40, 200])
def test_an_event_is_cut_at_the_byte(
    serve: Serve, ledger: Path, kind: str, complete: bool, byte: int
) -> None:
    server = serve(60, wrong=[f"{kind}@event=9,byte={byte}"])
    first = get(server.url)
    assert first.complete is complete
    assert data(first) == LINES[:9]
    if kind != "short-chunk":  # of a chunk that never ends, clients show nothing
        assert len(first.tail) == byte
    assert server.wait_closed()
    assert data(rest(server)) == LINES
    assert _connections(ledger)[0] == (0, 9, byte, kind)


def test_a_short_chunk_is_short_on_the_wire(serve: Serve) -> None:
    with Socket(serve(60, wrong=["short-chunk@event=3,byte=50"]).url) as one:
        received = one.to_the_end()
    announced, _, content = received.rpartition(b"\r\n")
    assert len(content) == 50
    assert int(announced.rsplit(b"\r\n", 1)[-1], 16) > 50


def test_a_connection_is_cut_at_its_byte(serve: Serve, ledger: Path) -> None:
    server = serve(60, wrong=["cut@connection=1,byte=5000"])
    assert data(get(server.url)) == LINES
    second = rest(server)
    assert len(second.body) == 5000 + len(b":ok\n\n")
    assert not second.complete
    assert data(rest(server)) == LINES
    first, end, partial, ended = _connections(ledger)[1]
    assert (first, ended) == (0, "cut")
    assert data(second) == LINES[:end]
    assert partial == len(second.tail)


def test_every_byte_of_a_stream_can_be_the_last(serve: Serve) -> None:
    few = list(captures.generated(events=3, seed=1))
    whole = Spool(few).frames(0, 3)
    places = range(0, len(whole), 97)
    server = serve(few, wrong=[f"torn@connection={n},byte={place}" for n, place in enumerate(places)])
    for place in places:
        assert rest(server).body == b":ok\n\n" + whole[:place]
    assert rest(server).body == b":ok\n\n" + whole


def test_a_reset_is_a_reset(serve: Serve) -> None:
    with Socket(serve(60, wrong=["reset@event=9"]).url) as one, pytest.raises(ConnectionResetError):
        one.to_the_end()


def test_half_open_is_silent_and_stays(serve: Serve, ledger: Path) -> None:
    server = serve(60, wrong=["half-open@event=9,byte=30"])
    with Socket(server.url) as one:
        assert server.wait_sent(9)
        one.until(b"data: " + LINES[8])
        assert server.status["open"] == 1
        assert LINES[9] not in one.received
    assert server.wait_closed()
    assert data(rest(server)) == LINES
    assert _connections(ledger)[0] == (0, 9, 30, "half-open")


def test_half_open_may_end_by_itself(serve: Serve) -> None:
    answer = get(serve(60, wrong=["half-open@event=9,seconds=0.01"]).url)
    assert not answer.complete
    assert data(answer) == LINES[:9]


def test_slow_bytes_are_chunks_of_one_byte_and_the_stream_goes_on(serve: Serve) -> None:
    server = serve(60, wrong=["slow@event=2"])
    with Socket(server.url) as one:
        received = one.to_the_end()
    assert received.count(b"\r\n1\r\n") > len(LINES[2])
    assert data(rest(server)) == LINES


@pytest.mark.parametrize(("kind", "status"), [("429", 429), ("403", 403), ("500", 500), ("503", 503)])
def test_a_status_answers_the_request_after_the_event(serve: Serve, kind: str, status: int) -> None:
    server = serve(60, wrong=[f"{kind}@event=9,seconds=3"])
    assert data(get(server.url)) == LINES[:10]
    refused = get(server.url)
    assert (refused.status, refused.headers["Retry-After"]) == (status, "3")
    assert data(rest(server)) == LINES


def test_a_status_answers_the_request_of_that_number(serve: Serve) -> None:
    server = serve(60, wrong=["503@connection=0", "503@connection=1"])
    assert [get(server.url).status for _ in range(3)] == [503, 503, 200]


def test_a_redirect_leads_elsewhere(serve: Serve) -> None:
    answer = get(serve(60, wrong=["redirect@connection=0"]).url)
    assert (answer.status, answer.headers["Location"]) == (302, "/v2/stream/elsewhere")


def test_a_bad_byte_is_in_the_event_whenever_it_is_sent(serve: Serve, ledger: Path) -> None:
    server = serve(60, wrong=["utf8@event=9"])
    for answer in (get(server.url), rest(server)):
        assert data(answer)[:9] + data(answer)[10:] == LINES[:9] + LINES[10:]
        assert data(answer)[9].replace(b"\xff", b"") == LINES[9]
        with pytest.raises(UnicodeDecodeError):
            data(answer)[9].decode()
    assert _event(ledger, 9) == ("malformed", "not_utf8")


def test_an_oversize_event_is_json_of_that_size(serve: Serve) -> None:
    answer = get(serve(60, wrong=["oversize@event=9,size=300000"]).url)
    large = data(answer)[9]
    assert len(large) == 300_000
    assert {**json.loads(large), "padding": ""} == {**json.loads(LINES[9]), "padding": ""}


def test_faults_of_a_seed_are_the_same_again() -> None:
    assert faults.at_random(9, seed=4, events=500) == faults.at_random(9, seed=4, events=500)
    assert faults.at_random(9, seed=4, events=500) != faults.at_random(9, seed=5, events=500)
    assert len(faults.at_random(900, seed=4, events=50)) == 50


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tron@event=1", "did you mean 'torn'"),
        ("torn", "it has no place"),
        ("torn@event=1,connection=2", "or two"),
        ("torn@event=x", "'event=x' is not understood"),
        ("torn@event=1,colour=2", "'colour=2' is not understood"),
        ("utf8@connection=1", "utf8 is of an event"),
    ],
)
def test_a_fault_that_is_none_is_said(text: str, says: str) -> None:
    with pytest.raises(ProjectError) as caught:
        faults.parse(text)
    assert caught.value.faults[0].code == "bad-fault"
    assert says in str(caught.value)


def test_every_kind_is_described_and_understood() -> None:
    assert [faults.parse(f"{kind}@event=1").kind for kind in faults.KINDS] == list(faults.KINDS)
    assert set(faults.RANDOM) <= set(faults.KINDS)


def _connections(path: Path) -> list[tuple[int, int, int, str]]:
    return [(one.first, one.end, one.partial, one.ended) for one in ledger.read(path).connections]


def _event(path: Path, position: int) -> tuple[str, str]:
    (found,) = (one for one in ledger.read(path).events if one.position == position)
    return found.verdict, found.reason
