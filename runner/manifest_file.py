"""``target/manifest.json`` on disk: written whole, and left as it is where it says the same already.

In: the description of a project, as JSON, and whose target it is for. Out: the file. Its ``metadata`` comes
first; ``generated_at`` is when what follows was first written.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import NamedTuple

from runner import __version__
from runner.files import write_atomically

FILE = "manifest.json"


class Description(NamedTuple):
    """A project of one ``target`` of its profiles; ``text``: a JSON object."""

    target: str
    text: str


def write_manifest(folder: Path, described: Description, *, now: dt.datetime) -> Path:
    """The manifest in ``folder``; its path."""
    path = folder / FILE
    metadata = {"runner_version": __version__, "target": described.target}
    # Two JSON objects become one.
    head = json.dumps({"metadata": metadata}, indent=1, ensure_ascii=False)[: -len("\n }\n}")]
    time = f',\n  "generated_at": "{now:%Y-%m-%dT%H:%M:%SZ}"\n }}'
    rest = "," + described.text[1:] + "\n"
    try:
        before = path.read_text(encoding="utf-8", errors="surrogatepass")
    except (OSError, ValueError):
        before = ""
    same = before.startswith(head) and before.endswith(rest)
    if not same or len(before) != len(head + time + rest):
        write_atomically(path, head + time + rest)
    return path
