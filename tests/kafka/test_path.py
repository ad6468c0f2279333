"""From the stream to bronze, everything real, everything killed at random: the tables are the ledger.

Short here; ``make soak-live EVENTS=1000000 KILLS=50`` goes on for long, and prints what programs hold in
memory. The ledger is written by the server before a byte is sent, and judges by code of its own.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from live import captures, faults, tether
from live.broker import Broker
from live.eventstreams import EventStreams, Rules
from live.ledger import read
from live.spool import Spool
from producer.envelope import decode
from tests.kafka import records
from tests.kafka.test_stream import LiveLab
from tests.lab import ROOT

EVENTS = int(os.environ.get("LIVE_EVENTS", "2400"))
KILLS = int(os.environ.get("LIVE_KILLS", "3"))
SEED = int(os.environ.get("LIVE_SEED", "7"))
#: Of a second, as long as all is well.
RATE = int(os.environ.get("LIVE_RATE", "150"))


class Programs:
    """Producer and stream as processes, each killed and started again when its time comes."""

    def __init__(self, lab: LiveLab, server: EventStreams, dead: str) -> None:
        self.lab, self.server, self.dead = lab, server, dead
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.memory: dict[str, list[tuple[float, int]]] = {"producer": [], "stream": []}

    def start(self, name: str) -> None:
        lab = self.lab
        commands = {
            "producer": (
                *("-c", "from producer.cli import main; main()", "run", "--contact", "tests@example.org"),
                *("--url", self.server.url, "--since", "2000-01-01T00:00:00Z", "--brokers", lab.bootstrap),
                *("--state", str(lab.folder / "state.json"), "--domains", "all"),
                *("--topic", lab.topic, "--dlq-topic", self.dead, "--read-timeout", "3"),
            ),
            "stream": (
                *("-m", "runner", "stream", "-p", "bronze", "--target", "live", "--trigger", "1"),
                *("--lake", str(lab.lake_folder), "--vars", f"brokers: '{lab.bootstrap}'"),
                *("--vars", f"topic: {lab.topic}"),
            ),
        }
        self.running[name] = tether.start(
            (sys.executable, *commands[name]), log=lab.folder / f"{name}.log", cwd=ROOT
        )

    def kill(self, name: str) -> None:
        """With all its children, as when the machine is lost."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self, name: str) -> None:
        """As an operator does."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) == 0, self.said(name)

    def demand_alive(self) -> None:
        for name, process in self.running.items():
            assert process.poll() is None, self.said(name)

    def said(self, name: str) -> str:
        return (self.lab.folder / f"{name}.log").read_text(errors="replace")[-4000:]

    def look(self) -> None:
        """Keep what each holds in memory now, in bytes."""
        for name, process in self.running.items():
            held = sum(_resident(pid) for pid in _family(process.pid))
            self.memory[name].append((time.monotonic(), held))


@pytest.fixture
def lab(spark: SparkSession, broker: Broker, tmp_path: Path) -> LiveLab:
    topic = records.make_topic(broker, partitions=3)
    return LiveLab(spark, tmp_path / "lab", bootstrap=broker.bootstrap, topic=topic)


def test_whatever_is_killed_bronze_is_the_ledger(lab: LiveLab, broker: Broker) -> None:
    rng = random.Random(SEED)
    dead = records.make_topic(broker)
    wrong = faults.at_random(max(6, KILLS), seed=SEED, events=EVENTS)
    spool = Spool(captures.generated(events=EVENTS, seed=SEED), changes=faults.changes(wrong))
    rules = Rules(rate=RATE, disconnect_seconds=20)
    path = lab.folder / "ledger.ndjson"
    with EventStreams.start(spool, rules=rules, faults=wrong, ledger=path) as server:
        programs = Programs(lab, server, dead)
        programs.start("producer")
        programs.start("stream")
        try:
            for number in range(KILLS):
                due = EVENTS * (number + 1) // (KILLS + 1)
                _wait(lambda due=due: server.status["sent"] >= due, programs)  # type: ignore[misc]
                # Each in turn, so that few kills meet all of them.
                match ("producer", "stream", "broker")[number % 3]:
                    case "broker":
                        broker.kill()
                        _pause(rng.uniform(0.2, 2))
                        broker.restart()
                    case name:
                        _pause(rng.uniform(0, 1))
                        programs.kill(name)
                        programs.start(name)
            _wait(lambda: server.status["sent"] >= len(spool), programs)
            _wait(lambda: _acknowledged(broker, lab, dead, path), programs)
            programs.stop("producer")
            programs.stop("stream")
        finally:
            for name in list(programs.running):
                programs.kill(name)
    assert lab.run("bronze") == 0, lab.events
    expected = read(path).expected()
    assert lab.ids() == sorted(expected.valid), "each valid event once"
    aside = [decode(one.value or b"") for one in records.read_all(broker, dead)]
    sums = {hashlib.md5(one.payload).hexdigest() for one in aside if one is not None and not one.size}
    assert sums == expected.malformed, "each malformed event is a dead letter, and nothing else is"
    _tell(programs)


def _acknowledged(broker: Broker, lab: LiveLab, dead: str, ledger: Path) -> bool:
    """Whether every event of the ledger is in a topic."""
    expected = read(ledger).expected()
    held = {one.value for one in records.read_all(broker, lab.topic)}
    letters = {one.value for one in records.read_all(broker, dead)}
    return len(held) >= len(set(expected.valid.values())) and len(letters) >= len(expected.malformed)


def _wait(holds: Callable[[], bool], programs: Programs) -> None:
    until = time.monotonic() + 300 + EVENTS / RATE * 2
    while not holds():
        assert time.monotonic() < until, programs.said("producer") + programs.said("stream")
        programs.demand_alive()
        programs.look()
        _pause(0.5)


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def _family(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(c) for task in tasks for c in (task / "children").read_text().split()]
    except (OSError, ValueError):
        return []
    return [pid, *(one for child in children for one in _family(child))]


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _tell(programs: Programs) -> None:
    """Memory at the middle and at the end of what was seen, for who watches a long run."""
    for name, seen in programs.memory.items():
        if len(seen) > 3:
            middle, end = seen[len(seen) // 2][1], seen[-1][1]
            print(f"{name}: {middle / 1e6:.0f} MB at half, {end / 1e6:.0f} MB at the end")
