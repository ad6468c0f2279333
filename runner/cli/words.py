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

from runner.root import find_root

#: Selectors, and the values of those that have a fixed list (`runner.selectors`, which is slow to import).
METHODS = ("layer", "owner", "path", "result", "source", "state", "tag")
STATES = ("modified", "new", "unmodified")
RESULTS = ("success", "nothing", "error", "gated", "skipped", "busy", "warn", "stale", "unfinished")
#: A node of PyYAML, which is imported when a file is read; None where there is none.
Node = Any
_BEFORE = re.compile(r"(?:.*,)?(?:@|[0-9]*\+)?")


def pipelines(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Pipelines of the project."""
    return _items(incomplete, ((path.stem, "") for path in _files()))


def targets(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Targets of profiles.yml."""
    root = find_root(Path.cwd())
    declared = _get(_load(root / "profiles.yml"), "targets") if root else None
    return _items(incomplete, ((name, "") for name in _keys(declared)))


def models(ctx: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """What ``-s`` may hold: models, by name and with their pipeline, and selectors with their values.

    What stands before a term stays: ``+``, ``2+``, ``@``, and terms with a comma.
    """
    found = _BEFORE.match(incomplete)
    before = found[0] if found else ""
    term = incomplete[len(before) :]
    method, colon, _ = term.partition(":")
    if colon:
        words = [(f"{method}:{value}", "") for value in _values(method) if value]
    else:
        words = [*_names(ctx.params.get("pipelines") or (), full="." in term)]
        # Selectors where one is begun: for an empty word they would hide the names.
        words += [(f"{name}:", "") for name in METHODS if term and name.startswith(term)]
    return _items(incomplete, ((before + word, said) for word, said in words))


def _names(pipelines: Sequence[str], *, full: bool) -> Iterator[tuple[str, str]]:
    """Models by their names alone; with the pipeline where that is being written."""
    for pipeline, model in _models():
        if not pipelines or pipeline in pipelines:
            name = _text(_get(model, "name"))
            yield f"{pipeline}.{name}" if full else name, _text(_get(model, "description"))


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
            yield from (_text(_get(model, "owner")) for _, model in _models())
        case "tag":
            for _, model in _models():
                tags = _get(model, "tags")
                yield from (_text(tag) for tag in _items_of(tags) or [tags])


def tables(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Tables that the models maintain."""
    found = ((_text(_get(_get(m, "target"), "table")), _text(_get(m, "description"))) for _, m in _models())
    return _items(incomplete, found)


def rules(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Rules of lint, from their file: its package takes long to import."""
    import tomllib

    areas = tomllib.loads((Path(__file__).parents[1] / "lint" / "rules.toml").read_text(encoding="utf-8"))
    return _items(incomplete, ((id, said["what"]) for area in areas.values() for id, said in area.items()))


def _items(incomplete: str, words: Iterable[tuple[str, str]]) -> list[CompletionItem[str]]:
    # One line each: that is the protocol.
    found = {word: " ".join(said.split()) for word, said in words if word and word.startswith(incomplete)}
    return [CompletionItem(word, help=said or None) for word, said in found.items() if len(word.split()) == 1]


def _models() -> Iterator[tuple[str, Node]]:
    """The models that have a name, each with its pipeline."""
    for path in _files():
        for model in _items_of(_get(_load(path), "models")):
            if _text(_get(model, "name")):
                yield path.stem, model


def _files() -> list[Path]:
    root = find_root(Path.cwd())
    folder = root / "pipelines" if root else None
    return sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")]) if folder else []


def _load(path: Path) -> Node:
    """The root of a YAML file as nodes: values need not be made, which takes longer than reading."""
    import yaml

    try:
        with open(os.fspath(path), "rb") as file:
            return yaml.compose(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return None


def _pairs(node: Node) -> list[tuple[Any, Any]]:
    return node.value if node is not None and node.id == "mapping" else []


def _get(node: Node, key: str) -> Node:
    return next((value for name, value in _pairs(node) if _text(name) == key), None)


def _keys(node: Node) -> list[str]:
    return [_text(name) for name, _ in _pairs(node)]


def _items_of(node: Node) -> list[Any]:
    return node.value if node is not None and node.id == "sequence" else []


def _text(node: Node) -> str:
    return node.value if node is not None and node.id == "scalar" else ""
