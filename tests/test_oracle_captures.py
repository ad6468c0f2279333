"""The reference implementation against real captures, where they are there."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.exact_json import parse
from tests.oracle import bronze, tables

CAPTURES = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="module")
def captures() -> Path:
    if not CAPTURES.is_dir():
        pytest.skip(f"no real captures: {CAPTURES} is absent")
    return CAPTURES


def real(path: Path) -> list[str]:
    """The events of a capture as the lines that were sent; an edge case lies in an envelope."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    texts = data.decode().split("\n")
    if ".sse" in path.name:
        return [text.removeprefix("data: ") for text in texts if text.startswith("data: ")]
    texts = [text for text in texts if text]
    if path.name.startswith("edge"):
        return [parse(text).members["event"].text for text in texts]
    return texts


@pytest.mark.parametrize(
    ("name", "rows", "duplicates", "heartbeats", "late"),
    [
        ("recentchange-2021-08-27.sse.gz", 1_950, 0, 0, 0),
        ("recentchange-2023-01-24.ndjson.gz", 6_948, 0, 0, 0),
        ("recentchange-2026-02-26.ndjson.gz", 50, 0, 0, 0),
        ("edge-cases-real.ndjson", 66, 3, 0, 52),  # of 2021 behind one of 2026
        ("edge-cases-constructed.ndjson", 8, 0, 2, 0),
    ],
)
def test_every_real_event_is_read_whole(
    captures: Path, name: str, rows: int, duplicates: int, heartbeats: int, late: int
) -> None:
    landed = bronze(real(captures / name))
    assert (len(landed.rows), landed.duplicates, landed.heartbeats) == (rows, duplicates, heartbeats)
    assert (landed.quarantine, landed.unfit, landed.late) == ([], {}, late)


def test_real_events_by_facts_counted_without_the_oracle(captures: Path) -> None:
    sent = real(captures / "recentchange-2021-08-27.sse.gz")
    found = tables(sent)
    events = [json.loads(text) for text in sent]
    assert sum(row["total_events"] for row in found["hourly_stats"]) == 1_950 - 2  # two of type 142
    assert sum(row["is_anonymous"] for row in found["silver"]) == 79
    assert sum(row["region"] == "other" for row in found["silver"]) == round(0.5984615384615385 * 1_950)
    deltas = [e["length"]["new"] - e["length"].get("old", 0) for e in events if "length" in e]
    assert sum(row["bytes_added"] - row["bytes_removed"] for row in found["hourly_stats"]) == sum(deltas)
    params = {e["meta"]["id"]: e["log_params"] for e in events if "log_params" in e}
    read = {row["event_id"]: row["log_params"] for row in found["bronze"] if row["log_params"] is not None}
    assert {key: json.loads(text) for key, text in read.items()} == params
    assert all(any(text in line for line in sent) for text in list(read.values())[:50])
