"""The ledger of the replay server tells what must be where in the end, and judges as the rules do."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from live import captures, faults, ledger
from live.eventstreams import EventStreams
from live.judge import judge
from live.spool import Spool
from tests import oracle
from tests.live.client import get
from tests.live.conftest import Serve

ROOT = Path(__file__).resolve().parents[2]


def test_it_judges_generated_events_as_the_oracle_of_the_lake_does(serve: Serve, ledger: Path) -> None:
    lines = [one.data.decode() for one in captures.generated(events=4_000, seed=7)]
    get(serve(captures.generated(events=4_000, seed=7)).url)
    kept = ledger_of(ledger)
    bronze = oracle.bronze(lines)
    assert set(kept.expected().valid) == {row["event_id"] for row in bronze.rows}
    assert sum(one.verdict == "heartbeat" for one in kept.events) == bronze.heartbeats
    malformed = {one.event_id for one in kept.events if one.verdict == "malformed"}
    assert malformed - set(kept.expected().valid) == {row["event_id"] for row in bronze.quarantine}


def test_each_event_is_in_one_set(serve: Serve, ledger: Path) -> None:
    get(serve(3_000).url)
    kept = ledger_of(ledger)
    expected = kept.expected({"en.wikipedia.org", "de.wikipedia.org"})
    assert set(expected.valid).isdisjoint(expected.filtered)
    assert all((expected.valid, expected.filtered, expected.malformed, expected.heartbeats))
    counted = {one.event_id for one in kept.events if one.verdict == "valid"}
    assert counted == set(expected.valid) | set(expected.filtered)
    assert len(kept.events) == 3_000
    assert kept.sent() == set(range(3_000))


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("{", "malformed", "not_json"),
        ("[1]", "malformed", "not_json"),
        ('{"a":NaN}', "malformed", "not_json"),
        ("[" * 100_000, "malformed", "not_json"),
        ('{"meta":{"dt":"2026-02-30T00:00:00Z","domain":"d"},"type":"edit"}', "malformed", "no_dt"),
        ('{"meta":{"dt":"2026-02-03T00:00:00Z","domain":"d"}}', "malformed", "no_type"),
        ('{"meta":{"dt":"2026-02-03T00:00:00Z"},"type":"edit"}', "malformed", "no_domain"),
        ('{"meta":{"dt":"2026-02-03T00:00:00Z","domain":"canary"},"type":"edit"}', "heartbeat", ""),
        ('{"meta":{"dt":"2026-02-03T00:00:00Z","domain":null},"id":null}', "heartbeat", ""),
        ('{"meta":{"dt":"2026-02-03T00:00:00Z"},"id":7}', "malformed", "no_type"),
        ('{"meta":{"dt":"2026-02-03T00:00:00+02:00","domain":"d"},"type":142}', "valid", ""),
        ('{"meta":{"dt":"2026-02-03 00:00","domain":"d"},"type":"","id":' + "9" * 6_000 + "}", "valid", ""),
    ],
)
def test_an_event_is_judged_by_the_rules(text: str, kind: str, reason: str) -> None:
    verdict = judge(text.encode())
    assert (verdict.kind, verdict.reason) == (kind, reason)


def test_bytes_that_are_no_text_are_malformed() -> None:
    assert judge(b'{"a":"\xff"}').reason == "not_utf8"


def test_the_first_valid_delivery_counts(serve: Serve, ledger: Path) -> None:
    meta = '{"meta":{"id":"x","dt":"2026-02-03T00:00:00Z","domain":"d"}'
    texts = [meta + "}", meta + ',"type":"new"}', meta + ',"type":"edit"}']
    get(serve([captures.Captured(text.encode()) for text in texts]).url)
    kept = ledger_of(ledger)
    assert kept.expected().valid == {"x": kept.events[1].md5}
    assert kept.expected().malformed == {kept.events[0].md5}


def test_a_client_that_rewinds_misses_nothing_in_spite_of_all_faults(tmp_path: Path) -> None:
    events = list(captures.generated(events=3_000, seed=3))
    wrong = faults.at_random(60, seed=3, events=len(events))
    spool = Spool(events, changes=faults.changes(wrong))
    path = tmp_path / "ledger.ndjson"
    got: set[bytes] = set()
    last = None
    from live.eventstreams import Rules

    with EventStreams.start(spool, rules=Rules(end=True), faults=wrong, ledger=path) as server:
        while not server.wait_sent(timeout=0):
            answer = get(server.url, last=last)
            got |= {one.data for one in answer.events}
            if answer.events:
                last = _rewound(answer.events[-1].id)
        assert server.wait_closed()
        statuses = {one.status for one in ledger_of(path).connections}
    kept = ledger_of(path)
    assert statuses == {200, 429, 500, 503}
    assert {judge(one).event_id for one in got if judge(one).kind == "valid"} == set(kept.expected().valid)
    assert len(kept.events) == 3_000


def _rewound(sent: str) -> str:
    places = json.loads(sent)
    places[0]["timestamp"] -= 60_000
    return json.dumps(places)


def test_an_event_is_in_the_ledger_before_it_is_on_the_wire(serve: Serve, ledger: Path) -> None:
    server = serve(60, wrong=["half-open@event=9,byte=30"])
    assert len(server.spool) == 60
    from tests.live.client import Socket

    with Socket(server.url) as one:
        one.until(b"event: message")
        assert server.wait_sent(9)
        assert len(ledger_of(ledger).events) == 10


def test_as_a_command_it_serves_until_it_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "ledger.ndjson"
    command = [sys.executable, "-m", "live", "serve", "--events", "50", "--port", "0", "--ledger", str(path)]
    command += ["--end", "--fault", "torn@event=20"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert select.select([server.stdout], [], [], 60)[0]
        told = server.stdout.readline()
        url = next(word for word in told.split() if word.startswith("http"))
        assert len(get(url).events) == 20
        assert len(get(url, since="2000-01-01T00:00:00Z").events) == 50
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
        assert server.stdout.read().startswith("50 of 50 events were sent, in 2 requests")
    assert len(ledger_of(path).events) == 50


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing.ndjson"], "nothing.ndjson cannot be read"),
        (["--fault", "torn"], "'torn' is no fault"),
        (["--now"], "--now needs a rate"),
    ],
)
def test_what_is_wrong_is_one_line(arguments: list[str], says: str) -> None:
    command = [sys.executable, "-m", "live", "serve", "--events", "5", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(says)
    assert "To do: " in line


def ledger_of(path: Path) -> ledger.Kept:
    return ledger.read(path)
