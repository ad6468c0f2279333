"""Where in a topic a run begins and ends: told from the target's position and the brokers' offsets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import Place, ProjectError, RunFailed
from runner.inputs import read_topic
from runner.ledger import InputPosition
from runner.plan import Mode
from runner.reads import TopicRead
from runner.spec import KafkaInput, Read, Source
from runner.topics import Brokers
from tests.desk import Desk, outcome
from tests.nouns import HERE, model
from tests.paper import PaperTopics

ORIGIN = KafkaInput("raw-events")
EVENTS = Source("events", ORIGIN, Read.STREAM, HERE)


@pytest.fixture
def desk(tmp_path) -> Desk:  # type: ignore[no-untyped-def]
    return Desk(tmp_path)


def read(
    extents: dict[int, tuple[int, int]],
    reached: dict[str, int] | None = None,
    *,
    limit: int | None = None,
    skip_lost: bool = False,
) -> TopicRead:
    topics = PaperTopics()
    topics.topics["raw-events"] = extents
    known = InputPosition(offsets={"raw-events": reached}) if reached is not None else None
    return read_topic(EVENTS, ORIGIN, topics, known, limit=limit, skip_lost=skip_lost)


def test_without_a_position_a_topic_is_read_from_its_first_record() -> None:
    found = read({0: (5, 9), 1: (0, 0)})
    assert found.fresh == {0: (5, 9)}
    assert found.summary() == "stream of raw-events, 4 records in 1 of 2 partitions"


def test_it_goes_on_where_the_target_ends_and_new_partitions_begin_at_the_earliest() -> None:
    found = read({0: (0, 9), 1: (3, 7)}, {"0": 6})
    assert found.fresh == {0: (6, 9), 1: (3, 7)}
    assert found.position() == InputPosition(offsets={"raw-events": {"0": 9, "1": 7}})


def test_the_position_of_a_topic_that_the_source_named_before_is_kept() -> None:
    topics = PaperTopics()
    topics.topics["raw-events"] = {0: (0, 2)}
    known = InputPosition(offsets={"old-events": {"0": 40}})
    found = read_topic(EVENTS, ORIGIN, topics, known)
    assert found.position().offsets == {"old-events": {"0": 40}, "raw-events": {"0": 2}}


@pytest.mark.parametrize(
    ("extents", "reached", "says"),
    [
        ({0: (8, 9)}, {"0": 6}, "2 records of raw-events, partition 0, went before they were read"),
        ({0: (0, 3)}, {"0": 6}, "raw-events, partition 0, ends at offset 3, before what the target has read"),
        ({0: (0, 6)}, {"0": 6, "1": 4}, "raw-events, partition 1, ends at offset 0"),
    ],
)
def test_records_that_went_unread_are_an_error_until_they_are_given_up(
    extents: dict[int, tuple[int, int]], reached: dict[str, int], says: str
) -> None:
    with pytest.raises(RunFailed) as error:
        read(extents, reached)
    assert error.value.fault.code == "records-lost"
    assert error.value.fault.what.startswith(says)
    found = read(extents, reached, skip_lost=True)
    first, end = extents[0]
    assert found.until == {0: end}
    assert found.since == {0: first if reached["0"] not in range(first, end + 1) else reached["0"]}


@given(
    st.dictionaries(st.integers(0, 5), st.integers(0, 1000), min_size=1),
    st.integers(1, 500),
)
def test_a_limit_leaves_the_rest_and_takes_of_every_partition(lengths: dict[int, int], limit: int) -> None:
    found = read({p: (0, n) for p, n in lengths.items()}, limit=limit)
    assert found.records + found.behind == sum(lengths.values())
    assert found.records <= limit + len(lengths)  # each partition's share is rounded up
    assert found.records >= min(limit, sum(lengths.values()))
    assert all(found.until[p] > 0 for p, n in lengths.items() if n)


def test_a_stream_is_planned_from_the_position_in_the_target(desk: Desk) -> None:
    desk.topics.topics["raw-events"] = {0: (0, 4)}
    of = model(EVENTS)
    assert outcome(desk.plan(of)) == (Mode.APPEND, "")
    desk.built(events=InputPosition(offsets={"raw-events": {"0": 4}}))
    assert outcome(desk.plan(of)) == (Mode.NOTHING, "")
    desk.topics.topics["raw-events"] = {0: (0, 5)}
    plan = desk.plan(of)
    assert outcome(plan) == (Mode.APPEND, "")
    assert plan.summary() == "append: stream of raw-events, 1 record in 1 of 1 partition"


def test_a_rollback_of_the_target_brings_the_records_again(desk: Desk) -> None:
    desk.topics.topics["raw-events"] = {0: (0, 9)}
    first = desk.built(run="r1", events=InputPosition(offsets={"raw-events": {"0": 4}}))
    desk.built(run="r2", events=InputPosition(offsets={"raw-events": {"0": 9}}))
    of = model(EVENTS)
    assert desk.plan(of).mode is Mode.NOTHING
    desk.lake.rollback(str(of.target.table), first)
    assert desk.plan(of).topics[0].fresh == {0: (4, 9)}


@pytest.mark.parametrize(
    ("settings", "code"),
    [({}, "no-brokers"), ({"bootstrap.servers": "127.0.0.1:1", "acks": "sometimes"}, "kafka-setting")],
)
def test_wrong_settings_are_told_before_anything_is_asked(settings: dict[str, str], code: str) -> None:
    with pytest.raises(ProjectError) as error:
        Brokers(settings, Place("profiles.yml", 3, 5)).extents("raw-events", HERE)
    assert [f.code for f in error.value.faults] == [code]
