"""Where a project is: the nearest folder upwards that looks like one."""

from __future__ import annotations

from pathlib import Path


def find_root(start: Path) -> Path | None:
    """The nearest folder upwards that has ``pipelines/`` or ``profiles.yml``."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / "pipelines").is_dir() or (folder / "profiles.yml").is_file():
            return folder
    return None
