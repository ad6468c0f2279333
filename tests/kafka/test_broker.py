"""The broker: it takes records, keeps what it acknowledged, and never outlives who started it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from live.broker import Broker
from runner.errors import RunFailed
from tests.kafka import records

ROOT = Path(__file__).resolve().parents[2]


def test_what_was_sent_is_read_again(broker: Broker, topic: str) -> None:
    values = [f"event {n}".encode() for n in range(500)]
    sent = records.send(broker, topic, values)
    read = records.read_all(broker, topic)
    assert sorted(record.value or b"" for record in read) == sorted(values)
    assert {(one.partition, one.offset) for one in sent} == {(one.partition, one.offset) for one in read}


def test_a_topic_is_new_for_each_test(broker: Broker, topic: str) -> None:
    assert records.read_all(broker, topic) == []
    assert records.make_topic(broker) != topic


def test_acknowledged_records_outlive_a_kill(broker: Broker, topic: str) -> None:
    before = records.send(broker, topic, [b"%d" % n for n in range(5_000)])
    address = broker.bootstrap
    broker.kill()
    assert not broker.alive
    broker.restart()
    assert broker.bootstrap == address
    assert len(before) == 5_000
    assert {(one.partition, one.offset, one.value) for one in before} == {
        (one.partition, one.offset, one.value) for one in records.read_all(broker, topic)
    }
    assert len(records.send(broker, topic, [b"after"])) == 1


def test_a_second_broker_on_the_folder_is_refused(broker: Broker) -> None:
    with pytest.raises(RunFailed) as caught:
        Broker.start(broker.folder)
    assert caught.value.fault.code == "folder-taken"
    assert str(broker.folder) in caught.value.fault.what
    assert records.make_topic(broker)  # the first one goes on


def test_it_dies_with_who_started_it_even_by_a_kill(broker: Broker, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "live", "broker", "--port", "0", "--data", str(tmp_path / "kafka")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        told = next(line for line in parent.stdout if line.startswith("bootstrap"))
        assert told.startswith("bootstrap.servers=127.0.0.1:")
        (child,) = _children(parent.pid)
        handle = os.pidfd_open(child)
        parent.kill()
    ended, _, _ = select.select([handle], [], [], 30)
    os.close(handle)
    assert ended
    # What it held is free again: the folder and its port serve the next one.
    with Broker.start(tmp_path / "kafka") as again:
        assert f"={again.bootstrap} " in told


def test_ctrl_c_stops_it_and_leaves_nothing(broker: Broker, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "live", "broker", "--port", "0", "--data", str(tmp_path / "kafka")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert any(line.startswith("bootstrap") for line in parent.stdout)
        (child,) = _children(parent.pid)
        parent.send_signal(signal.SIGINT)
        assert parent.wait(60) == 0
    assert not Path(f"/proc/{child}").exists()


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_line_says_that_the_port_is_taken(broker: Broker, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "live", "broker", "--port", str(broker.port), "--data", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"port {broker.port} of 127.0.0.1 is taken")
    assert "To do: stop it, or name another port" in line


def test_a_missing_java_is_said(broker: Broker, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "live", "broker", "--port", "0", "--data", str(tmp_path)]
    environment = {**os.environ, "JAVA_HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Java is not there")
    assert "install a Java 17" in line
