"""The words that can stand where a cursor is: names of pipelines, models, tables and targets, selectors.

They are read from the YAML as it stands, without a check of the project: what cannot be read gives no words.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

#: Selectors, and the values of those that have a fixed list (`runner.selectors`, which is slow to import).
METHODS = ("layer", "owner", "path", "result", "source", "state", "tag")
STATES = ("modified", "new", "unmodified")
RESULTS = ("success", "nothing", "error", "gated", "skipped", "busy", "warn", "stale", "unfinished")
_BEFORE = re.compile(r"(?:.*,)?(?:@|[0-9]*\+)?")


def pipelines(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Pipelines of the project."""
    return _items(incomplete, ((path.stem, "") for path in _files()))


def targets(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Targets of profiles.yml."""
    root = _root()
    declared = _mapping(_load(root / "profiles.yml")).get("targets") if root else None
    return _items(incomplete, ((str(name), "") for name in _mapping(declared)))


def models(ctx: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """What ``-s`` may hold: models, by name and with their pipeline, and selectors with their values.

    What stands before a term stays: ``+``, ``2+``, ``@``, and terms with a comma.
    """
    found = _BEFORE.match(incomplete)
    before = found[0] if found else ""
    term = incomplete[len(before) :]
    method, colon, _ = term.partition(":")
    if colon:
        words = [(f"{method}:{value}", "") for value in _values(method)]
    else:
        words = [*_names(ctx.params.get("pipelines") or (), full="." in term)]
        # Selectors where one is begun: for an empty word they would hide the names.
        words += [(f"{name}:", "") for name in METHODS if term and name.startswith(term)]
    return _items(incomplete, ((before + word, said) for word, said in words))


def _names(pipelines: Sequence[str], *, full: bool) -> Iterator[tuple[str, str]]:
    """Models by their names alone; with the pipeline where that is being written."""
    for pipeline, model in _models():
        if not pipelines or pipeline in pipelines:
            name = str(model["name"])
            yield f"{pipeline}.{name}" if full else name, str(model.get("description") or "")


def _values(method: str) -> Iterator[str]:
    """What may follow ``tag:`` and the like."""
    match method:
        case "state":
            yield from STATES
        case "result":
            yield from RESULTS
        case "layer":
            yield from (path.stem for path in _files())
        case "owner":
            yield from (str(model["owner"]) for _, model in _models() if model.get("owner"))
        case "tag":
            for _, model in _models():
                tags = model.get("tags") or []
                yield from map(str, tags if isinstance(tags, list) else [tags])


def tables(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Tables that the models maintain."""
    found = ((_mapping(model.get("target")).get("table"), model) for _, model in _models())
    return _items(
        incomplete, ((str(table), str(model.get("description") or "")) for table, model in found if table)
    )


def _items(incomplete: str, words: Iterable[tuple[str, str]]) -> list[CompletionItem[str]]:
    # One line each: that is the protocol.
    found = {word: " ".join(said.split()) for word, said in words if word.startswith(incomplete)}
    return [CompletionItem(word, help=said or None) for word, said in found.items() if len(word.split()) == 1]


def _models() -> Iterator[tuple[str, dict[Any, Any]]]:
    for path in _files():
        declared = _mapping(_load(path)).get("models")
        for model in declared if isinstance(declared, list) else ():
            if isinstance(model, dict) and isinstance(model.get("name"), str):
                yield path.stem, model


def _files() -> list[Path]:
    root = _root()
    folder = root / "pipelines" if root else None
    return sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")]) if folder else []


def _root() -> Path | None:
    """As ``runner.load.find_root``, without the import of all that loading needs."""
    here = Path.cwd().resolve()
    folders = (here, *here.parents)
    return next((f for f in folders if (f / "pipelines").is_dir() or (f / "profiles.yml").is_file()), None)


def _load(path: Path) -> object:
    import yaml

    try:
        with open(os.fspath(path), "rb") as file:
            return yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return None


def _mapping(value: object) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}
