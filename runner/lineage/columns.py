"""Which columns the inputs of a model have, as far as files and declarations tell."""

from __future__ import annotations

import csv
import glob
import gzip
from collections.abc import Collection, Mapping
from pathlib import Path

from runner.spec import STREAM_COLUMNS, FilesInput, KafkaInput, Model, Project, TableInput


def source_columns(
    model: Model, project: Project, broken: Collection[str] = ()
) -> dict[str, Mapping[str, str] | None]:
    """Source → column → Spark type; None = nothing is known.

    ``broken``: ids of models whose declaration has faults, so that its columns are no word to rely on.
    """
    found: dict[str, Mapping[str, str] | None] = {}
    for source in model.sources:
        match source.origin:
            case TableInput(table):
                producer = project.producer(table)
                found[source.name] = (
                    {column.name: column.type for column in producer.target.columns}
                    if producer and producer.id not in broken
                    else None
                )
            case KafkaInput():
                found[source.name] = STREAM_COLUMNS
            case FilesInput(_, "text"):
                found[source.name] = STREAM_COLUMNS
            case FilesInput(path, "csv"):
                found[source.name] = csv_header(project.root, path)
            case FilesInput():
                found[source.name] = None
    return found


def csv_header(root: Path, path: str) -> dict[str, str] | None:
    """The columns of the first file that ``path`` names, all text; None where there is no file yet."""
    full = root / Path(path).expanduser()
    if full.is_file():
        first = full
    else:
        pattern = str(full / "**" / "*") if full.is_dir() else str(full)
        names = sorted(name for name in glob.iglob(pattern, recursive=True) if Path(name).is_file())
        if not names:
            return None
        first = Path(names[0])
    try:
        open_text = gzip.open if first.suffix == ".gz" else open
        with open_text(first, "rt", encoding="utf-8-sig") as file:
            header = next(csv.reader(file), None)
    except (OSError, UnicodeDecodeError, csv.Error):
        return None  # the run says what is wrong with the file
    return dict.fromkeys(header, "string") if header else None
