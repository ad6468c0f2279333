"""From an edit to a row that readers see: the whole live path at a steady rate, one process each."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.feed import PARTITIONS
from bench.harness import ROOT, SideFailed, median
from bench.outcome import Aim, Block, Options, Outcome
from live import captures, tether
from live.broker import Broker
from live.eventstreams import EventStreams, Rules
from live.spool import Spool
from runner.catalog import MAIN
from runner.engine.spark.engine import SparkEngine
from runner.lake import Lake
from runner.load import load_project
from runner.refs import TableRef
from runner.sessions import start_spark

RATE = 350
TRIGGER = 10.0
#: Seconds after the start that do not count: Spark compiles, and the backlog of its start is read.
WARM = 40

_HOW = (
    "Server, broker, `producer run`, `runner stream --trigger {trigger:g}`, each a process, at {rate} events"
    " a second for {seconds} s: from the event's own time (`meta.dt`, as sent) to the commit that shows it to"
    " readers. The first {warm} s do not count."
)


def run(options: Options) -> Outcome:
    """One run a round."""
    seconds = 70 if options.quick else 150
    rounds = [_once(options.work / str(index), seconds) for index in range(min(options.rounds, 2))]
    rows = [
        [index, of["events"], of["batches"], of["p50"], of["p99"], of["max"], of["producer MB"]]
        for index, of in enumerate(rounds, 1)
    ]
    columns = ["round", "events", "batches", "p50, s", "p99, s", "max, s", "producer, MB"]
    return Outcome(
        "latency",
        _HOW.format(trigger=TRIGGER, rate=RATE, seconds=seconds, warm=WARM),
        [Block("Seconds from an edit to a reader", columns, rows)],
        [Aim("p99, seconds", median([of["p99"] for of in rounds]), TRIGGER + 5)],
        {"rounds": rounds},
    )


def _once(folder: Path, seconds: int) -> dict[str, Any]:
    folder.mkdir(parents=True)
    with Broker.start(folder / "kafka") as broker:
        _demand(folder, "-c", "from producer.cli import main; main()", "topics", "ensure",
                "--brokers", broker.bootstrap, "--partitions", str(PARTITIONS))  # fmt: skip
        events = captures.generated(events=RATE * seconds, seed=3)
        spool = Spool(captures.as_of_now(events, rate=RATE))
        lake, overrides = folder / "lake", {"brokers": broker.bootstrap, "topic": "raw-events"}
        stream = tether.start(
            (sys.executable, "-m", "runner", "stream", "-p", "bronze", "--target", "live", "--lake", lake,
             "--trigger", str(TRIGGER), "--vars", f"brokers: '{broker.bootstrap}'"),
            log=folder / "stream.log", cwd=ROOT,
        )  # fmt: skip
        with EventStreams.start(spool, rules=Rules(rate=RATE)) as server:
            producer = tether.start(
                (sys.executable, "-c", "from producer.cli import main; main()", "run", "--url", server.url,
                 "--since", "2000-01-01T00:00:00Z", "--contact", "bench@example.org", "--domains", "all",
                 "--brokers", broker.bootstrap, "--state", folder / "state.json"),
                log=folder / "producer.log", cwd=ROOT,
            )  # fmt: skip
            began = time.time()
            server.wait_sent(timeout=seconds + 60)
            time.sleep(TRIGGER)
            memory = _resident(producer)
            for process in (producer, stream):
                process.terminate()
                if process.wait(120):
                    raise SideFailed(f"a program ended with {process.returncode}: see {folder}")
    project = load_project(ROOT, target="live", overrides=overrides, lake=lake)
    state = Lake.of(project).catalog.table(TableRef("bronze", "raw_events"))
    assert state is not None
    shown = {s.sequence: s.timestamp_ms for s in state.ancestry(state.branches[MAIN])}
    engine = start_spark(project, Lake.of(project), folder / "target")
    assert isinstance(engine, SparkEngine)
    found = engine.spark.sql(
        "SELECT unix_millis(event_timestamp) AS at, _last_updated_sequence_number AS seq"
        f" FROM bronze.raw_events WHERE unix_millis(event_timestamp) >= {int((began + WARM) * 1000)}"
    ).collect()
    waits = sorted((shown[row["seq"]] - row["at"]) / 1000 for row in found)
    return {
        "events": len(waits),
        "batches": len({row["seq"] for row in found}),
        "p50": waits[len(waits) // 2],
        "p99": waits[int(len(waits) * 0.99)],
        "max": waits[-1],
        "producer MB": memory / 1e6,
    }


def _demand(folder: Path, *arguments: str) -> None:
    with (folder / "setup.log").open("ab") as log:
        subprocess.run([sys.executable, *arguments], cwd=ROOT, stdout=log, stderr=log, check=True)


def _resident(process: subprocess.Popen[bytes]) -> int:
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * 4096
