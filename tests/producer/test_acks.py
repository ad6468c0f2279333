"""The acknowledged prefix, against a model that keeps everything."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from producer.acks import Prefix, Ticket


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9))), st.randoms(use_true_random=False))
def test_it_is_the_longest_run_of_done_events_from_the_start(
    steps: list[tuple[bool, int]], rng: object
) -> None:
    prefix = Prefix()
    log: list[Ticket | None] = []
    for number, (sent, pick) in enumerate(steps):
        if sent:
            log.append(prefix.sent(str(number)))
        else:
            log.append(None)
            prefix.unsent(str(number))
        open_ones = [ticket for ticket in log if ticket is not None and not ticket.done]
        if pick % 3 and open_ones:
            open_ones[pick % len(open_ones)](None, None)
        assert prefix.advance() is None
        done = 0
        while done < len(log) and (log[done] is None or log[done].done):  # type: ignore[union-attr]
            done += 1
        assert prefix.position == (str(done - 1) if done else None)


def test_a_refused_record_stands_in_the_way_until_it_is_done() -> None:
    prefix = Prefix()
    first, second = prefix.sent("1"), prefix.sent("2")
    second(None, None)
    first("too large", "record")
    assert prefix.advance() is first
    assert prefix.position is None
    first.error = None
    first(None, None)
    assert prefix.advance() is None
    assert (prefix.position, len(prefix)) == ("2", 0)
