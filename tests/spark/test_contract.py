"""The shipped project against the data contract, written down a second time in plain Python (oracle.py)."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from producer.generator.generate import lines as generated_lines
from tests.lab import ROOT, Lab, differences
from tests.oracle import tables

SHARED = ROOT.parent / "shared" / "data"

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"the real events are not there: {SHARED}")


def assert_contract(lab: Lab, lines: list[str]) -> None:
    """All five tables and the quarantine, cell by cell."""
    expected = tables(lines)
    for table in ("bronze.raw_events", "silver.cleaned_events", *GOLD_TABLES):
        rows = expected[
            table.split(".")[0] if table.startswith(("bronze", "silver")) else table.split(".")[1]
        ]
        found = differences(lab.rows(table), rows)
        assert not found, f"{table} differs: {found}"
    aside = [row["payload"] for row in lab.rows("bronze.raw_events__quarantine")]
    assert sorted(aside) == sorted(row["payload"] for row in expected["bronze_quarantine"])


GOLD_TABLES = ("gold.hourly_stats", "gold.risk_scores", "gold.entity_trends")


@pytest.fixture
def lab(spark: SparkSession, tmp_path: Path) -> Lab:
    return Lab(spark, tmp_path / "lab")


@needs_shared
@pytest.mark.parametrize("name", ["recentchange-2023-01-24.ndjson.gz", "recentchange-2026-02-26.ndjson.gz"])
def test_real_events(name: str, lab: Lab) -> None:
    path = SHARED / name
    assert lab.run(overrides={"events": str(path)}) == 0
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        assert_contract(lab, [line.rstrip("\n") for line in file])


@needs_shared
@pytest.mark.parametrize("name", ["edge-cases-real.ndjson", "edge-cases-constructed.ndjson"])
def test_edge_cases(name: str, lab: Lab) -> None:
    """A pack's line holds the event under `event`."""
    packed = (SHARED / name).read_text(encoding="utf-8").splitlines()
    lines = [json.dumps(json.loads(line)["event"], ensure_ascii=False) for line in packed]
    lab.drop("pack.ndjson", lines)
    assert lab.run() == 0
    assert_contract(lab, lines)


def test_generated_events(lab: Lab) -> None:
    """Every oddity that the generator knows, over three days."""
    lines = list(generated_lines(events=6000, days=3, seed=21))
    lab.drop("a.ndjson", lines)
    assert lab.run() == 0
    assert_contract(lab, lines)


HOSTILE = [
    "",
    " ",
    "null",
    "42",
    '"text"',
    "[]",
    '[{"meta":{}}]',
    "{",
    "{}}",
    '{"a":1} {"b":2}',
    "{'meta':{'domain':'a.org'}}",
    '{"meta":{"id":"n1","dt":"2026-01-01T00:00:00Z","domain":"a.org"},"type":"edit","id":NaN}',
    '{"meta":null,"type":"edit"}',
    '{"meta":"text","type":"edit"}',
    '{"meta":[],"type":"edit"}',
    '{"meta":{"id":"h1","dt":"not a time","domain":"a.org"},"type":"edit"}',
    '{"meta":{"id":"h2","dt":"2026-13-01T00:00:00Z","domain":"a.org"},"type":"edit"}',
    '{"meta":{"id":"h3","dt":"2026-01-01T10:00:00+02:00","domain":"a.org"},"type":"edit","title":"t","user":"u"}',
    '{"meta":{"id":"h4","dt":"2026-01-01T10:00:00.123999","domain":"a.org"},"type":142,"title":"t","user":"u"}',
    '{"meta":{"id":"h5","dt":"2026-01-01T10:00:00Z","domain":"a.org"},"type":"142","title":"","user":"u"}',
    '{"meta":{"id":"h6","dt":"2026-01-01T10:00:00Z","domain":"a.org"},"type":"edit","id":99999999999999999999}',
    '{"meta":{"id":"h7","dt":"2026-01-01T10:00:00Z","domain":"a.org"},"type":"edit","id":"12","namespace":"x"}',
    '{"meta":{"id":"h8","dt":"2026-01-01T10:00:00Z","domain":"a.org"},"type":"edit","length":{"old":-9223372036854775808,"new":9223372036854775807},"title":"t","user":"u"}',
    '{"meta":{"id":"h9","dt":"2026-01-01T10:00:00Z","domain":"a.org"},"type":"edit","length":{"new":9223372036854775807},"title":"t","user":"u"}',
    '{"meta":{"id":"h10","dt":"2026-01-01T10:00:00Z","domain":"a.org"},"type":"edit","length":{"new":9223372036854775807},"title":"t","user":"u"}',
    '{"meta":{"id":"h11","dt":"2026-01-01T10:00:00Z","domain":"a.org"},"type":"edit","timestamp":999999999999999999,"bot":"maybe","minor":1}',
    '{"meta":{"id":"h12","dt":"2026-01-01T10:00:00Z","domain":"a.org"},"type":"log","log_params":"a \\u00e9 \\"quoted\\" \\/","title":"t","user":"\\u0000 \\u0085 "}',
    '{"meta":{"id":"h13","dt":"2026-01-01T10:00:00Z","domain":"a.org"},"type":"log","log_params":{"x":1.50,"y":[1e5, null]},"title":"t","user":"::1"}',
    '{"meta":{"id":"h14","dt":"2026-01-01T10:00:00Z","domain":"a.org"},"type":"log","log_params":[],"title":"{{ x }}","user":"~2026-12345-67"}',
    '{"meta":{"id":"h15","dt":"2026-01-01T10:00:00Z","domain":"a.org"},"type":"log","comment":"\\"log_params\\":\\"no\\"","log_params":"yes","title":"</script>","user":"1.2.3.4\\u2028"}',
    '{"meta":{"dt":"2026-01-01T10:00:00Z","domain":"a.org"},"type":"edit","title":"no id","user":"203.0.113.7"}',
    '{"meta":{"id":"","dt":"2026-01-01T10:00:00Z","domain":"a.org"},"type":"edit","title":"empty id","user":"203.0.113.007"}',
    '{"meta":{"id":"h16","dt":"2026-01-01T10:00:00Z","domain":"canary"},"type":"edit"}',
    '{"$schema":"x","meta":{"dt":"2026-01-01T10:00:00Z","stream":"s"}}',
    '{"meta":{"id":"y1","dt":"0001-01-01T00:00:00Z","domain":"a.org"},"type":"edit","title":"t","user":"u"}',
    '{"meta":{"id":"y1582","dt":"1582-10-10T00:00:00Z","domain":"a.org"},"type":"edit","title":"t","user":"u"}',
    '{"meta":{"id":"y9999","dt":"9999-12-31T23:59:59.999Z","domain":"a.org"},"type":"edit","title":"t","user":"u"}',
    '{"meta":{"id":"h17","dt":"2007-01-01T10:00:00Z","domain":"en.wikipedia.org"},"type":"external","title":"a\\nb","user":"\\u202eabc"}',
]  # fmt: skip


def test_hostile_lines_abort_nothing(lab: Lab) -> None:
    """Whatever a stranger sends becomes a row, a counted heartbeat or a quarantined line."""
    lab.drop("hostile.ndjson", HOSTILE[::2])
    assert lab.run() == 0, lab.events
    lab.drop("more.ndjson", HOSTILE[1::2])
    assert lab.run() == 0, lab.events
    assert_contract(lab, HOSTILE[::2] + HOSTILE[1::2])
