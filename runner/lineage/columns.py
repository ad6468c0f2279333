"""Which columns the inputs of a model have, as far as files and declarations tell."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from runner.header import csv_header
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
