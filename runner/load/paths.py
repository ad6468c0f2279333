"""Paths of a project's own files: they stay inside its root, through symbolic links too."""

from __future__ import annotations

import os
from itertools import accumulate
from pathlib import Path

from runner.errors import Fault, Place, did_you_mean


def project_file(root: Path, path: str, place: Place, *, suffix: str) -> Fault | None:
    """What is wrong with a path that a spec names; None for a file inside ``root``."""
    why = "the SQL of a project is part of it, so that it is versioned and reviewed with it"
    fix = "write the path from the project's root, for example sql/silver/orders.sql"
    if Path(path).is_absolute() or ".." in Path(path).parts:
        return Fault("path-escape", place, f"'{path}' leaves the project", why, fix)
    full = root / path
    if not leads_inside(root, path):
        return Fault(
            "path-escape",
            place,
            f"'{path}' leads out of the project through a symbolic link",
            why,
            "copy the file into the project",
        )
    if full.is_dir():
        return Fault(
            "not-a-file", place, f"'{path}' is a folder", "one model has one .sql file", "name the file in it"
        )
    if not full.is_file():
        folder = next(p for p in full.parents if p.is_dir())
        near = {file.relative_to(root).as_posix() for file in folder.glob(f"*{suffix}")}
        near |= {file.relative_to(root).as_posix() for file in (root / "sql").glob(f"*/{full.name}")}
        hint = did_you_mean(path, near)
        return Fault(
            "missing-file",
            place,
            f"there is no file '{path}'",
            "the path is taken from the project's root",
            hint if hint.startswith("did") else "create the file, or correct the path",
        )
    if not path.endswith(suffix):
        return Fault(
            "wrong-suffix",
            place,
            f"'{path}' does not end in {suffix}",
            "editors and people tell files by their ending",
            f"rename the file to *{suffix}",
        )
    return None


def leads_inside(root: Path, path: str) -> bool:
    """Whether a path from ``root`` stays in it, through whatever links are on it."""
    parts = Path(path).parts
    ups = list(accumulate(parts, os.path.join))
    if not (os.path.isabs(path) or ".." in parts or any(os.path.islink(root / up) for up in ups)):
        return True  # as almost always, and without the cost of resolving it
    return (root / path).resolve().is_relative_to(root.resolve())
