"""The producer as a process between a server like EventStreams and a real broker: killed, cut, without Kafka.

The server's ledger says what must be where: every valid event in one topic, every malformed one in the other.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from live import captures, faults
from live.broker import Broker
from live.eventstreams import EventStreams, Rules
from live.ledger import read
from live.spool import Spool
from producer.cli import invoke
from producer.envelope import decode
from tests.kafka.records import Record, make_topic, read_all

ROOT = Path(__file__).resolve().parents[2]
EVENTS = 3_000
SINCE = "2000-01-01T00:00:00Z"


class Setting:
    """Topics, a served stream with its ledger, and commands of the producer on both."""

    def __init__(self, broker: Broker, folder: Path, stack: ExitStack) -> None:
        self.broker, self.folder = broker, folder
        self.topic, self.dead = make_topic(broker, partitions=3), make_topic(broker)
        self.state = str(folder / "state.json")
        self._stack = stack

    def serve(self, *wrong: str, rate: float | None = None) -> EventStreams:
        parsed = [faults.parse(text) for text in wrong]
        spool = Spool(captures.generated(events=EVENTS, seed=1), changes=faults.changes(parsed))
        server = EventStreams.start(
            spool, rules=Rules(rate=rate), faults=parsed, ledger=self.folder / "ledger.ndjson"
        )
        return self._stack.enter_context(server)

    @contextmanager
    def running(self, server: EventStreams, *more: str) -> Iterator[subprocess.Popen[str]]:
        command = ["run", "--contact", "tests@example.org", "--url", server.url, "--since", SINCE]
        command += ["--brokers", self.broker.bootstrap, "--state", self.state, "--domains", "all"]
        command += ["--topic", self.topic, "--dlq-topic", self.dead, *more]
        process = subprocess.Popen(
            [sys.executable, "-c", "from producer.cli import main; main()", *command],
            cwd=ROOT, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def finished(self, server: EventStreams, *more: str) -> str:
        """Run until all was sent and acknowledged, then stop it as an operator does."""
        with self.running(server, *more) as process:
            assert server.wait_sent(), server.status
            wait_for(lambda: process.poll() is not None or len(self.ids()) >= len(self.expected()))
            process.terminate()
            _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        return said

    def records(self) -> list[Record]:
        return read_all(self.broker, self.topic)

    def ids(self) -> set[str]:
        return {identity(one.value or b"") for one in self.records()}

    def expected(self) -> dict[str, str]:
        return dict(read(self.folder / "ledger.ndjson").expected().valid)

    def demand_all(self) -> None:
        """The topics are the ledger, nothing is missing, nothing else is there."""
        ledger = read(self.folder / "ledger.ndjson").expected()
        sent = self.records()
        assert {identity(one.value or b"") for one in sent} == set(ledger.valid)
        sums = {hashlib.md5(one.value or b"").hexdigest() for one in sent}
        assert set(ledger.valid.values()) <= sums  # byte for byte as served
        dead = [decode(one.value or b"") for one in read_all(self.broker, self.dead)]
        whole = {hashlib.md5(one.payload).hexdigest() for one in dead if one is not None and not one.size}
        large = {one.reason for one in dead if one is not None and one.size}
        assert None not in dead
        assert whole <= ledger.malformed
        assert large <= {"too-large"}
        assert len(ledger.malformed - whole) <= len(large)


def identity(value: bytes) -> str:
    sent = json.loads(value)["meta"].get("id")
    return sent or hashlib.md5(value).hexdigest()


def wait_for(holds: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        pass


@pytest.fixture
def setting(broker: Broker, tmp_path: Path) -> Iterator[Setting]:
    with ExitStack() as stack:
        yield Setting(broker, tmp_path, stack)


def test_every_event_is_where_it_belongs(setting: Setting) -> None:
    said = setting.finished(setting.serve())
    setting.demand_all()
    assert f"{EVENTS:,} received" in said


@pytest.mark.parametrize(
    "wrong",
    [
        ["close@event=500", "torn@event=900", "cut@event=1300", "reset@event=1700", "short-chunk@event=2100"],
        ["500@event=400", "503@event=800,seconds=1", "429@event=1200,seconds=1"],
        ["utf8@event=300", "utf8@event=2500", "half-open@event=1000"],
    ],
)
def test_no_fault_of_the_network_loses_an_event(setting: Setting, wrong: list[str]) -> None:
    setting.finished(setting.serve(*wrong), "--read-timeout", "2")
    setting.demand_all()


@pytest.mark.parametrize("kept", ["file", "topic"])
def test_killed_again_and_again_it_loses_nothing(setting: Setting, kept: str) -> None:
    if kept == "topic":
        setting.state = "kafka:" + make_topic(setting.broker, cleanup_policy="compact")
    server = setting.serve(rate=600)
    rng = random.Random(7)
    for _ in range(4):
        with setting.running(server) as process:
            reached = server.status["sent"] + rng.randrange(100, 500)
            server.wait_sent(reached)
            process.kill()
    setting.finished(server)
    setting.demand_all()


def test_a_position_restored_from_an_older_copy_sends_again_and_loses_nothing(setting: Setting) -> None:
    server = setting.serve(rate=1_000)
    state = Path(setting.state)
    with setting.running(server) as process:
        assert server.wait_sent(500)
        wait_for(state.exists)
        older = state.read_bytes()
        assert server.wait_sent(1_500)
        process.kill()
    state.write_bytes(older)
    setting.finished(server)
    setting.demand_all()


def test_a_broker_that_goes_away_is_waited_for(setting: Setting) -> None:
    server = setting.serve(rate=600)
    with setting.running(server) as process:
        assert server.wait_sent(500)
        setting.broker.kill()
        assert server.wait_sent(1_500)
        setting.broker.restart()
        assert server.wait_sent()
        wait_for(lambda: len(setting.ids()) >= len(setting.expected()))
        assert process.poll() is None
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    setting.demand_all()


def test_a_second_producer_on_the_same_position_is_busy(setting: Setting) -> None:
    server = setting.serve(rate=600)
    with setting.running(server):
        assert server.wait_sent(10)
        with setting.running(server) as second:
            _, said = second.communicate(timeout=60)
    assert second.returncode == 75
    assert "state-locked" in said


def test_a_server_that_forbids_ends_it(setting: Setting) -> None:
    with setting.running(setting.serve("403@event=100")) as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "--contact" in said


def test_dead_letters_are_replayed_once(
    setting: Setting, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from confluent_kafka import Producer

    from producer.envelope import DeadLetter
    from tests.producer.streams import body

    producer = Producer({"bootstrap.servers": setting.broker.bootstrap, "log_level": 0})
    for payload in (body(1), b"\xff", b"{"):
        producer.produce(setting.dead, DeadLetter("not-json", "", "p", 0, payload).encode())
    producer.flush(30)
    kafka = ["--brokers", setting.broker.bootstrap, "--dlq-topic", setting.dead]
    send = [*kafka, "--topic", setting.topic, "--domains", "all"]
    assert invoke(["dlq", "replay", *send, "--dry-run"]) == 0
    assert invoke(["dlq", "replay", *send]) == 0
    assert invoke(["dlq", "replay", *send]) == 0
    assert invoke(["dlq", "list", *kafka, "--limit", "2"]) == 0
    assert invoke(["dlq", "list", *kafka, "--output", "json"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == [
        "3 dead letters: 1 would be sent, 2 still malformed",
        "3 dead letters: 1 sent, 2 still malformed",
        "0 dead letters: 0 sent, 0 still malformed",
    ]
    assert said[5] == f"2 of 3 dead letters in {setting.dead}"
    assert [json.loads(line)["encoding"] for line in said[6:]] == ["utf-8", "base64", "utf-8"]
    assert [one.value for one in setting.records()] == [body(1)]


def test_a_record_that_kafka_refuses_becomes_a_dead_letter(setting: Setting, tmp_path: Path) -> None:
    from tests.producer.streams import body

    setting.topic = make_topic(setting.broker, max_message_bytes="2000")
    file = tmp_path / "e.ndjson"
    noise = random.Random(1).randbytes(4_000).hex()
    file.write_bytes(body(1) + b"\n" + body(2, comment=noise) + b"\n" + body(3) + b"\n")
    command = ["replay", str(file), "--brokers", setting.broker.bootstrap, "--domains", "all"]
    assert invoke([*command, "--topic", setting.topic, "--dlq-topic", setting.dead]) == 0
    letters = [decode(one.value or b"") for one in read_all(setting.broker, setting.dead)]
    # Kafka refuses the batch: the others in it are sent again and arrive.
    assert setting.ids() == {"e1", "e3"}
    assert [one.reason for one in letters if one] == ["refused-by-kafka"]


def test_topics_are_made_once_and_differences_are_said(
    setting: Setting, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [
        "--topic",
        setting.topic + "-n",
        "--dlq-topic",
        setting.dead + "-n",
        "--state-topic",
        setting.dead + "-s",
    ]
    command = ["topics", "ensure", "--brokers", setting.broker.bootstrap, *names]
    assert [invoke([*command, "--partitions", "2"]), invoke([*command, "--partitions", "2"])] == [0, 0]
    assert invoke([*command, "--partitions", "3", "--days", "9"]) == 1
    said = capsys.readouterr().out
    assert said.count("created") == 3
    assert said.count("as wanted") >= 3
    assert "partitions is 2, wanted 3" in said
    assert "retention.ms is 604800000, wanted 777600000" in said


def test_a_topic_that_is_missing_says_how_to_make_it(
    setting: Setting, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["replay", __file__, "--brokers", setting.broker.bootstrap, "--domains", "all"]
    assert invoke([*command, "--topic", "never-made"]) == 2
    assert "producer topics ensure" in capsys.readouterr().err
