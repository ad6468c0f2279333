"""What built a table, kept beside its lake: the SQL and the parts of the spec that a fingerprint stands for.

In: a model and its statement. Out: ``<fingerprint>.json``, written once and never changed. Nothing depends on
it: it tells people what changed since, and without it they are told less.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.files import write_atomically
from runner.spec import FilesInput, KafkaInput, Model, Source, TableInput

if TYPE_CHECKING:
    from runner.render import Rendered  # brings in the parser, which whoever reads a lake need not wait for


class CodeStore:
    """Immutable files under a folder, named by fingerprints."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, fingerprint: str) -> dict[str, Any] | None:
        """The code of a fingerprint, as :func:`code_of` makes it; None where none is kept."""
        try:
            found = json.loads((self.folder / f"{fingerprint}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def write(self, model: Model, rendered: Rendered) -> None:
        """Keep a model's code, if it is not there."""
        path = self.folder / f"{rendered.fingerprint}.json"
        if path.exists():
            os.utime(path)  # old ones that no commit names are removed: this one is about to be named
        else:
            text = json.dumps(code_of(model, rendered), ensure_ascii=False, indent=1, default=str)
            write_atomically(path, text + "\n")


def code_of(model: Model, rendered: Rendered) -> dict[str, Any]:
    """What decides a target's rows, as plain values; ``sql`` is the rendered text."""
    found: dict[str, Any] = {
        "model": model.id,
        "sql": rendered.text,
        "columns": {c.name: c.type for c in model.target.columns},
        "key": list(model.target.key),
        "partitions": list(model.target.partitions),
        "sources": {s.name: _source(s) for s in model.sources},
        "checks": {
            c.name: {
                "kind": c.kind.value,
                "column": c.column,
                "args": dict(c.args),
                "where": c.where,
                "severity": c.severity.value,
            }
            for c in model.row_checks
        },
        "drop": model.drop.when if model.drop else None,
        "dedupe": list(model.dedupe.order) if model.dedupe else None,
        "history": model.history,
    }
    # As it comes back from a file, so that the two can be compared.
    plain: dict[str, Any] = json.loads(json.dumps(found, default=str))
    return plain


def _source(source: Source) -> Mapping[str, Any]:
    match source.origin:
        case TableInput(table):
            origin: object = str(table)
        case FilesInput(path, format):
            origin = f"{format} files {path}"
        case KafkaInput(topic):
            origin = f"topic {topic}"
    return {"origin": origin, "read": source.read.value, "by": [dict(mapping) for mapping in source.by]}
