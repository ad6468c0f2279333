"""The reference implementation against small cases computed by hand: silver, gold, and all tables at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests import oracle, oracle_gold
from tests.oracle import bronze, silver_from_bronze, tables
from tests.oracle_gold import gold_from_silver
from tests.oracle_rows import Row
from tests.recentchange import line

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
    assert oracle_gold.percent(part, whole) == expected


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
    changed = gold_from_silver(rows, {**oracle_gold.VARS, "high_velocity": 10, "velocity_points": 71})
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
    assert oracle_gold.trend(change) == kind


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
