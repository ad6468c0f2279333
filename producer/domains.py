"""Which domains are wanted: the text of ``--domains`` goes in, a set comes out, None for all."""

from __future__ import annotations

import csv
from pathlib import Path

from producer.errors import Misconfigured

DEFAULT = "sql/reference/domain_regions.csv"


def wanted(text: str) -> frozenset[str] | None:
    """``all``; a CSV file with a column ``domain``; a list with commas. Else :class:`Misconfigured`."""
    if text.strip() == "all":
        return None
    path = Path(text)
    if path.suffix == ".csv" or "/" in text or path.is_file():
        return _of_file(path)
    found = frozenset(filter(None, (word.strip().lower() for word in text.split(","))))
    if not found or any("." not in word or " " in word for word in found):
        raise Misconfigured(
            "bad-domains",
            f"--domains {text!r} names no domains",
            why="a domain is a host name such as en.wikipedia.org",
            fix="write all, a list with commas, or the path of a CSV file with a column `domain`",
        )
    return found


def _of_file(path: Path) -> frozenset[str]:
    fix = "write all, a list with commas, or the path of a CSV file with a column `domain`"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if "domain" not in (rows.fieldnames or ()):
                raise Misconfigured("bad-domains", f"{path} has no column `domain`", fix=fix)
            found = frozenset(row["domain"].strip() for row in rows if row["domain"])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Misconfigured("bad-domains", f"{path} cannot be read: {error}", fix=fix) from error
    if not found:
        raise Misconfigured("bad-domains", f"{path} lists no domain", fix=fix)
    return found
