"""The bounded source: cut a stream anywhere, write its lines in any way, and the events are the same."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from producer.sse import HEAD, Event, events

LIMIT = 1 << 20


def read(*chunks: bytes, limit: int = LIMIT) -> list[Event]:
    return list(events(chunks, limit=limit))


def expected(stream: bytes) -> list[tuple[bytes, str | None]]:
    """The specification, line by line; without what is unfinished at the end."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    found: list[tuple[bytes, str | None]] = []
    last: str | None = None
    data: list[bytes] = []
    for line in text.split(b"\n")[:-1]:
        if not line:
            if data and data != [b""]:
                found.append((b"\n".join(data), last))
            elif data:
                found.append((b"", last))
            data = []
            continue
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name == b"id":
            last = value.decode("latin-1")
    return found


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[a:b] for a, b in pairwise(bounds)]


text = st.binary(max_size=12).map(lambda b: b.replace(b"\n", b"").replace(b"\r", b""))
lines = st.one_of(
    text.map(lambda b: b"data: " + b),
    text.map(lambda b: b"data:" + b),
    text.map(lambda b: b"id: " + b.replace(b"\0", b"")),
    text.map(lambda b: b":" + b),
    st.just(b"event: message"),
    st.just(b"data"),
    st.just(b"unknown: x"),
)
blocks = st.lists(lines, min_size=1, max_size=5)
ends = st.sampled_from([b"\n", b"\r\n", b"\r"])


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(blocks, max_size=5), ends, st.lists(st.integers(0, 500)), st.booleans(), text)
def test_any_chunks_of_any_stream_give_the_events_of_the_specification(
    given_blocks: list[list[bytes]], end: bytes, places: list[int], bom: bool, torn: bytes
) -> None:
    stream = b"".join(end.join(block) + end + end for block in given_blocks)
    # The id of a torn event is not taken over: it has not been received.
    stream = (b"\xef\xbb\xbf" if bom else b"") + stream + b"data: torn" + torn
    wanted = expected(stream)
    assert [(one.data, one.position) for one in read(*cut(stream, places))] == wanted
    assert [(one.data, one.position) for one in read(*(bytes([byte]) for byte in stream))] == wanted


def test_invalid_utf8_and_every_other_byte_come_out_as_sent() -> None:
    sent = bytes(byte for byte in range(256) if byte not in b"\r\n")
    assert read(b"id: 1\ndata: " + sent + b"\n\n") == [Event(sent, "1")]


def test_an_unfinished_event_is_none_and_its_id_is_not_taken() -> None:
    assert read(b"id: 1\ndata: a\n\nid: 2\ndata: b\n") == [Event(b"a", "1")]


def test_an_id_stays_until_the_next_also_from_an_event_without_data() -> None:
    found = read(b"id: 1\ndata: a\n\ndata: b\n\nid: 7\n\n:ok\n\ndata: c\n\n")
    assert [(one.data, one.position) for one in found] == [(b"a", "1"), (b"b", "1"), (b"c", "7")]


@settings(deadline=None)  # a busy machine is no fault
@given(st.integers(1, 700), st.integers(50, 3_000))
def test_an_event_that_is_too_large_is_told_with_its_beginning(step: int, size: int) -> None:
    large = b"id: 2\ndata: " + b"x" * (size + HEAD) + b"\n\n"
    stream = b"id: 1\ndata: a\n\n" + large + b"id: 3\ndata: c\n\n"
    chunks = [stream[i : i + step] for i in range(0, len(stream), step)]
    first, second, third = read(*chunks, limit=50)
    assert (first, third) == (Event(b"a", "1"), Event(b"c", "3"))
    assert second.position == "2"
    assert second.size >= size + HEAD
    assert set(second.data) == {ord("x")}
    assert HEAD - 100 < len(second.data) <= HEAD


def test_a_stranger_cannot_pass_an_event_off_as_too_large() -> None:
    [one] = read(b"event: oversize-0000000000000000-7\ndata: {}\n\n")
    assert one.size == 0


def test_an_endless_event_takes_no_memory() -> None:
    kept = 0

    def endless() -> object:
        nonlocal kept
        yield b"data: "
        for _ in range(2_000):
            yield b"y" * 10_000
        yield b"\n\n"

    [one] = events(endless(), limit=100_000)  # type: ignore[arg-type]
    assert (one.size, len(one.data) <= HEAD) == (20_000_006, True)


def test_many_lines_count_as_too_large_so_that_none_costs_all_before_it() -> None:
    [one] = read(b"data: x\n" * 100_000 + b"\n")
    assert one.size == 799_999


def test_a_large_event_in_small_chunks_is_handled_once() -> None:
    """Work is counted, not timed: no piece is looked at again for each that follows."""
    looked = 0

    class Chunk(bytes):
        def endswith(self, *args: object) -> bool:  # type: ignore[override]
            nonlocal looked
            looked += len(self)
            return super().endswith(*args)  # type: ignore[arg-type]

    stream = b"data: " + b"z" * (1 << 20) + b"\n\n"
    chunks = [Chunk(stream[i : i + 512]) for i in range(0, len(stream), 512)]
    [one] = events(chunks, limit=4 << 20)
    assert len(one.data) == 1 << 20
    assert looked <= 3 * len(stream)
