"""What is an event: the contract's rules, and those of its oracle, on every shape that was ever seen."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer.generator.generate import lines
from producer.judge import Heartbeat, Malformed, Valid, judge
from tests import oracle
from tests.exact_json import as_instant

OK = {"meta": {"dt": "2026-10-01T00:00:00Z", "domain": "en.wikipedia.org", "id": "x"}, "type": "edit"}


def changed(**fields: Any) -> bytes:
    return json.dumps({**OK, **fields}).encode()


def meta(**fields: Any) -> bytes:
    return changed(meta={**OK["meta"], **fields})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (b"", Malformed("empty")),
        (b" \t", Malformed("empty")),
        (b"{", Malformed("not-json")),
        (b"\xef\xbb\xbf" + changed(), Malformed("not-json")),
        (changed().decode().encode("utf-16"), Malformed("not-utf8")),
        (changed()[:-1] + b',"title":"\xff"}', Malformed("not-utf8")),
        (changed()[:-1] + b',"x":NaN}', Malformed("not-json")),
        (changed()[:-1] + b',"x":-Infinity}', Malformed("not-json")),
        (b"[" * 100_000, Malformed("too-deep")),
        (b'{"a":' * 100_000, Malformed("too-deep")),
        (b"[1]", Malformed("not-an-object")),
        (b"null", Malformed("not-an-object")),
        (changed(meta="none"), Malformed("no-time", "meta.dt")),
        (changed(meta=None), Malformed("no-time", "meta.dt")),
        (meta(dt=None), Malformed("no-time", "meta.dt")),
        (meta(dt="yesterday"), Malformed("bad-time", "meta.dt")),
        (meta(dt=20261001), Malformed("bad-time", "meta.dt")),
        (changed(type=None), Malformed("no-type", "type")),
        (meta(domain=None), Malformed("no-domain", "meta.domain")),
        (meta(domain="canary", dt="broken"), Heartbeat()),
        (b'{"meta":{"dt":"x"}}', Heartbeat()),
        (changed(type=142), Valid("en.wikipedia.org", 1_790_812_800.0, "x")),
        (changed()[:-1] + b',"id":' + b"9" * 5000 + b"}",
         Valid("en.wikipedia.org", 1_790_812_800.0, "x")),
        (changed()[:-1] + b',"title":"\\ud800"}', Valid("en.wikipedia.org", 1_790_812_800.0, "x")),
        (changed()[:-1] + b',"type":null}', Malformed("no-type", "type")),  # of two keys the last
    ],
)  # fmt: skip
def test_verdicts(data: bytes, verdict: object) -> None:
    assert judge(data) == verdict


def expected(line: str) -> tuple[bool, bool]:
    """(heartbeat, valid) by the oracle."""
    event = oracle._event(line)
    if event is not None and oracle.is_heartbeat(event):
        return True, False
    return False, not oracle._faults(event)


def verdict(line: str) -> tuple[bool, bool]:
    found = judge(line.encode())
    return isinstance(found, Heartbeat), isinstance(found, Valid)


def test_generated_events_with_all_oddities_are_judged_as_the_oracle_does() -> None:
    for line in lines(events=8_000, seed=3):
        assert verdict(line) == expected(line), line


days = st.sampled_from(["2026-10-01", "2026-02-30", "0001-01-01", "9999-12-31", "0000-01-01", "2024-02-29"])
clocks = st.sampled_from(
    ["00:00", "23:59", "24:00", "12:60", "12:30:61", "12:30:59", "12:30:59.", "12:30:59.9876543210"]
)
zones = st.sampled_from(
    ["", "Z", "z", "+00:00", "+0530", "-18:00", "+18:01", "+01", "+23:59", "-00:60", " ", "\n"]
)


@settings(deadline=None)  # a busy machine is no fault
@given(days, st.sampled_from("T t"), clocks, zones)
def test_times_are_read_as_the_oracle_reads_them(day: str, middle: str, clock: str, zone: str) -> None:
    text = f"{day}{middle}{clock}{zone}"
    instant = as_instant(text)
    found = judge(meta(dt=text))
    if instant is None:
        assert found == Malformed("bad-time", "meta.dt")
    else:
        assert isinstance(found, Valid)
        assert found.at == instant.timestamp()


json_values = st.sampled_from(
    [None, True, 0, 142, "", "canary", "en.wikipedia.org", [], [None], {}, {"domain": "canary"}]
)
metas = st.fixed_dictionaries(
    {}, optional={"dt": json_values | st.just("2026-10-01T00:00Z"), "domain": json_values}
)


@settings(deadline=None)  # a busy machine is no fault
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "meta": json_values | metas,
            "type": json_values,
            "id": json_values,
        },
    )
)  # fmt: skip
def test_any_object_is_judged_as_the_oracle_does(event: dict[str, Any]) -> None:
    line = json.dumps(event)
    assert verdict(line) == expected(line)


@settings(deadline=None)  # a busy machine is no fault
@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    judge(data)
