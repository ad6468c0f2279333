"""The live producer with a fake stream and a sink in memory: position after acknowledgement, waits, ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from producer.breaker import Breaker
from producer.conduct import Conductor, Settings
from producer.connection import Lost
from producer.envelope import decode
from producer.errors import Failed, Misconfigured
from producer.health import EmbeddedMetrics, Health, exposition
from producer.pipeline import Routes
from producer.sink import MemorySink, Refused, Stored
from tests.producer.streams import Clock, MemoryState, Served, Server, body, ids, position


def block(at: int, data: bytes) -> bytes:
    return b"id: %b\ndata: %b\n\n" % (position(at).encode(), data)


class Rig:
    """A conductor with everything around it in memory."""

    def __init__(self, *connections: Served | Exception, **options: Any) -> None:
        self.clock, self.lines = Clock(), list[str]()
        self.sink: MemorySink = options.pop("sink", MemorySink())
        self.state = MemoryState(lambda: len(self.sink.stored), options.pop("position", None))
        self.server = Server(list(connections))
        wanted = options.pop("wanted", None)
        breaker = options.pop("breaker", None)
        self.conductor = Conductor(
            self.server,
            self.sink,
            self.state,
            Routes(wanted=wanted),
            Settings(**options),
            say=self.lines.append,
            breaker=breaker,
            clock=self.clock,
            sleep=self.clock.sleep,
        )
        self.server.over = self.conductor.stop

    def run(self) -> Rig:
        self.conductor.run()
        return self

    @property
    def counts(self) -> Any:
        return self.conductor.pipeline.counts


def test_original_bytes_with_the_domain_as_key() -> None:
    sent = (
        b'{"type": 1, "meta":{"dt":"2026-10-01T00:00Z","domain":"de.wikipedia.org"},"t":"\xf0\x9f\xa7\x99"}'
    )
    rig = Rig(Served([block(1, sent)])).run()
    assert rig.sink.stored == [Stored("raw-events", b"de.wikipedia.org", sent)]


def test_every_event_is_counted_once_and_malformed_ones_become_dead_letters() -> None:
    bad = b"\xff not JSON"
    rig = Rig(
        Served(
            [
                block(1, body(1)),
                block(2, body(2, domain="canary")),
                block(3, bad),
                block(4, body(4, domain="x.org")),
            ]
        ),
        wanted=frozenset({"en.wikipedia.org"}),
    ).run()
    counts = rig.counts
    assert (counts.received, counts.sent, counts.heartbeats, counts.malformed, counts.filtered) == (
        4,
        1,
        1,
        1,
        1,
    )
    [value] = rig.sink.values("dlq-events")
    letter = decode(value)
    assert letter is not None
    assert (letter.reason, letter.position, letter.payload) == ("not-utf8", position(3), bad)
    assert json.loads(value)["encoding"] == "base64"
    assert rig.state.position == position(4)


def test_the_position_is_never_stored_before_the_acknowledgement() -> None:
    parts: list[bytes | Exception | None] = []
    for number in range(300):
        parts += [block(number, body(number)), None]
    served = Served(parts)
    rig = Rig(served, save_every=0.0)
    served.each = lambda: rig.clock.sleep(0.3)
    rig.run()
    saved = [(json.loads(text)[0]["timestamp"], stored) for text, stored in rig.state.saves]
    assert len(saved) > 50
    assert all(stored >= at + 1 for at, stored in saved)


def test_nothing_is_stored_while_nothing_is_acknowledged() -> None:
    served = Served([block(n, body(n)) for n in range(20)] + [None] * 20)
    rig = Rig(served, sink=MemorySink(holding=True), save_every=0.0, position=position(0))
    served.each = lambda: rig.clock.sleep(5)
    rig.run()
    assert rig.state.saves == []
    assert "20 records were not acknowledged" in rig.lines[-1]


def test_a_full_sink_holds_the_stream_and_a_stop_ends_the_waiting() -> None:
    taken = 0

    def count() -> None:
        nonlocal taken
        taken += 1

    served = Served([block(n, body(n)) for n in range(1, 50)], each=count)
    rig = Rig(served, sink=MemorySink(room=5, holding=True))
    polls = iter(range(100))
    original = rig.sink.poll

    def poll(timeout: float) -> int:
        if next(polls) > 20:
            rig.conductor.stop()
        return original(timeout)

    rig.sink.poll = poll  # type: ignore[method-assign]
    rig.run()
    assert (taken, len(rig.sink.queued), rig.state.position) == (6, 5, None)


def test_a_sink_that_has_room_again_gets_everything() -> None:
    rig = Rig(Served([block(n, body(n)) for n in range(50)]), sink=MemorySink(room=5)).run()
    assert ids(rig.sink.values("raw-events")) == [f"e{n}" for n in range(50)]


def test_it_resumes_rewound_and_since_is_for_the_first_time_only() -> None:
    fresh = Rig(Served([block(9_000, body(1))]), since="2026-10-01T00:00:00Z", rewind=2).run()
    assert fresh.server.asked[0] == (None, "2026-10-01T00:00:00Z")
    assert fresh.server.asked[1][0] == position(7_000)
    again = Rig(position=position(9_000), since="2026-10-01T00:00:00Z", rewind=2).run()
    assert again.server.asked[0][0] == position(7_000)


def test_what_is_queued_while_kafka_is_away_is_not_asked_for_again() -> None:
    first = Served([block(10_000 + n, body(n)) for n in range(20)])
    rig = Rig(first, Served([]), sink=MemorySink(holding=True), rewind=1, position=position(5_000)).run()
    assert [asked for asked, _ in rig.server.asked][:2] == [position(4_000), position(9_019)]
    assert rig.state.position == position(5_000)  # a new process begins where all is acknowledged


def test_waits_are_as_the_server_asked_and_grow_until_events_come() -> None:
    rig = Rig(Lost("429", wait=40.0), Lost("500"), Lost("500"), Served([block(1, body(1))])).run()
    said = [float(line.split(" in ")[1].split()[0]) for line in rig.lines if "connects again" in line]
    assert said[0] == 40.0
    assert said[2] > said[3]
    assert rig.clock.now > 1_040


def test_a_configuration_fault_ends_it_with_its_position_saved() -> None:
    rig = Rig(Served([block(1, body(1))]), Misconfigured("stream-refused", "403"))
    with pytest.raises(Misconfigured):
        rig.run()
    assert rig.state.position == position(1)


def test_a_record_that_kafka_refuses_becomes_a_dead_letter_and_the_position_waits_for_it() -> None:
    def refuse(record: Stored) -> Refused | None:
        return (
            Refused("refused-by-kafka", "too large")
            if b"e1" in record.body and record.name == "raw-events"
            else None
        )

    rig = Rig(Served([block(n, body(n)) for n in range(3)]), sink=MemorySink(refuse=refuse)).run()
    assert ids(rig.sink.values("raw-events")) == ["e0", "e2"]
    letter = decode(rig.sink.values("dlq-events")[0])
    assert letter is not None
    assert (letter.reason, letter.position) == ("refused-by-kafka", position(1))
    assert rig.state.position == position(2)


def test_a_stop_ends_a_connect_that_hangs() -> None:
    rig = Rig(Served([block(1, body(1))]))

    def hang() -> None:
        rig.conductor.stop()
        raise AssertionError("it went on connecting")

    rig.server.over = hang
    rig.run()
    assert rig.state.position == position(1)


def test_many_refused_records_are_all_waited_for_at_the_end() -> None:
    def refuse(record: Stored) -> Refused | None:
        return Refused("refused-by-kafka", "too large") if record.name == "raw-events" else None

    rig = Rig(Served([block(n, body(n)) for n in range(9)]), sink=MemorySink(refuse=refuse)).run()
    letters = [decode(value) for value in rig.sink.values("dlq-events")]
    assert [(one.payload, one.size) for one in letters if one] == [(body(n), 0) for n in range(9)]
    assert rig.state.position == position(8)


@pytest.mark.parametrize("fatal", [Misconfigured, None])
def test_what_cannot_be_stored_at_all_ends_it(fatal: type[Misconfigured] | None) -> None:
    refused = Refused("topic-missing", "no topic", fatal=fatal)
    rig = Rig(Served([block(n, body(n)) for n in range(3)]), sink=MemorySink(refuse=lambda record: refused))
    with pytest.raises(Misconfigured if fatal else Failed):
        rig.run()
    assert rig.state.position is None


def test_the_breaker_opens_waits_longer_each_time_and_gives_up() -> None:
    def bad() -> Served:
        return Served([block(n, b"<html>") for n in range(100)])

    rig = Rig(*[bad() for _ in range(4)], breaker=Breaker(window=10, ratio=0.5), openings=3, breaker_wait=10)
    with pytest.raises(Failed, match="breaker-open"):
        rig.run()
    assert len(rig.sink.values("dlq-events")) == 30  # not 400
    assert [line for line in rig.lines if "breaker open" in line] == [
        "breaker open: most events are malformed (not-json 10); tries again in 10 s",
        "breaker open: most events are malformed (not-json 20); tries again in 20 s",
    ]


def test_the_breaker_forgets_its_openings_when_events_are_well_again() -> None:
    breaker = Breaker(window=4, ratio=0.5)
    assert [breaker.count(bad=bad) for bad in (True, True, True, True)] == [False, False, False, True]
    breaker.close()
    assert not any(breaker.count(bad=bad) for bad in (True, True, False, False))
    assert breaker.openings == 0


def test_a_state_that_cannot_be_written_does_not_end_it() -> None:
    from producer.errors import Unavailable

    rig = Rig(Served([block(1, body(1))]))

    def fail(position: str) -> None:
        raise Unavailable("state-not-saved", "disk full")

    rig.state.save = fail  # type: ignore[method-assign]
    rig.run()
    assert sum("disk full" in line for line in rig.lines) == 1


# ------------------------------------------------------------------------------------------- health


def during(rig: Rig, look: Callable[[], object]) -> list[object]:
    seen: list[object] = []
    for served in rig.server.connections:
        if isinstance(served, Served):
            served.each = lambda: seen.append(look())
    rig.run()
    return seen


def test_it_is_ready_while_connected_and_acknowledged() -> None:
    rig = Rig(Served([block(n, body(n)) for n in range(3)]))
    health = Health(rig.conductor, clock=rig.clock)
    assert health.ready() == "not connected to the stream"
    assert set(during(rig, health.ready)) == {""}
    rig.clock.sleep(1_000)
    assert "has not turned" in health.alive()


def test_it_is_not_ready_when_kafka_is_silent() -> None:
    rig = Rig(Served([block(1, body(1)), *[None] * 100]), sink=MemorySink(holding=True))
    health = Health(rig.conductor, clock=rig.clock)

    def look() -> str:
        rig.clock.sleep(1)
        return health.ready()

    seen = during(rig, look)
    assert seen[5] == ""
    assert "acknowledged nothing for" in str(seen[-1])
    assert health.alive() == ""


def test_metrics_of_both_kinds() -> None:
    rig = Rig(Served([block(1, body(1)), block(2, b"x")])).run()
    health = Health(rig.conductor, clock=rig.clock)
    text = exposition(health, dict(rig.counts.reasons)).decode()
    assert "producer_received_total 2.0" in text
    assert 'producer_dead_letters_total{reason="not-json"} 1.0' in text
    lines = EmbeddedMetrics(health, namespace="n", stream="s")
    first, second = json.loads(lines.line()), json.loads(lines.line())
    assert (first["received"], second["received"]) == (2, 0)  # what was added since
    directive = first["_aws"]["CloudWatchMetrics"][0]
    assert {metric["Name"] for metric in directive["Metrics"]} <= set(first)
    assert directive["Dimensions"] == [["stream"]]
