"""The columns of a CSV file, as its first line names them."""

from __future__ import annotations

import csv
import glob
import gzip
import os
from pathlib import Path


def first_file(root: Path, path: str) -> Path | None:
    """The first file that ``path`` (a file, a folder or a glob, relative to ``root``) names."""
    full = root / Path(path).expanduser()
    if full.is_file():
        return full
    pattern = str(full / "**" / "*") if full.is_dir() else str(full)
    return next(
        (Path(name) for name in sorted(glob.iglob(pattern, recursive=True)) if os.path.isfile(name)), None
    )


def csv_header(root: Path, path: str) -> dict[str, str] | None:
    """The columns of the first file that ``path`` names, all text; None where there is no file yet."""
    first = first_file(root, path)
    if first is None:
        return None
    try:
        open_text = gzip.open if first.suffix == ".gz" else open
        with open_text(first, "rt", encoding="utf-8-sig") as file:
            header = next(csv.reader(file), None)
    except (OSError, UnicodeDecodeError, csv.Error):
        return None  # the run says what is wrong with the file
    return dict.fromkeys(header, "string") if header else None
