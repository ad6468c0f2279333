"""Whether a model is what it was: everything that a run of it heeds, as one word.

In: a model and its statement. Out: a checksum. It covers the fingerprint, which stands for the rows, and
checks, target and options, which decide how a run ends; places and words for people are left out.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Hashable, Mapping
from functools import cache
from typing import Any, cast

from runner.errors import Place
from runner.refs import TableRef
from runner.render import Rendered
from runner.spec import Model

#: What people read and no run heeds.
_WORDS = frozenset({"description", "owner", "tags"})


def checksum(model: Model, rendered: Rendered) -> str:
    """The checksum of a model, in hex."""
    heeded = {
        "fingerprint": rendered.fingerprint,
        "definition": _plain(model),
        "expectations": {name: found.rendered for name, found in rendered.expectations.items()},
    }
    return hashlib.sha256(json.dumps(heeded, sort_keys=True, default=str).encode()).hexdigest()


def _plain(value: object) -> object:
    """A noun as plain values, without the places where it is written and the words for people."""
    return _way(cast(Hashable, type(value)))(value)


@cache
def _way(kind: Hashable) -> Callable[[Any], object]:
    """How values of a type become plain: most of a checksum's time is in asking what a value is."""
    assert isinstance(kind, type)
    if issubclass(kind, str | TableRef):
        return str
    if issubclass(kind, Place):
        return lambda _: None
    if dataclasses.is_dataclass(kind):
        names = [f.name for f in dataclasses.fields(kind) if f.name not in _WORDS and f.name != "places"]
        return lambda noun: {name: _plain(getattr(noun, name)) for name in names}
    if issubclass(kind, Mapping):
        return lambda mapping: {str(key): _plain(of) for key, of in mapping.items()}
    if issubclass(kind, list | tuple):
        return lambda items: [_plain(of) for of in items]
    return str
