"""The reference implementation against small cases computed by hand, and against real captures."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import oracle
from tests.oracle import Row, bronze, gold_from_silver, silver_from_bronze, tables

CAPTURES = Path(__file__).resolve().parents[2] / "shared" / "data"


def event(
    event_id: str | None = "e1", /, *, drop: tuple[str, ...] = (), meta: Row | None = None, **fields: Any
) -> Row:
    """An edit of 100 bytes by Ada on de.wikipedia.org at 2026-02-26 15:49:36.544, changed as asked."""
    whole: Row = {
        "$schema": "/mediawiki/recentchange/1.0.0",
        "meta": {
            "id": event_id,
            "dt": "2026-02-26T15:49:36.544Z",
            "domain": "de.wikipedia.org",
            "stream": "mediawiki.recentchange",
            **(meta or {}),
        },
        "id": 3213449330,
        "type": "edit",
        "namespace": 0,
        "title": "Brücke",
        "comment": "",
        "timestamp": 1772120975,
        "user": "Ada",
        "bot": False,
        "minor": True,
        "patrolled": False,
        "length": {"old": 200, "new": 300},
        "revision": {"old": 1, "new": 2543471307},
        "wiki": "dewiki",
        **fields,
    }
    return {name: value for name, value in whole.items() if name not in drop}


def line(event_id: str | None = "e1", /, **changes: Any) -> str:
    return json.dumps(event(event_id, **changes), ensure_ascii=False)


def one(text: str) -> Row:
    """The only row of bronze that the line gives."""
    rows = bronze([text]).rows
    assert len(rows) == 1
    return rows[0]


# -------------------------------------------------------------------------------------------- bronze


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


# -------------------------------------------------------------------------------------------- silver


def silver(*texts: str) -> list[Row]:
    return silver_from_bronze(bronze(texts).rows)


def test_silver_has_bronze_without_payload_and_user_and_seven_columns_more() -> None:
    (row,) = silver(line())
    kept = [name for name in oracle.BRONZE_COLUMNS if name not in ("payload", "user")]
    assert list(row) == [
        *kept,
        *("region", "language", "user_normalized", "is_anonymous"),
        *("is_large_deletion", "is_large_addition", "is_valid"),
    ]
    assert list(row.values())[-7:] == ["europe", "de", "Ada", False, False, False, True]


@pytest.mark.parametrize(
    ("domain", "region", "language"),
    [
        ("en.wikipedia.org", "americas", "en"),
        ("zh.wikipedia.org", "asia_pacific", "zh"),
        ("fa.wikipedia.org", "middle_east", "fa"),
        ("uk.wikipedia.org", "other", "uk"),
        ("de.wiktionary.org", "other", "de"),
        ("zh-min-nan.wikipedia.org", "other", "zh-min-nan"),
        ("en.wikiversity.org", "other", "en"),
        ("de.wikivoyage.org", "other", "de"),
        ("test.wikipedia.org", "other", None),
        ("test2.wikipedia.org", "other", None),
        ("www.wikipedia.org", "other", None),
        ("m.wikipedia.org", "other", None),
        ("en.m.wikipedia.org", "other", None),
        ("www.wikidata.org", "other", None),
        ("commons.wikimedia.org", "other", None),
        ("wikipedia.org", "other", None),
        ("localhost", "other", None),
    ],
)
def test_region_and_language_of_a_host(domain: str, region: str, language: str | None) -> None:
    (row,) = silver(line(meta={"domain": domain}))
    assert (row["region"], row["language"]) == (region, language)


def test_regions_are_an_argument() -> None:
    rows = bronze([line()]).rows
    assert silver_from_bronze(rows, {"de.wikipedia.org": "elsewhere"})[0]["region"] == "elsewhere"


@pytest.mark.parametrize(
    ("user", "normalized", "anonymous"),
    [
        ("Horse Eye's Back", "Horse Eye's Back", False),
        ("\u00a0Padded\u3000", "Padded", False),
        ("\u2003 x  y \u2028", "x  y", False),
        ("Bell\u0007Ringer\u0085", "BellRinger", False),
        ("\u0000\u007f \u009f", None, False),
        ("", None, False),
        (None, None, False),
        ("\u200fأبو هشام", "\u200fأبو هشام", False),  # a direction mark is neither a control nor white space
        ("203.0.113.7", "203.0.113.7", True),
        (" 203.0.113.7\n", "203.0.113.7", True),
        ("203.0.113.07", "203.0.113.07", False),
        ("203.0.113.256", "203.0.113.256", False),
        ("203.0.113", "203.0.113", False),
        ("203.0.113.0/24", "203.0.113.0/24", False),
        ("٢٠٣.0.113.7", "٢٠٣.0.113.7", False),
        ("2001:DB8:36D6:7807:81A6:2943:3CCD:BEBE", "2001:DB8:36D6:7807:81A6:2943:3CCD:BEBE", True),
        ("::", "::", True),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.7", True),
        ("fe80::1%eth0", "fe80::1%eth0", False),
        ("2001:db8::1::2", "2001:db8::1::2", False),
        ("~2026-12881-95", "~2026-12881-95", True),
        ("~2026-", "~2026-", True),
        ("~226-1", "~226-1", False),
        ("x~2026-1", "x~2026-1", False),
        ("~٢٠٢٦-1", "~٢٠٢٦-1", False),
        ("3232235777", "3232235777", False),
    ],
)
def test_users_are_cleaned_and_addresses_and_temporary_accounts_are_anonymous(
    user: str | None, normalized: str | None, anonymous: bool
) -> None:
    (row,) = silver(line(user=user))
    assert (row["user_normalized"], row["is_anonymous"]) == (normalized, anonymous)
    assert row["is_valid"] is (normalized is not None)


@pytest.mark.parametrize(
    ("new", "deletion", "addition"),
    [
        (5000, False, False),
        (4999, True, False),
        (60_000, False, False),
        (60_001, False, True),
        (None, False, False),
    ],
)
def test_large_is_beyond_the_limit_and_never_null(new: int | None, deletion: bool, addition: bool) -> None:
    (row,) = silver(line(length={"old": 10_000, "new": new}))
    assert (row["is_large_deletion"], row["is_large_addition"]) == (deletion, addition)


@pytest.mark.parametrize(
    ("changes", "valid"),
    [
        ({"type": "external"}, True),
        ({"type": 142}, False),
        ({"type": "Edit"}, False),
        ({"title": ""}, False),
        ({"title": None}, False),
        ({"title": " "}, True),
        ({"user": None}, False),
    ],
)
def test_valid_needs_a_known_type_a_title_and_a_user(changes: Row, valid: bool) -> None:
    assert silver(line(**changes))[0]["is_valid"] is valid


# ---------------------------------------------------------------------------------------------- gold


def gold(*texts: str) -> dict[str, list[Row]]:
    return gold_from_silver(silver(*texts))


def test_one_hour_of_one_domain_by_hand() -> None:
    texts = [
        line("1", length={"old": 0, "new": 100}),
        line("2", length={"old": 6_000, "new": 0}, user="203.0.113.7", title="Other"),
        line("3", type="new", length={"new": 60_000}, bot=True),
        line("4", type="log", drop=("length", "revision"), user="Bo"),
        line("5", type="categorize", drop=("length", "revision"), bot="maybe"),
        line("6", type="external", drop=("length", "revision")),
        line("7", user=None),  # not valid
        line("8", type=142),  # not valid
        line("9", meta={"dt": "2026-02-26T16:00:00.000Z"}, type="log", drop=("length",)),  # the next hour
    ]
    first, second = gold(*texts)["hourly_stats"]
    assert first == {
        "stat_date": "2026-02-26",
        "stat_hour": 15,
        "domain": "de.wikipedia.org",
        "region": "europe",
        "language": "de",
        "total_events": 6,
        "unique_users": 3,
        "unique_pages": 2,
        "bytes_added": 60_100,
        "bytes_removed": 6_000,
        "avg_edit_size": 66_100 / 3,
        "bot_events": 1,
        "human_events": 5,
        "anonymous_events": 1,
        "bot_percentage": 16.67,
        "edits": 2,
        "new_pages": 1,
        "log_actions": 1,
        "categorizations": 1,
        "large_deletions": 1,
        "large_additions": 1,
    }
    assert (second["stat_hour"], second["avg_edit_size"]) == (16, None)
    assert (second["bytes_added"], second["bytes_removed"]) == (0, 0)


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [
        (1, 800, 0.13),
        (1, 3, 33.33),
        (2, 3, 66.67),
        (1, 1, 100.0),
        (0, 7, 0.0),
        (23, 160, 14.38),
        (-1, 800, -0.13),
    ],
)
def test_percentages_round_half_up_on_exact_values(part: int, whole: int, expected: float) -> None:
    assert oracle.percent(part, whole) == expected


def edits(
    user: str, *, count: int, domains: int = 1, deletions: int = 0, hour: int = 10, **changes: Any
) -> Iterator[str]:
    codes = ("de", "en", "fr", "ja", "es", "ru", "it")
    for i in range(count):
        meta = {"dt": f"2026-02-26T{hour:02}:00:00.000Z", "domain": f"{codes[i % domains]}.wikipedia.org"}
        length = {"old": 6_000, "new": 0} if i < deletions else {"old": 1, "new": 2}
        yield line(f"{user}/{hour}/{i}", user=user, meta=meta, length=length, **changes)


@pytest.mark.parametrize(
    ("user", "story", "score", "level"),
    [
        ("Ada", {"count": 50, "domains": 6}, 0, "LOW"),
        ("Ada", {"count": 51, "domains": 5}, 40, "MEDIUM"),
        ("Ada", {"count": 51, "domains": 6}, 50, "MEDIUM"),
        ("Ada", {"count": 51, "deletions": 4}, 70, "HIGH"),
        ("Ada", {"count": 4, "deletions": 4}, 30, "LOW"),
        ("Ada", {"count": 3, "deletions": 3}, 0, "LOW"),
        ("203.0.113.7", {"count": 1}, 20, "LOW"),
        ("~2026-1-1", {"count": 5, "deletions": 4}, 50, "MEDIUM"),
        ("~2026-1-1", {"count": 60, "domains": 7, "deletions": 4}, 100, "HIGH"),
    ],
)
def test_risk_is_the_sum_of_its_points(user: str, story: dict[str, int], score: float, level: str) -> None:
    (row,) = gold(*edits(user, **story))["risk_scores"]
    assert (row["risk_score"], row["risk_level"], row["alert_triggered"]) == (score, level, level == "HIGH")


def test_a_row_of_risk_by_hand() -> None:
    texts = [
        *edits("Ada", count=3, hour=9),
        *edits("Ada", count=40, domains=2, hour=10, deletions=1),
        *edits("Ada", count=20, hour=11, type="new"),
        *edits("Ada", count=90, hour=12, bot=True),  # a bot's
        *edits("Ada", count=90, hour=13, type="log"),  # no edits
    ]
    assert gold(*texts)["risk_scores"] == [
        {
            "stat_date": "2026-02-26",
            "entity_id": "Ada",
            "entity_type": "user",
            "total_edits": 63,
            "peak_edits_per_hour": 40,  # the busiest clock hour, not the day
            "large_deletions": 1,
            "anonymous_edits": 0,
            "domains_edited": 2,
            "risk_score": 0.0,
            "risk_level": "LOW",
            "alert_triggered": False,
            "evidence": '{"total_edits":63,"peak_edits_per_hour":40,"large_deletions":1,'
            '"anonymous_edits":0,"domains_edited":2}',
        }
    ]


def test_thresholds_and_points_are_vars() -> None:
    rows = silver(*edits("Ada", count=11))
    changed = gold_from_silver(rows, {**oracle.VARS, "high_velocity": 10, "velocity_points": 71})
    assert changed["risk_scores"][0]["risk_level"] == "HIGH"


def test_trends_compare_with_the_day_before_and_only_with_that() -> None:
    days = {"2026-02-26": 10, "2026-02-27": 12, "2026-02-28": 11, "2026-03-01": 8, "2026-03-03": 8}
    texts = [
        line(f"{day}/{i}", meta={"dt": f"{day}T00:00:00Z"}, user=f"U{i % 3}", length={"old": 5, "new": 2})
        for day, count in days.items()
        for i in range(count)
    ]
    trends = gold(*texts, line("x", drop=("length",), title="Other", type="log"))["entity_trends"]
    pages = [row for row in trends if row["entity_id"] == "de.wikipedia.org/Brücke"]
    assert pages[1] == {
        "stat_date": "2026-02-27",
        "entity_type": "page",
        "entity_id": "de.wikipedia.org/Brücke",
        "events": 12,
        "unique_users": 3,
        "net_bytes": -36,
        "prior_events": 10,
        "change_pct": 20.0,
        "trend": "rising",
    }
    assert [(row["prior_events"], row["change_pct"], row["trend"]) for row in pages] == [
        (0, None, "new"),
        (10, 20.0, "rising"),
        (12, -8.33, "steady"),
        (11, -27.27, "falling"),
        (0, None, "new"),  # no event on 2026-03-02: no row for it, and no prior after it
    ]
    domain = next(
        row for row in trends if row["entity_type"] == "domain" and row["stat_date"] == "2026-02-26"
    )
    assert (domain["entity_id"], domain["events"], domain["unique_users"]) == ("de.wikipedia.org", 11, 4)
    other = next(row for row in trends if row["entity_id"] == "de.wikipedia.org/Other")
    assert other["net_bytes"] == 0


@pytest.mark.parametrize(
    ("change", "kind"),
    [(None, "new"), (20, "rising"), (19.99, "steady"), (-20, "falling"), (-19.99, "steady")],
)
def test_trend_has_its_limits_in_it(change: float | None, kind: str) -> None:
    assert oracle.trend(change) == kind


# ---------------------------------------------------------------------------------------------- all


def test_tables_compose_the_steps_and_do_not_depend_on_the_order_of_silver() -> None:
    texts = [*edits("Ada", count=5, domains=3), line("q", drop=("type",)), line("z")]
    found = tables(texts)
    assert list(found) == [
        "bronze",
        "bronze_quarantine",
        "silver",
        "hourly_stats",
        "risk_scores",
        "entity_trends",
    ]
    again = gold_from_silver(reversed(silver_from_bronze(reversed(found["bronze"]))))
    assert {name: found[name] for name in again} == again
    assert json.loads(json.dumps(found)) == found


# ------------------------------------------------------------------------------------ real captures


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
        return [oracle.parse(text).members["event"].text for text in texts]
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
