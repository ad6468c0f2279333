"""The reference implementation against small cases computed by hand: bronze, and what is set aside."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests import oracle
from tests.oracle import bronze
from tests.oracle_rows import Row
from tests.recentchange import line


def one(text: str) -> Row:
    """The only row of bronze that the line gives."""
    rows = bronze([text]).rows
    assert len(rows) == 1
    return rows[0]


def test_a_whole_row_of_bronze_in_the_order_of_the_contract() -> None:
    text = line()
    assert one(text) == {
        "event_id": "e1",
        "rc_id": 3213449330,
        "event_type": "edit",
        "domain": "de.wikipedia.org",
        "wiki": "dewiki",
        "title": "Brücke",
        "user": "Ada",
        "comment": "",
        "namespace": 0,
        "is_bot": False,
        "is_minor": True,
        "is_patrolled": False,
        "length_old": 200,
        "length_new": 300,
        "length_delta": 100,
        "revision_old": 1,
        "revision_new": 2543471307,
        "log_id": None,
        "log_type": None,
        "log_action": None,
        "log_params": None,
        "event_timestamp": "2026-02-26T15:49:36.544Z",
        "source_timestamp": "2026-02-26T15:49:35.000Z",
        "event_date": "2026-02-26",
        "event_hour": 15,
        "kafka_topic": None,
        "kafka_partition": None,
        "kafka_offset": None,
        "payload": text,
        "schema_version": "1.0",
    }
    assert tuple(one(text)) == oracle.BRONZE_COLUMNS


@pytest.mark.parametrize(
    ("dt", "instant"),
    [
        ("2023-01-24T01:49:17Z", "2023-01-24T01:49:17.000Z"),
        ("2026-02-26T15:49:36.5449Z", "2026-02-26T15:49:36.544Z"),  # cut, not rounded
        ("2026-02-26T15:49:36.9999999999Z", "2026-02-26T15:49:36.999Z"),
        ("2026-02-26T15:49:36.5Z", "2026-02-26T15:49:36.500Z"),
        ("2026-02-26 15:49", "2026-02-26T15:49:00.000Z"),
        ("2026-02-26T00:30:00+05:30", "2026-02-25T19:00:00.000Z"),
        ("2026-02-26T23:30:00.001-0100", "2026-02-27T00:30:00.001Z"),
        ("1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z"),  # floored before 1970 too
        ("0987-01-01T00:00:00Z", "0987-01-01T00:00:00.000Z"),
        ("2026-02-30T00:00:00Z", None),
        ("2026-02-26T24:00:00Z", None),
        ("2026-02-26T15:49:60Z", None),
        ("2026-02-26", None),
        ("2026-02-26T15Z", None),
        ("2026-02-26T15:49:36.544Z ", None),
        ("2026-02-26T15:49:36.544z", None),
        ("2026-02-26T15:49:36.544+01", None),
        ("2026-02-26T15:49:36.544+19:00", None),
        ("٢٠٢٦-02-26T15:49:36Z", None),
        ("1772120975", None),
        ("", None),
        (1772120975, None),
        (None, None),
    ],
)
def test_event_time_is_iso_8601_in_utc_cut_to_the_millisecond(dt: Any, instant: str | None) -> None:
    landed = bronze([line(meta={"dt": dt})])
    if instant is None:
        assert [row["faults"] for row in landed.quarantine] == [["no_dt"]]
    else:
        row = landed.rows[0]
        assert row["event_timestamp"] == instant
        assert (row["event_date"], row["event_hour"]) == (instant[:10], int(instant[11:13]))


def test_without_an_id_the_md5_of_the_text_is_the_id() -> None:
    for text in (line(None), line(""), line(meta={"id": None})):
        assert one(text)["event_id"] == hashlib.md5(text.encode()).hexdigest()
    assert bronze([line(None), line(None)]).duplicates == 1


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        ({"old": 200, "new": 300}, (200, 300, 100)),
        ({"new": 10}, (None, 10, 10)),
        ({"old": None, "new": 10}, (None, 10, 10)),
        ({"old": 200}, (200, None, None)),
        ({"old": 0, "new": 0}, (0, 0, 0)),
        ({"old": "5080", "new": "+5121"}, (5080, 5121, 41)),
        ({"old": "small", "new": 7}, (None, 7, 7)),
        ({"old": -1, "new": 2**63 - 1}, (-1, 2**63 - 1, None)),
        (None, (None, None, None)),
        ([1, 2], (None, None, None)),
        ("300", (None, None, None)),
    ],
)
def test_delta_needs_a_new_length_and_takes_a_missing_old_one_as_zero(
    length: Any, expected: tuple[Any, ...]
) -> None:
    row = one(line(length=length))
    assert (row["length_old"], row["length_new"], row["length_delta"]) == expected


@pytest.mark.parametrize(
    ("field", "column", "sent", "kept", "fits"),
    [
        ("id", "rc_id", 2**63 - 1, 2**63 - 1, True),
        ("id", "rc_id", 2**63, None, False),
        ("id", "rc_id", -(2**63), -(2**63), True),
        ("id", "rc_id", "12", 12, True),
        ("id", "rc_id", "-0012", -12, True),
        ("id", "rc_id", " 12", None, False),
        ("id", "rc_id", "١٢", None, False),
        ("id", "rc_id", "", None, False),
        ("id", "rc_id", 12.0, None, False),
        ("id", "rc_id", True, None, False),
        ("id", "rc_id", {}, None, False),
        ("id", "rc_id", None, None, True),
        ("namespace", "namespace", 2**31 - 1, 2**31 - 1, True),
        ("namespace", "namespace", 2**31, None, False),
        ("namespace", "namespace", -1, -1, True),
        ("namespace", "namespace", "Talk", None, False),
        ("log_id", "log_id", 2**40, 2**40, True),
        ("timestamp", "source_timestamp", 1179253699, "2007-05-15T18:28:19.000Z", True),
        ("timestamp", "source_timestamp", "0", "1970-01-01T00:00:00.000Z", True),
        ("timestamp", "source_timestamp", -1, "1969-12-31T23:59:59.000Z", True),
        ("timestamp", "source_timestamp", 2**62, None, False),
        ("timestamp", "source_timestamp", "yesterday", None, False),
        ("bot", "is_bot", True, True, True),
        ("bot", "is_bot", "true", True, True),
        ("bot", "is_bot", None, False, True),
        ("bot", "is_bot", "maybe", None, False),
        ("bot", "is_bot", "True", None, False),
        ("bot", "is_bot", 1, None, False),
        ("minor", "is_minor", None, None, True),
        ("minor", "is_minor", "false", False, True),
        ("patrolled", "is_patrolled", 0, None, False),
        ("title", "title", 1984, "1984", True),
        ("title", "title", None, None, True),
        ("type", "event_type", 142, "142", True),
        ("type", "event_type", "142", "142", True),
        ("user", "user", True, "true", True),
    ],
)
def test_a_field_fits_its_column_or_is_null_and_counted(
    field: str, column: str, sent: Any, kept: Any, fits: bool
) -> None:
    landed = bronze([line(**{field: sent})])
    assert landed.rows[0][column] == kept
    assert landed.unfit == ({} if fits else {column: 1})


def test_absent_means_the_same_as_null() -> None:
    names = (
        "id",
        "namespace",
        "title",
        "user",
        "bot",
        "minor",
        "patrolled",
        "length",
        "revision",
        "timestamp",
    )
    absent, null = one(line(drop=names)), one(line(**dict.fromkeys(names)))
    assert absent.pop("payload") != null.pop("payload")
    assert absent == null
    assert absent["is_bot"] is False


@pytest.mark.parametrize(
    "source",
    [
        '"4::target"',
        '"\\u00e9\\/é \\"x\\""',
        "[]",
        '[ 1.50, 1E5 ,"a",{"b": [ ] } ]',
        '{"size":1.50,"big":123456789012345678901234,"z":-0.0,"a":null}',
        "142",
        "false",
    ],
)
@pytest.mark.parametrize("after", ["", ',"z":{"log_params":1}'])
def test_log_params_are_their_exact_text(source: str, after: str) -> None:
    text = line(type="log")[:-1] + f',  "log_params" :\t{source}{after}}}'
    assert one(text)["log_params"] == source


def test_log_params_null_is_null_and_objects_in_text_columns_are_their_text() -> None:
    assert one(line(log_params=None))["log_params"] is None
    text = line(drop=("comment",))[:-1] + ',"comment": {"b":1.50 , "a":[]}}'
    assert one(text)["comment"] == '{"b":1.50 , "a":[]}'


@pytest.mark.parametrize(
    "text",
    [
        line()[:-1],
        line()[: len(line()) // 2],
        line() + "}",
        line() + " x",
        line()[:-1] + ',"score":NaN}',
        line()[:-1] + ',"score":-Infinity}',
        line()[:-1] + ',"score":01}',
        line()[:-1] + ",}",
        line().replace('"comment": ""', '"comment": "a\tb"'),
        line().replace('"', "'"),
        "\ufeff" + line(),
        f"[{line()}]",
        "null",
        "42",
        '"text"',
        "",
        "<html>503</html>",
    ],
)
def test_what_is_no_json_object_is_set_aside_under_its_md5(text: str) -> None:
    landed = bronze([text])
    key = hashlib.md5(text.encode()).hexdigest()
    assert landed.rows == []
    assert landed.heartbeats == 0
    assert landed.quarantine == [{"event_id": key, "payload": text, "faults": ["not_json"], "position": 0}]


def test_white_space_around_the_object_is_json() -> None:
    assert one(f" \t{line()} ")["event_id"] == "e1"


def test_each_fault_has_its_name_and_all_of_a_row_are_told() -> None:
    landed = bronze(
        [
            line("a", meta={"dt": None}),
            line("b", drop=("type",)),
            line("c", meta={"domain": None}),
            line("d", meta={"dt": "x", "domain": None}, type=None),
            line("e", type=""),
        ]
    )
    assert [(row["event_id"], row["position"], row["faults"]) for row in landed.quarantine] == [
        ("a", 0, ["no_dt"]),
        ("b", 1, ["no_type"]),
        ("c", 2, ["no_domain"]),
        ("d", 3, ["no_dt", "no_type", "no_domain"]),
    ]
    assert [row["event_id"] for row in landed.rows] == ["e"]


@pytest.mark.parametrize(
    ("text", "dropped"),
    [
        (line(meta={"domain": "canary"}), True),
        (line(meta={"domain": "canary", "dt": None}, type=None), True),
        ('{"$schema":"/x/1.0.1","meta":{"stream":"s","dt":"2026-10-03T22:15:00.000Z"}}', True),
        ('{"meta":{"stream":"s","dt":"2026-10-03T22:15:00.000Z"},"id":null,"type":null}', True),
        ('{"meta":{"stream":"s","dt":"2026-10-03T22:15:00.000Z"},"id":"unfit"}', False),
        ('{"meta":{"stream":"s","dt":"2026-10-03T22:15:00.000Z"},"type":"log"}', False),
        (line(meta={"domain": "canary.org"}), False),
        ("[1]", False),
    ],
)
def test_heartbeats_are_dropped_before_validation_and_counted(text: str, dropped: bool) -> None:
    landed = bronze([text])
    assert landed.heartbeats == dropped
    assert bool(landed.rows or landed.quarantine) is not dropped


def test_the_first_delivery_that_passes_wins_and_its_key_leaves_quarantine() -> None:
    lines = [
        line("a", drop=("type",)),
        line("a", comment="first that passes"),
        line("a", comment="second"),
        line("a", drop=("type",), comment="broken again"),
        line("b", drop=("type",), comment="first"),
        line("b", meta={"domain": None}),
    ]
    landed = bronze(lines)
    assert [row["comment"] for row in landed.rows] == ["first that passes"]
    assert landed.duplicates == 1
    assert [(row["event_id"], row["position"]) for row in landed.quarantine] == [("b", 4)]


def test_late_is_more_than_five_minutes_before_the_highest_earlier_arrival() -> None:
    def at(event_id: str, clock: str) -> str:
        return line(event_id, meta={"dt": f"2026-02-26T{clock}Z"})

    lines = [at("a", "12:00:00"), at("b", "11:55:00"), at("c", "11:54:59.999"), at("d", "00:00:00")]
    landed = bronze(lines)
    assert (landed.late, len(landed.rows)) == (2, 4)
    assert bronze(reversed(lines)).late == 0
