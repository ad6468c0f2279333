"""The replay server keeps the rules of the real one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests

from live import captures, ledger
from live.captures import Captured
from live.spool import Spool, frame
from tests.live.client import Answer, Socket, get
from tests.live.conftest import Serve

CAPTURE = Path(__file__).resolve().parents[3] / "shared" / "data" / "recentchange-2021-08-27.sse.gz"


def event(name: str, ms: int) -> Captured:
    """A valid event that happened so many milliseconds into a day."""
    dt = f"2026-02-03T04:05:{ms // 1000:02d}.{ms % 1000:03d}Z"
    meta = {"id": name, "dt": dt, "domain": "de.wikipedia.org", "stream": "mediawiki.recentchange"}
    return Captured(json.dumps({"meta": meta, "type": "edit", "title": name}).encode())


def names(answer: Answer) -> list[str]:
    return [json.loads(one.data)["meta"]["id"] for one in answer.events]


def test_every_event_comes_as_it_is_after_a_comment(serve: Serve) -> None:
    answer = get(serve(300).url)
    assert answer.status == 200
    assert answer.complete
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert answer.body.startswith(b":ok\n\nevent: message\nid: [{")
    assert [one.data for one in answer.events] == [one.data for one in captures.generated(events=300, seed=1)]


def test_a_capture_is_served_byte_by_byte(serve: Serve, tmp_path: Path) -> None:
    sent = b":ok\n\n" + b"".join(
        frame(event(f"e{n}", n).data, b'[{"topic":"codfw","partition":0,"timestamp":%d}]' % n)
        for n in range(1, 9)
    )
    (tmp_path / "capture.sse").write_bytes(sent)
    assert get(serve(captures.recorded(tmp_path / "capture.sse")).url).body == sent


def test_the_real_capture_is_served_byte_by_byte(serve: Serve) -> None:
    if not CAPTURE.exists():
        pytest.skip(f"the capture {CAPTURE.name} is not part of the project")
    import gzip

    answer = get(serve(captures.recorded(CAPTURE)).url)
    assert len(answer.events) == 1950
    # The recording ends inside the blank line after its last event.
    assert answer.body.rstrip(b"\n") == gzip.decompress(CAPTURE.read_bytes()).rstrip(b"\n")


def test_an_id_is_the_millisecond_after_the_event(serve: Serve) -> None:
    (only,) = get(serve([event("a", 7_005)]).url).events
    first, second = json.loads(only.id)
    assert first == {"topic": "eqiad.mediawiki.recentchange", "partition": 0, "timestamp": 1770091507006}
    assert second == {"topic": "codfw.mediawiki.recentchange", "partition": 0, "offset": -1}


def test_resuming_verbatim_loses_what_shares_a_millisecond_and_rewinding_repeats(serve: Serve) -> None:
    server = serve([event("a", 1), event("b", 2), event("c", 2), event("d", 3)])
    last = get(server.url).events[1].id
    assert names(get(server.url, last=last)) == ["d"]  # c happened in the millisecond of b
    places = json.loads(last)
    places[0]["timestamp"] -= 1
    assert names(get(server.url, last=json.dumps(places))) == ["b", "c", "d"]


def test_resuming_finds_the_first_event_that_is_not_older(serve: Serve) -> None:
    # In the order of arrival, which is not that of time: from b on, also what is older.
    server = serve([event("a", 1), event("b", 9), event("c", 3), event("d", 10)])
    third = get(server.url).events[2].id
    assert names(get(server.url, last=third)) == ["b", "c", "d"]


def test_since_counts_only_without_a_last_event_id(serve: Serve) -> None:
    server = serve([event("a", 1_000), event("b", 2_000), event("c", 3_000)])
    last = get(server.url).events[1].id
    assert names(get(server.url, since="2026-02-03T04:05:02Z")) == ["b", "c"]
    assert names(get(server.url, since="1770091502000")) == ["b", "c"]
    assert names(get(server.url, since="2026-02-03T04:05:01Z", last=last)) == ["c"]


def test_without_a_position_a_stream_begins_at_what_happens_next(serve: Serve) -> None:
    server = serve(50, disconnect_events=20)
    lines = [one.data for one in captures.generated(events=50, seed=1)]
    assert [one.data for one in get(server.url).events] == lines[:20]
    assert [one.data for one in get(server.url).events] == lines[20:40]


@pytest.mark.parametrize("last", ["nonsense", "{}", "[1]", '[{"topic":"t"}]', '[{"timestamp":"x"}]'])
def test_a_position_that_is_none_is_a_bad_request(serve: Serve, last: str) -> None:
    assert get(serve(5).url, last=last).status == 400


def test_since_must_be_a_time(serve: Serve) -> None:
    assert get(serve(5).url, since="yesterday").status == 400


@pytest.mark.parametrize("agent", ["", "python-requests/2.32", "a@b"])
def test_an_agent_without_a_contact_is_forbidden(serve: Serve, agent: str) -> None:
    assert get(serve(5).url, agent=agent).status == 403


@pytest.mark.parametrize("agent", ["x/1 (me@example.org)", "x/1 (https://example.org/x)"])
def test_an_agent_with_a_contact_is_served(serve: Serve, agent: str) -> None:
    assert len(get(serve(5).url, agent=agent).events) == 5


def test_another_path_is_not_found(serve: Serve) -> None:
    assert get(serve(5).url + "/x").status == 404


def test_a_third_connection_is_one_too_many_until_another_leaves(serve: Serve) -> None:
    server = serve(5, end=False, retry_after=7)
    with Socket(server.url) as one, Socket(server.url) as two:
        one.until(b":ok")
        two.until(b":ok")
        refused = get(server.url)
        assert (refused.status, refused.headers["Retry-After"]) == (429, "7")
    assert server.wait_closed()
    with Socket(server.url) as again:
        again.until(b":ok")


def test_a_connection_ends_after_so_many_events_or_seconds(serve: Serve) -> None:
    server = serve(50, disconnect_events=20)
    answer = get(server.url)
    assert len(answer.events) == 20
    assert answer.complete


def test_a_connection_ends_after_its_time(serve: Serve, ledger: Path) -> None:
    server = serve(5, disconnect_seconds=0.01, end=False)
    assert get(server.url).complete
    assert server.wait_closed()
    assert _ended(ledger) == ["disconnect"]


def test_at_a_rate_only_what_has_happened_is_sent(serve: Serve) -> None:
    server = serve(2_000, rate=1_000_000)
    assert len(get(server.url).events) == 2_000
    slow = serve(10, rate=0.000001, end=False)
    with Socket(slow.url) as one:
        one.until(b":ok\n\n")
        assert slow.status["happened"] == 0


def test_canaries_come_between(serve: Serve) -> None:
    events = captures.with_canaries([event(f"e{n}", n) for n in range(6)], every=2)
    found = [json.loads(one.data) for one in get(serve(events).url).events]
    assert [one["meta"].get("domain") for one in found if "type" not in one] == ["canary", None, "canary"]
    assert len(found) == 9


def test_events_can_happen_now() -> None:
    from datetime import UTC, datetime

    start = datetime(2030, 1, 1, tzinfo=UTC)
    old = [event("a", 5_000), event("b", 3_000), event("a", 5_000)]
    stamped = list(captures.as_of_now(old, rate=2, start=start))
    assert [json.loads(one.data)["meta"]["dt"] for one in stamped] == [
        "2030-01-01T00:00:00.000Z",
        "2029-12-31T23:59:58.500Z",  # half a second later, and two seconds behind as before
        "2030-01-01T00:00:00.000Z",  # a repeat
    ]


def test_the_status_tells_how_far_it_is(serve: Serve) -> None:
    server = serve(30, disconnect_events=10)
    get(server.url)
    assert server.wait_closed()
    told = requests.get(server.url.replace("/v2/stream/recentchange", "/status"), timeout=10).json()
    assert told == {"events": 30, "happened": 10, "sent": 10, "requests": 1, "open": 0}


def test_frozen_nothing_more_happens(serve: Serve) -> None:
    server = serve(1_000, rate=0.000001, end=False)
    with Socket(server.url) as one:
        one.until(b":ok\n\n")
        assert server.freeze() == 0


def test_stopping_ends_all_connections(serve: Serve, ledger: Path) -> None:
    server = serve(5, end=False)
    with Socket(server.url) as one:
        one.until(b"event: message")
        server.stop()
        one.to_the_end()
    assert _ended(ledger) == ["server stopped"]


def test_a_range_of_the_spool_is_bounded_by_bytes_and_never_empty() -> None:
    spool = Spool([event(f"e{n}", n) for n in range(20)])
    length = len(spool.frames(0, 1))
    assert spool.upto(0, 1) == 1
    assert spool.upto(0, length * 3) == 3
    assert spool.upto(15, 10**9) == 20
    assert spool.frames(2, 5) == spool.frames(2, 3) + spool.frames(3, 5)
    spool.close()


def _ended(path: Path) -> list[str]:
    return [one.ended for one in ledger.read(path).connections]
