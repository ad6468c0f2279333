"""Bronze from Kafka, real broker and real Spark: nothing lost, nothing twice, whatever is killed when.

What was sent is the oracle: its valid events are the table, once each, whatever happened on the way.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

import runner.execute.write
from live.broker import Broker
from producer.generator.generate import lines as generated_lines
from runner.errors import Busy, RunFailed
from runner.ledger import position
from runner.lineage import compile_project
from runner.load import load_project
from runner.merge import Statement
from runner.refs import TableRef
from runner.rollback import steps_to
from runner.selectors import select
from runner.spec import Project
from runner.stream import Ending, StreamOptions, stream
from tests.kafka import records
from tests.lab import ROOT, Lab

RAW = "bronze.raw_events"
RAW_TABLE = TableRef("bronze", "raw_events")
BROKEN = [b"not json", b'{"meta": {"id": "x1", "dt": "2026-10-01T00:00:00Z"}, "type": "edit"}', b"\xff\xfe{"]


@dataclass
class LiveLab(Lab):
    """The shipped project where bronze follows a topic."""

    bootstrap: str = ""
    topic: str = ""
    told: list[tuple[str, str]] = field(default_factory=list)

    def project(self, **overrides: object) -> Project:
        given = {"brokers": self.bootstrap, "topic": self.topic, **self.overrides, **overrides}
        return load_project(self.root, target="live", overrides=given, lake=self.lake_folder)

    def follow(self, ending: Ending | None = None, **options: Any) -> int:
        """Stream bronze; two batches at most a second apart, unless told otherwise."""
        project = self.project()
        models = select(project, pipelines=["bronze"])
        given = StreamOptions(
            **{"artifacts": self.folder / "target", "trigger": 0.2, "batches": 1, **options}
        )
        self.told.clear()
        return stream(
            project,
            models,
            given,
            lambda kind, table, text, values: self.told.append((kind, text)),
            ending or Ending(),
            rendered=compile_project(project, models),
            start_engine=self.engine,
        )

    def offsets(self) -> dict[str, int]:
        found = position(self.lake.catalog.table(RAW_TABLE))
        assert found is not None
        offsets = found.inputs["events"].offsets
        assert offsets is not None
        return dict(offsets[self.topic])

    def ids(self) -> list[str]:
        return sorted(row["event_id"] for row in self.sql(f"SELECT event_id FROM {RAW}"))

    def aside(self) -> list[tuple[Any, ...]]:
        state = self.lake.catalog.table(RAW_TABLE.quarantine)
        if state is None:
            return []
        rows = self.sql(
            "SELECT kafka_topic, kafka_partition, kafka_offset, payload FROM bronze.raw_events__quarantine"
        )
        return sorted((r["kafka_partition"], r["kafka_offset"], r["payload"]) for r in rows)


@pytest.fixture
def lab(spark: SparkSession, broker: Broker, topic: str, tmp_path: Path) -> LiveLab:
    return LiveLab(spark, tmp_path / "lab", bootstrap=broker.bootstrap, topic=topic)


def batch(number: int, size: int = 60) -> list[bytes]:
    """Generated events, other ones for each number."""
    lines = list(generated_lines(events=size, seed=100 + number))
    return [line.encode() for line in lines]


def valid_ids(values: Iterable[bytes]) -> list[str]:
    """Ids of the events that belong into the table: an own reading of the contract."""
    found = set()
    for value in values:
        try:
            event = json.loads(value)
            meta = event["meta"]
            if meta.get("domain") and meta["domain"] != "canary" and event.get("type") and meta.get("dt"):
                found.add(meta["id"])
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return sorted(found)


def keyed(broker: Broker, topic: str, values: Sequence[bytes]) -> None:
    """Sent as the producer does: an event's partition is its domain's."""
    by_key: dict[bytes, list[bytes]] = {}
    for value in values:
        try:
            key = str(json.loads(value)["meta"].get("domain"))
        except (ValueError, KeyError, TypeError, AttributeError):
            key = ""
        by_key.setdefault(key.encode(), []).append(value)
    for key_, of in by_key.items():
        records.send(broker, topic, of, key=key_)


def test_a_drain_and_a_stream_hold_each_event_once_with_its_place(
    lab: LiveLab, broker: Broker, topic: str
) -> None:
    first, second = batch(1), batch(2)
    keyed(broker, topic, [*first, *BROKEN])
    assert lab.run("bronze") == 0, lab.events
    assert lab.ids() == valid_ids(first)
    # Delivered again, with new ones, in two micro-batches.
    keyed(broker, topic, [*first[:20], *second])
    assert lab.follow(max_records=50, batches=2) == 0
    assert lab.ids() == valid_ids([*first, *second])
    everything = records.read_all(broker, topic)
    by_place = {(r.partition, r.offset): r.value for r in everything}
    rows = lab.sql(f"SELECT kafka_topic, kafka_partition, kafka_offset, payload FROM {RAW}")
    assert {r["kafka_topic"] for r in rows} == {topic}
    for row in rows:
        assert by_place[row["kafka_partition"], row["kafka_offset"]] == row["payload"].encode()
    assert [(p, o) for p, o, _ in lab.aside()] == sorted(
        (r.partition, r.offset) for r in everything if r.value in BROKEN
    )
    assert lab.offsets() == {str(p): sum(r.partition == p for r in everything) for p in range(3)}
    assert lab.run("bronze") == 0
    assert lab.kinds() == {RAW: "nothing"}


def test_a_rollback_under_a_stopped_stream_brings_the_records_again(
    lab: LiveLab, broker: Broker, topic: str
) -> None:
    first, second = batch(3, 30), batch(4, 30)
    keyed(broker, topic, first)
    assert lab.follow() == 0
    before = lab.head(RAW)
    assert before is not None
    keyed(broker, topic, second)
    assert lab.follow() == 0
    lab.roll_back(lambda catalog: steps_to(catalog, before.id, RAW_TABLE))
    assert lab.ids() == valid_ids(first)
    assert lab.follow() == 0
    assert lab.ids() == valid_ids([*first, *second])


def test_two_streams_and_a_batch_beside_a_stream(lab: LiveLab, broker: Broker, topic: str) -> None:
    keyed(broker, topic, batch(5, 30))
    ending = Ending()
    codes: list[int] = []
    beside = threading.Thread(target=lambda: codes.append(lab.follow(ending, batches=None)))
    beside.start()
    try:
        _until(lambda: (lab.lake.locks / f"{RAW}.stream.lock").exists())
        other = LiveLab(lab.spark, lab.folder, bootstrap=lab.bootstrap, topic=topic)
        with pytest.raises(Busy):
            other.follow()
        keyed(broker, topic, batch(6, 30))
        assert other.run("bronze", lock_timeout=60) == 0, other.events
    finally:
        ending.ask()
        beside.join()
    assert codes == [0]
    assert lab.run("bronze") == 0
    assert lab.ids() == valid_ids([*batch(5, 30), *batch(6, 30)])


def test_a_topic_that_lost_records_is_told_and_read_on_when_asked(
    lab: LiveLab, broker: Broker, topic: str
) -> None:
    keyed(broker, topic, batch(7, 20))
    assert lab.follow() == 0
    keyed(broker, topic, batch(8, 20))
    records.delete_all(broker, topic)
    keyed(broker, topic, batch(9, 20))
    with pytest.raises(RunFailed) as error:
        lab.follow()
    assert error.value.fault.code == "records-lost"
    assert lab.follow(skip_lost=True) == 0
    assert lab.ids() == valid_ids([*batch(7, 20), *batch(9, 20)])


@pytest.mark.parametrize(
    "point", ["after_staging", "after_merge", "after_quarantine_commit", "after_fast_forward"]
)
def test_killed_at_a_named_point_the_next_start_loses_and_repeats_nothing(
    lab: LiveLab, broker: Broker, topic: str, point: str
) -> None:
    first, second = batch(10, 25), [*batch(11, 25), *BROKEN]
    keyed(broker, topic, first)
    assert lab.follow() == 0
    keyed(broker, topic, [*first[:5], *second])
    died = subprocess.run(
        [
            *(sys.executable, "-m", "runner", "stream", "-p", "bronze", "--target", "live"),
            *(
                "--lake",
                lab.lake_folder,
                "--vars",
                f"brokers: '{lab.bootstrap}'",
                "--vars",
                f"topic: {topic}",
            ),
        ],
        cwd=ROOT,
        env={**os.environ, "RUNNER_CRASH_AT": point},
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert died.returncode == -signal.SIGKILL, died.stdout + died.stderr
    assert lab.run("bronze") == 0, lab.events
    assert lab.ids() == valid_ids([*first, *second])
    assert len(lab.aside()) == len(BROKEN)


def test_control_without_the_key_the_tests_above_would_fail(
    lab: LiveLab, broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are merged by nothing come twice when records are delivered twice: that is what is tested."""
    usual = runner.execute.write.merge_text

    def blind(*, statement: Statement, **given: Any) -> str:
        return usual(statement=replace(statement, on=replace(statement.on, text="false")), **given)

    values = batch(12, 10)
    keyed(broker, topic, values)
    assert lab.follow() == 0
    monkeypatch.setattr("runner.execute.write.merge_text", blind)
    monkeypatch.setattr("runner.node.check_table", lambda *given: ())
    keyed(broker, topic, values)
    assert lab.follow() == 0
    assert lab.ids() == sorted(valid_ids(values) * 2)


def _until(holds: Any) -> None:
    """Wait for what another thread does."""
    pause = threading.Event()
    for _ in range(3000):
        if holds():
            return
        pause.wait(0.02)
    raise AssertionError("it does not happen")
