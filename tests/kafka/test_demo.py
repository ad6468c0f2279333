"""The demo: a real server, producer and Kafka, and a stand-in for the runner."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from live import demo
from live.children import Child
from runner.errors import RunFailed

pytestmark = pytest.mark.kafka
ROOT = Path(__file__).resolve().parents[2]
STAND_IN = (sys.executable, "-m", "tests.kafka.stand_in")
PRODUCER = (sys.executable, "-c", "from producer.cli import main; main()")


def commands(options: demo.Options, *, bootstrap: str, url: str, http: int) -> demo.Programs:
    """The shipped commands of the producer, and the stand-in for those of the runner."""
    shipped = demo.programs(options, bootstrap=bootstrap, url=url, http=http)
    return replace(
        shipped,
        topics=replace(shipped.topics, command=(*PRODUCER, *shipped.topics.command[1:])),
        producer=replace(shipped.producer, command=(*PRODUCER, *shipped.producer.command[1:])),
        bronze=Child("bronze", (*STAND_IN, "stream", bootstrap)),
        transform=Child("silver-gold", (*STAND_IN, "run", bootstrap)),
        drain=Child("last-run", (*STAND_IN, "run", bootstrap)),
        show=(*STAND_IN, "show", bootstrap),
    )


def options(folder: Path, **changes: object) -> demo.Options:
    made = demo.Options(folder=folder, project=ROOT, minutes=0.1, rate=400, every=2, disconnect=2)
    return replace(made, **changes)  # type: ignore[arg-type]


def alive(folder: Path) -> list[str]:
    """Processes that were started for that folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue  # it ended meanwhile
        if os.fsencode(folder) in command and int(entry.name) != os.getpid():
            found.append(command.decode(errors="replace"))
    return found


def test_it_ends_by_itself_with_tables_that_are_the_ledger(tmp_path: Path) -> None:
    said: list[str] = []
    code = demo.run(
        options(tmp_path / "demo"), tell=said.append, stopped=threading.Event(), commands=commands
    )
    assert code == 0, said
    assert any(line.startswith("equal: ") for line in said)
    assert not any(line.startswith("different") for line in said)
    assert alive(tmp_path) == []
    assert {path.name for path in (tmp_path / "demo" / "logs").iterdir()} >= {"producer.log", "bronze.log"}


def test_a_lost_event_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_LOSES", "silver.cleaned_events")
    said: list[str] = []
    given = options(tmp_path / "demo", minutes=0.02)
    assert demo.run(given, tell=said.append, stopped=threading.Event(), commands=commands) == 1
    assert any(line.startswith("different: silver lacks 1 of ") for line in said)


def test_it_is_stopped_in_order_and_leaves_nothing(tmp_path: Path) -> None:
    stopped, said = threading.Event(), []

    def tell(line: str) -> None:
        said.append(line)
        if "sent" in line:  # the heading: all are started
            stopped.set()

    given = options(tmp_path / "demo", minutes=None)
    assert demo.run(given, tell=tell, stopped=stopped, commands=commands) == 0
    assert said[-1] == "stopping"
    assert alive(tmp_path) == []


def test_a_child_that_ends_is_named_with_its_last_lines(tmp_path: Path) -> None:
    def broken(given: demo.Options, *, bootstrap: str, url: str, http: int) -> demo.Programs:
        script = "print('all is well'); raise SystemExit('the disk is full')"
        found = commands(given, bootstrap=bootstrap, url=url, http=http)
        return replace(found, bronze=Child("bronze", (sys.executable, "-c", script)))

    with pytest.raises(RunFailed) as caught:
        demo.run(
            options(tmp_path / "demo"), tell=lambda line: None, stopped=threading.Event(), commands=broken
        )
    fault = caught.value.fault
    assert fault.code == "child-failed"
    assert fault.what.startswith("bronze ended by itself, with exit code 1")
    assert "all is well | the disk is full" in fault.why or "the disk is full | all is well" in fault.why
    assert alive(tmp_path) == []
