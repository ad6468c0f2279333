"""Branches and their publication as text for people and as plain values for programs."""

from __future__ import annotations

import datetime as dt
from typing import Any

from runner.branch import Branch, Line
from runner.check.freshness import age_text
from runner.outlook import Outlook


def listed(found: Branch, now: float) -> list[str]:
    about = (
        f"{found.name}: {len(found.lines)} table{'s' * (len(found.lines) != 1)}, written {age(found, now)}"
    )
    width = max(len(str(line.table)) for line in found.lines)
    lines = [f"{about} ago in run {found.run}" if found.run else f"{about} ago"]
    for line in found.lines:
        lines.append(f"    {line.table!s:<{width}}  {distance(line)}")
    return lines


def distance(line: Line) -> str:
    if not line.ahead:
        return "main has it all"
    behind = f", {line.behind} behind" if line.behind else ""
    return f"{len(line.ahead)} ahead{behind}{', main moved' if line.moved else ''}"


def age(found: Branch, now: float) -> str:
    return age_text(dt.timedelta(seconds=max(0, int(now - found.newest_ms / 1000))))


def values(found: Branch, now: float) -> dict[str, Any]:
    return {
        "name": found.name,
        "run_id": found.run or None,
        "age_seconds": max(0, int(now - found.newest_ms / 1000)),
        "tables": [
            {
                "table": str(line.table),
                "snapshot": line.head.id,
                "ahead": len(line.ahead),
                "behind": line.behind,
                "main_moved": line.moved,
                "run_id": line.run or None,
            }
            for line in found.lines
        ],
    }


def outlook_lines(outlook: Outlook) -> list[str]:
    found = [f"would run {m.id} again from main's head" for m in outlook.again]
    again = {m.target.table for m in outlook.again}
    for line in outlook.moving:
        what = "what comes of it" if line.target in again else published(line)
        found.append(f"would publish {line.table}: {what}")
    return found or [f"main has all that the branch {outlook.branch.name} has; it would be dropped"]


def published(line: Line) -> str:
    main = line.state.head()
    return (
        f"{main.rows if main else 0:,} → {line.head.rows:,} rows,"
        f" snapshot {main.id if main else 'none'} → {line.head.id}"
    )


def counted(snapshots: int) -> str:
    return f"{snapshots} snapshot{'s' * (snapshots != 1)}"
