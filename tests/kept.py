"""A project whose answers are kept, and edits that the clock of its file system has seen."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.projects import write

BASE = Path(__file__).parent / "errors" / "base"
SILVER, GOLD = "sql/silver/orders.sql", "sql/gold/daily_sales.sql"
EXPECTATION = "SELECT * FROM {{ target }} WHERE region IS NULL\n"


def project(folder: Path) -> Path:
    shutil.copytree(BASE, folder)
    write(folder, {"expectations/regions.sql": EXPECTATION})
    gold = folder / "pipelines/gold.yml"
    gold.write_text(gold.read_text() + "    checks:\n      - sql: expectations/regions.sql\n")
    settle(folder)
    return folder


def settle(root: Path) -> None:
    """Until the clock of the file system has gone on: what was written is then older than what comes."""
    newest = max(os.lstat(path).st_ctime_ns for path in [root, *root.rglob("*")])
    probe = root.parent / ".probe"
    while True:
        probe.write_bytes(b"")
        if probe.stat().st_ctime_ns > newest:
            return


def edit(root: Path, name: str, old: str, new: str) -> None:
    path = root / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
