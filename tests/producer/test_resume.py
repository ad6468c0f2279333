"""Ids of the stream: what is asked for after an interruption; none loses ground or events."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer.backoff import Backoff
from producer.conduct import Conductor, Settings
from producer.connection import Lost
from producer.pipeline import Routes
from producer.resume import furthest, rewound, usable
from producer.sink import MemorySink
from tests.producer.streams import Clock, MemoryState, Recording, Served, body, ids, position

CAPTURE = Path(__file__).resolve().parents[3] / "shared" / "data" / "recentchange-2021-08-27.sse.gz"


def test_each_timestamp_is_lowered_and_an_idle_data_centre_stays() -> None:
    assert json.loads(rewound(position(1_630_070_417_001), 5_000)) == [
        {"topic": "eqiad.mediawiki.recentchange", "partition": 0, "timestamp": 1_630_070_412_001},
        {"topic": "codfw.mediawiki.recentchange", "partition": 0, "offset": -1},
    ]
    assert '"timestamp":-1' in rewound('[{"topic":"t","partition":0,"timestamp":-1}]', 5_000)
    assert '"timestamp":0' in rewound('[{"topic":"t","partition":0,"timestamp":9}]', 5_000)


@pytest.mark.parametrize("text", ["", "42", "abc", "[]", "[1]", "{}", "[" * 9_999, '"x"'])
def test_an_id_of_another_form_stays(text: str) -> None:
    assert rewound(text, 5_000) == text


def test_what_cannot_be_sent_or_stored_is_no_position() -> None:
    assert usable(position(1))
    assert not any(usable(text) for text in ("a\nb", "a\0", "é", "x" * 5_000))


@settings(deadline=None)  # a busy machine is no fault
@given(st.integers(0, 99), st.integers(0, 99))
def test_of_two_positions_the_further_counts(one: int, other: int) -> None:
    assert furthest(position(one), position(other)) == position(max(one, other))
    assert furthest(None, position(one)) == position(one) == furthest(position(one), None)


def resumed(recording: Recording, rewind: float) -> tuple[MemorySink, Conductor]:
    sink, clock = MemorySink(), Clock()
    conductor = Conductor(
        recording,
        sink,
        MemoryState(),
        Routes(),
        Settings(rewind=rewind),
        say=lambda line: None,
        clock=clock,
        sleep=clock.sleep,
    )
    recording.over = conductor.stop
    conductor.run()
    return sink, conductor


def block(milliseconds: int, data: bytes) -> tuple[int, bytes]:
    """The server's id is the event's timestamp and one."""
    return milliseconds, b"event: message\nid: %b\ndata: %b\n\n" % (position(milliseconds + 1).encode(), data)


timestamps = st.lists(st.integers(100_000, 100_040), min_size=1, max_size=30)


@settings(deadline=None)  # a busy machine is no fault
@given(timestamps, st.lists(st.integers(1, 9_000), max_size=8), st.sampled_from([0.001, 0.01, 5.0]))
def test_whatever_the_order_and_the_cuts_no_event_is_lost(
    times: list[int], cuts: list[int], rewind: float
) -> None:
    events = [block(at, body(number)) for number, at in enumerate(times)]
    sink, _ = resumed(Recording(events, sorted(cuts)), rewind)
    assert set(ids(sink.values("raw-events"))) == {f"e{number}" for number in range(len(times))}


def test_an_id_that_is_asked_for_as_it_is_would_lose_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the test above: two events share a millisecond, and the cut lies between them."""
    events = [block(100, body(0)), block(100, body(1)), block(100, body(2))]
    cut = len(events[0][1])
    assert len(set(ids(resumed(Recording(events, [cut]), 0.001)[0].values("raw-events")))) == 3
    monkeypatch.setattr("producer.conduct.rewound", lambda text, milliseconds: text)
    assert len(set(ids(resumed(Recording(events, [cut]), 0.001)[0].values("raw-events")))) == 1


def test_connections_that_end_within_the_rewound_part_do_not_come_to_the_same_place_for_ever() -> None:
    events = [block(1_000 + 100 * number, body(number)) for number in range(100)]
    size = len(events[0][1])
    sent: list[bytes] = []

    class Short(Recording):
        """Every connection ends after ten events, wherever it starts."""

        def __call__(self, *, position: str | None, since: str | None) -> Served:
            whole = super().__call__(position=position, since=since)
            if whole.parts and b"e99" in b"".join(sent):
                self.over()
            sent[:] = [part for part in whole.parts[:10] if isinstance(part, bytes)]
            return Served([*whole.parts[:10], Lost("cut off")])

    recording = Short(events, [size * 100] * 200)
    sink, _ = resumed(recording, 5.0)
    assert set(ids(sink.values("raw-events"))) == {f"e{number}" for number in range(100)}


@pytest.mark.skipif(not CAPTURE.is_file(), reason="../shared/data holds no recentchange-2021-08-27.sse.gz")
@pytest.mark.parametrize(("rewind", "every"), [(0.001, 997), (5.0, 997 * 60)])
def test_the_capture_cut_everywhere_gives_exactly_its_events(rewind: float, every: int) -> None:
    stream = gzip.decompress(CAPTURE.read_bytes())
    blocks = [one.strip(b"\n") + b"\n\n" for one in stream.split(b"\n\n") if b"\ndata: " in one]
    stamp = re.compile(rb'"timestamp":(\d+)\}\]\ndata')
    events = [(int(stamp.search(one).group(1)) - 1, one) for one in blocks]  # type: ignore[union-attr]
    sent = [one.split(b"\ndata: ", 1)[1].removesuffix(b"\n\n") for one in blocks]
    cuts = list(range(every, sum(map(len, blocks)), every))
    recording = Recording(events, cuts)
    sink, conductor = resumed(recording, rewind)
    values = [record.body for record in sink.stored]
    assert len(sent) == 1_950
    assert set(values) == set(sent)
    assert len(set(ids(values))) == len(set(ids(sent)))
    assert conductor.pipeline.counts.connections >= len(cuts)


def test_waits_grow_and_are_drawn_from_their_upper_half() -> None:
    backoff = Backoff(first=1, longest=8)
    for span in (1, 2, 4, 8, 8):
        assert span / 2 <= backoff.wait() <= span
    backoff.reset()
    assert backoff.wait() <= 1
