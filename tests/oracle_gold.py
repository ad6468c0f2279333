"""DATA.md's gold in plain Python: the three tables that follow from rows of silver (oracle.py)."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from tests.oracle_rows import Row, by_key

# "Thresholds and points are declared once, as vars." The names are those of the shipped gold pipeline.
VARS: dict[str, int] = {
    "high_velocity": 50,
    "velocity_points": 40,
    "many_deletions": 3,
    "deletion_points": 30,
    "anonymous_percent": 50,
    "anonymous_points": 20,
    "many_domains": 5,
    "spread_points": 10,
    "high_risk": 70,
    "medium_risk": 40,
    "rising": 20,
    "falling": -20,
}


def gold_from_silver(rows: Iterable[Row], vars: Mapping[str, int] = VARS) -> dict[str, list[Row]]:
    """The three tables of gold; "over valid silver rows" holds for all of them."""
    valid = [row for row in rows if row["is_valid"]]
    return {
        "hourly_stats": hourly_stats(valid),
        "risk_scores": risk_scores(valid, vars),
        "entity_trends": entity_trends(valid, vars),
    }


def hourly_stats(valid: Iterable[Row]) -> list[Row]:
    groups: dict[tuple[str, int, str], list[Row]] = defaultdict(list)
    for row in valid:
        groups[row["event_date"], row["event_hour"], row["domain"]].append(row)
    rows = (_hourly_row(*key, group) for key, group in groups.items())
    return by_key(rows, "stat_date", "stat_hour", "domain")


def _hourly_row(stat_date: str, stat_hour: int, domain: str, group: list[Row]) -> Row:
    deltas = [row["length_delta"] for row in group if row["length_delta"] is not None]
    types = Counter(row["event_type"] for row in group)
    bots = sum(row["is_bot"] is True for row in group)
    return {
        "stat_date": stat_date,
        "stat_hour": stat_hour,
        "domain": domain,
        "region": group[0]["region"],
        "language": group[0]["language"],
        "total_events": len(group),
        # "distinct user_normalized", "distinct title"
        "unique_users": len({row["user_normalized"] for row in group}),
        "unique_pages": len({row["title"] for row in group}),
        # "sums of positive, of absolute negative deltas; 0 when none"
        "bytes_added": in_bigint(sum(delta for delta in deltas if delta > 0)),
        "bytes_removed": in_bigint(sum(-delta for delta in deltas if delta < 0)),
        # "mean |length_delta| over rows that have one, else null"; "not rounded"
        "avg_edit_size": float(Fraction(sum(map(abs, deltas)), len(deltas))) if deltas else None,
        "bot_events": bots,
        # A row whose `bot` did not fit is not known to be a bot: bots and humans sum to the total.
        "human_events": len(group) - bots,
        "anonymous_events": sum(row["is_anonymous"] for row in group),
        # "100 * bot ÷ total, 2 decimals"
        "bot_percentage": percent(bots, len(group)),
        "edits": types["edit"],
        "new_pages": types["new"],
        "log_actions": types["log"],
        "categorizations": types["categorize"],
        "large_deletions": sum(row["is_large_deletion"] for row in group),
        "large_additions": sum(row["is_large_addition"] for row in group),
    }


def risk_scores(valid: Iterable[Row], vars: Mapping[str, int] = VARS) -> list[Row]:
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in valid:
        # "Over valid, non-bot rows of type edit or new of that UTC day"
        if row["is_bot"] is not True and row["event_type"] in ("edit", "new"):
            groups[row["event_date"], row["user_normalized"]].append(row)
    rows = (_risk_row(*key, group, vars) for key, group in groups.items())
    return by_key(rows, "stat_date", "entity_id")


def _risk_row(stat_date: str, user: str, group: list[Row], vars: Mapping[str, int]) -> Row:
    measures = {
        "total_edits": len(group),
        # "most in one clock hour"
        "peak_edits_per_hour": max(Counter(row["event_hour"] for row in group).values()),
        "large_deletions": sum(row["is_large_deletion"] for row in group),
        "anonymous_edits": sum(row["is_anonymous"] for row in group),
        "domains_edited": len({row["domain"] for row in group}),
    }
    fast = measures["peak_edits_per_hour"] > vars["high_velocity"]
    score = 0
    # "peak_edits_per_hour > 50 → 40"
    score += vars["velocity_points"] if fast else 0
    # "large_deletions > 3 → 30"
    score += vars["deletion_points"] if measures["large_deletions"] > vars["many_deletions"] else 0
    # "anonymous_edits > half of total_edits → 20"
    mostly = 100 * measures["anonymous_edits"] > vars["anonymous_percent"] * measures["total_edits"]
    score += vars["anonymous_points"] if mostly else 0
    # "domains_edited > 5 and peak_edits_per_hour > 50 → 10"
    score += vars["spread_points"] if fast and measures["domains_edited"] > vars["many_domains"] else 0
    # "risk_level HIGH ≥ 70, MEDIUM ≥ 40, else LOW"
    level = "HIGH" if score >= vars["high_risk"] else "MEDIUM" if score >= vars["medium_risk"] else "LOW"
    return {
        "stat_date": stat_date,
        "entity_id": user,
        "entity_type": "user",
        **measures,
        "risk_score": float(score),
        "risk_level": level,
        "alert_triggered": level == "HIGH",
        # "JSON object of the five measures in the order listed, without spaces"
        "evidence": json.dumps(measures, separators=(",", ":")),
    }


def entity_trends(valid: Iterable[Row], vars: Mapping[str, int] = VARS) -> list[Row]:
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in valid:
        # "`domain` (entity_id = domain) and `page` (entity_id = domain/title, title not null)"
        groups[row["event_date"], "domain", row["domain"]].append(row)
        if row["title"] is not None:
            groups[row["event_date"], "page", f"{row['domain']}/{row['title']}"].append(row)
    trends = []
    for (day, kind, entity), group in groups.items():
        # "same entity, the day before; 0 when none"
        first = day == date.min.isoformat()
        before = "" if first else (date.fromisoformat(day) - timedelta(days=1)).isoformat()
        prior = len(groups.get((before, kind, entity), ()))
        # "100 * (events - prior) ÷ prior, 2 decimals; null when prior is 0"
        change = percent(len(group) - prior, prior) if prior else None
        trends.append(
            {
                "stat_date": day,
                "entity_type": kind,
                "entity_id": entity,
                "events": len(group),
                "unique_users": len({row["user_normalized"] for row in group}),
                # "sum of length_delta, 0 when none"
                "net_bytes": in_bigint(sum(row["length_delta"] or 0 for row in group)),
                "prior_events": prior,
                "change_pct": change,
                "trend": trend(change, vars),
            }
        )
    return by_key(trends, "stat_date", "entity_type", "entity_id")


def trend(change: float | None, vars: Mapping[str, int] = VARS) -> str:
    """The rule: "`new` (no prior), `rising` (change ≥ 20), `falling` (≤ -20), `steady`"; change as shown."""
    if change is None:
        return "new"
    return "rising" if change >= vars["rising"] else "falling" if change <= vars["falling"] else "steady"


def in_bigint(total: int) -> int | None:
    """ "counts, byte sums and peaks bigint": a sum that no bigint holds is null."""
    return total if -(2**63) <= total < 2**63 else None


def percent(part: int, whole: int) -> float:
    """The rule: "rounding is half up on exact values (1 of 800 = 0.13 %)"; the half goes away from zero."""
    exact = Fraction(100 * part, whole)
    hundredths = abs(exact) * 100
    rounded = Decimal(int(hundredths + Fraction(1, 2))) / 100
    return float(rounded if exact >= 0 else -rounded)
