"""The generated stream: the same bytes from the same seed, in the shapes and shares of real captures."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import producer.generator.generate as generate
from producer.cli import cli
from tests import oracle
from tests.generated import DAYS, EVENTS, START, Event, event_of, sample

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return sample()


@pytest.fixture(scope="module")
def plain(lines: list[str]) -> list[Event]:
    """The events that are valid and no heartbeats, each once, in the order of arrival."""
    return _plain(lines)


@pytest.fixture(scope="module")
def tables(lines: list[str]) -> dict[str, list[Event]]:
    return oracle.tables(lines)


def _plain(lines: list[str]) -> list[Event]:
    found = []
    for line in dict.fromkeys(lines):
        event = event_of(line)
        meta = event.get("meta")
        if not isinstance(meta, dict) or "type" not in event:
            continue
        if meta.get("domain", "canary") != "canary" and ISO.fullmatch(meta.get("dt", "")):
            found.append(event)
    return found


def _seconds(event: Event) -> float:
    return datetime.fromisoformat(event["meta"]["dt"]).timestamp()


# ------------------------------------------------------------------------------------- determinism


def test_the_same_seed_gives_the_same_lines(lines: list[str]) -> None:
    assert list(generate.lines(events=EVENTS, days=DAYS, seed=1, start=START)) == lines


def test_another_seed_gives_other_events() -> None:
    one = set(generate.lines(events=500, seed=1))
    assert not one & set(generate.lines(events=500, seed=2)) - {"null", "42", '"reconnect"'}


def test_neither_hash_seed_nor_time_zone_shows_and_nothing_heavy_is_imported() -> None:
    code = (
        "import hashlib, sys; from producer.generator.generate import lines; import producer.cli\n"
        "print(hashlib.sha256('\\n'.join(lines(events=3000, days=2)).encode()).hexdigest())\n"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & {'runner', 'pyspark', 'confluent_kafka'}))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    }
    assert len(outputs) == 1
    assert outputs.pop().endswith("\n[]\n")


# With 2,150 and 2,800 a day some hour ends on planned lines, which chance must leave room for.
@pytest.mark.parametrize(
    ("events", "days"), [(0, 1), (1, 1), (7, 3), (100, 5), (6_450, 3), (5_600, 2), (9_001, 2)]
)
def test_the_number_of_lines_is_exact(events: int, days: int) -> None:
    by_day = [list(arriving) for _, arriving in generate.by_day(events=events, days=days)]
    assert sum(map(len, by_day)) == events
    assert max(map(len, by_day)) - min(map(len, by_day)) <= 1


def test_a_day_more_changes_no_earlier_day() -> None:
    two = list(generate.lines(events=4_000, days=2))
    assert list(generate.lines(events=6_000, days=3))[:4_000] == two


def test_days_and_events_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="days 1 or more"):
        list(generate.lines(events=10, days=0))


# ------------------------------------------------------------------------------------------- files


def test_equal_output_is_not_rewritten(tmp_path: Path) -> None:
    out = tmp_path / "events.ndjson.gz"
    assert [one.changed for one in generate.write(out=out, events=500)] == [True]
    os.utime(out, ns=(1_000, 2_000))
    before = out.stat()
    assert [one.changed for one in generate.write(out=out, events=500)] == [False]
    assert (out.stat().st_mtime_ns, out.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_other_output_replaces_the_file_even_at_equal_size(tmp_path: Path) -> None:
    out = tmp_path / "events.ndjson"
    generate.write(out=out, events=500)
    good = out.read_bytes()
    out.write_bytes(good[:-9] + b"tampered\n")
    assert [one.changed for one in generate.write(out=out, events=500)] == [True]
    assert out.read_bytes() == good
    assert [one.changed for one in generate.write(out=out, events=500, seed=2)] == [True]
    assert out.read_bytes() != good


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "events.ndjson.gz"
    generate.write(out=out, events=100)
    good = out.read_bytes()

    def failing(**_: Any) -> Iterator[tuple[date, Iterator[str]]]:
        def arriving() -> Iterator[str]:
            yield "{}"
            raise KeyboardInterrupt

        yield START, arriving()

    monkeypatch.setattr(generate, "by_day", failing)
    with pytest.raises(KeyboardInterrupt):
        generate.write(out=out, events=100)
    assert out.read_bytes() == good
    assert list(tmp_path.iterdir()) == [out]


def test_compressed_bytes_know_no_name_and_no_time(tmp_path: Path) -> None:
    one, other = tmp_path / "one.ndjson.gz", tmp_path / "deep" / "other.gz"
    for out in (one, other):
        generate.write(out=out, events=300)
    assert one.read_bytes() == other.read_bytes()
    assert one.read_bytes()[3:8] == b"\0" * 5  # no flags, so no name; no time
    assert gzip.decompress(one.read_bytes()).decode().split("\n")[:-1] == list(generate.lines(events=300))


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.touch()
    generate.write(out=tmp_path / "events.ndjson", events=1)
    assert (tmp_path / "events.ndjson").stat().st_mode == usual.stat().st_mode


def test_many_days_make_one_whole_file_a_day(tmp_path: Path, lines: list[str]) -> None:
    written = generate.write(out=tmp_path, events=EVENTS, days=DAYS, seed=1, start=START)
    names = [f"events-2026-10-0{day}.ndjson.gz" for day in (1, 2, 3)]
    assert [one.path.name for one in written] == names == sorted(path.name for path in tmp_path.iterdir())
    files = [gzip.decompress(one.path.read_bytes()).decode().split("\n")[:-1] for one in written]
    assert [line for file in files for line in file] == lines
    for day, file in enumerate(files):
        own, before = f"2026-10-0{day + 1}", f"2026-10-0{day}"
        times = [event["meta"]["dt"] for event in _plain(file)]
        # Nothing of a later day, nothing older than the day before, and a few late ones across midnight.
        assert {at[:10] for at in times} == ({own, before} if day else {own})
        assert day == 0 or 3 <= sum(at < f"{before}T23:55" for at in times) < 30
        assert day == 0 or set(file) & set(files[day - 1]), "the server repeats lines of the day before"


def test_the_command_writes_says_so_and_refuses_a_file_for_many_days(tmp_path: Path) -> None:
    run = CliRunner()
    ask = ["generate", "--events", "200", "--start", "2023-01-24", "--seed", "5", "--out"]
    first = run.invoke(cli, [*ask, str(tmp_path / "days"), "--per-day"])
    assert first.exit_code == 0
    assert "events-2023-01-24.ndjson.gz  200 events  written" in first.output
    assert "unchanged" in run.invoke(cli, [*ask, str(tmp_path / "days"), "--per-day"]).output
    refused = run.invoke(cli, [*ask, str(tmp_path / "x.ndjson.gz"), "--days", "2"])
    assert refused.exit_code == 2
    assert "one file a day" in refused.output
    assert run.invoke(cli, [*ask, str(tmp_path / "days")]).exit_code == 2


# ------------------------------------------------------------------------------------- proportions


@pytest.mark.parametrize("seed", [1, 7])
@pytest.mark.parametrize("start", [START, date(2023, 1, 24)])
def test_shares_are_those_of_the_captures(seed: int, start: date) -> None:
    found = _plain(list(generate.lines(events=EVENTS, days=DAYS, seed=seed, start=start)))
    changes = [event for event in found if event.get("type") in ("edit", "new")]
    logs = [event for event in found if event.get("type") == "log"]

    def share(of: list[Event], holds: Callable[[Event], object]) -> float:
        return sum(bool(holds(event)) for event in of) / len(of)

    def user(event: Event) -> str:
        return str(event.get("user") or "")

    bands = {
        "edit": (share(found, lambda e: e["type"] == "edit"), 0.52, 0.64),
        "categorize": (share(found, lambda e: e["type"] == "categorize"), 0.30, 0.40),
        "log": (share(found, lambda e: e["type"] == "log"), 0.018, 0.05),
        "new": (share(found, lambda e: e["type"] == "new"), 0.02, 0.045),
        "outside domain_regions": (
            share(found, lambda e: e["meta"]["domain"] not in oracle.REGIONS),
            0.38,
            0.46,
        ),
        "bots": (share(found, lambda e: e.get("bot") is True), 0.35, 0.62),
        "addresses": (
            share(found, lambda e: oracle.is_anonymous(user(e)) and user(e)[0] != "~"),
            0.005,
            0.08,
        ),
        "temporary": (share(found, lambda e: re.match(r"~20\d\d-", user(e))), 0.03, 0.10),
        "log without id": (share(logs, lambda e: "id" not in e), 0.40, 0.52),
        "params object": (share(logs, lambda e: isinstance(e.get("log_params"), dict)), 0.7, 0.9),
        "params array": (share(logs, lambda e: isinstance(e.get("log_params"), list)), 0.08, 0.25),
        "params string": (share(logs, lambda e: isinstance(e.get("log_params"), str)), 0.005, 0.06),
        "patrolled": (share(changes, lambda e: "patrolled" in e), 0.6, 0.9),
        "minor": (share(changes, lambda e: e.get("minor") is True), 0.15, 0.4),
    }
    if start.year < 2025:
        bands["temporary"] = (bands["temporary"][0], 0, 0)
    assert {name: got for name, (got, low, high) in bands.items() if not low <= got <= high} == {}


def test_only_edits_and_new_pages_have_a_length_and_new_ones_no_old_half(plain: list[Event]) -> None:
    for event in plain:
        assert ("length" in event) == ("revision" in event) == (event["type"] in ("edit", "new"))
        if event["type"] == "new":
            assert "old" not in {*event["length"], *event["revision"]}


def test_order_is_not_time_order_and_lags_are_those_of_the_captures(plain: list[Event]) -> None:
    highest, lags = 0.0, []
    for event in plain:
        at = _seconds(event)
        lags.append(max(0.0, highest - at))
        highest = max(highest, at)
    lags.sort()
    live = [lag for lag in lags if lag <= 300]
    assert 0.45 <= sum(lag > 0 for lag in lags) / len(lags) <= 0.65
    assert 7 <= live[int(len(live) * 0.99)] <= 11
    assert 30 < live[-1] <= 64
    assert 10 <= len(lags) - len(live) <= 60, "a few are late by more than five minutes"


def test_repeats_are_whole_runs_of_earlier_lines(lines: list[str]) -> None:
    last: dict[str, int] = {}
    repeats = []
    for position, line in enumerate(lines):
        if line in last and len(line) > 200:
            repeats.append((position, last[line]))
        last[line] = position
    assert 0.003 < len(repeats) / len(lines) < 0.03
    assert all(position - before <= 60 for position, before in repeats), "only what was sent just before"
    together = sum(b[0] - a[0] == b[1] - a[1] == 1 for a, b in pairwise(repeats))
    assert together > len(repeats) * 0.6


def test_today_has_milliseconds_large_ids_and_a_clock_seconds_behind(plain: list[Event]) -> None:
    assert all(len(event["meta"]["dt"]) == 24 for event in plain)
    assert len({event["meta"]["dt"][20:23] for event in plain}) > 500
    assert max(e["id"] for e in plain if isinstance(e.get("id"), int) and e["id"] < 10**15) > 2**31
    revisions = [e["revision"]["new"] for e in plain if e.get("revision")]
    assert max(revisions) > 2**31
    behind = Counter(int(_seconds(e)) - e["timestamp"] for e in plain if isinstance(e["timestamp"], int))
    assert {gap for gap in behind if gap < 100} == {0, 1, 2, 3, 4, 5}
    years = {gap for gap in behind if gap > 100}
    assert min(years, default=0) > 10 * 365 * 86_400
    assert sum(behind[gap] for gap in years) < 30


def test_before_2025_events_have_seconds_and_small_ids() -> None:
    found = _plain(list(generate.lines(events=5_000, start=date(2023, 1, 24))))
    assert {len(event["meta"]["dt"]) for event in found} == {20}
    assert max(e["id"] for e in found if isinstance(e.get("id"), int) and e["id"] < 10**15) < 2**31
    assert not any("title_url" in event or "notify_url" in event for event in found)


# ---------------------------------------------------------------------------------- what gold shows


def test_every_day_has_users_of_every_risk_level(tables: dict[str, list[Event]]) -> None:
    for day in ("2026-10-01", "2026-10-02", "2026-10-03"):
        levels = Counter(row["risk_level"] for row in tables["risk_scores"] if row["stat_date"] == day)
        assert min(levels["HIGH"], levels["MEDIUM"]) >= 2
        assert levels["LOW"] > 100
    scores = {row["risk_score"] for row in tables["risk_scores"]}
    assert {0, 20, 30, 40, 50, 80, 100} <= scores


def test_pages_rise_fall_appear_and_stay(tables: dict[str, list[Event]]) -> None:
    courses: dict[str, list[str]] = {}
    for row in tables["entity_trends"]:
        courses.setdefault(row["entity_id"].partition("/")[2], []).append(row["trend"])
    for titles, course in (
        (("Comet Kestrel", "しろい彗星"), ["new", "rising", "rising"]),
        (("Coupe du phare", "جام فانوس دریایی"), ["new", "falling", "falling"]),
        (("2026 Harbour Railway strike", "Stille Brücke"), ["new", "steady", "steady"]),
        (("Breaking story 1", "Breaking story 2", "Breaking story 3"), ["new"]),
    ):
        assert {title: courses[title] for title in titles} == dict.fromkeys(titles, course)
    domains = {
        r["trend"] for r in tables["entity_trends"] if r["entity_type"] == "domain" and r["events"] > 50
    }
    assert {"rising", "falling", "steady"} <= domains


def test_hours_have_a_cycle_and_few_pages_and_users_have_many_events(
    tables: dict[str, list[Event]], plain: list[Event]
) -> None:
    hours: Counter[int] = Counter()
    for row in tables["hourly_stats"]:
        hours[row["stat_hour"]] += row["total_events"]
    assert len(hours) == 24
    assert hours[15] > 2 * hours[3]
    for name in ("user", "title"):
        counts = Counter(str(event.get(name)) for event in plain).most_common()
        top = sum(count for _, count in counts[: len(counts) // 20])
        assert top > 0.2 * len(plain), name
        assert len(counts) > 1_000, name


def test_nothing_happens_outside_the_days_asked_for(tables: dict[str, list[Event]]) -> None:
    days = {row["event_date"] for row in tables["silver"]}
    assert days == {"2026-10-01", "2026-10-02", "2026-10-03"}
    # So many events a day that the first ones arrive within their own lag of midnight.
    dense = _plain(list(islice(generate.lines(events=1_000_000), 400)))
    assert {event["meta"]["dt"][:10] for event in dense} == {"2026-10-01"}


def test_runs_that_start_on_different_days_invent_different_ids() -> None:
    """Events of another day come beside those that are there: an id never lies in two days."""

    def ids(start: date) -> set[str]:
        found = generate.events(events=500, days=1, seed=1, start=start)
        return {e["meta"]["id"] for e in found if isinstance(e, dict) and "id" in e.get("meta", {})}

    assert not ids(date(2026, 10, 1)) & ids(date(2026, 10, 2))
