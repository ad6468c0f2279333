"""Whether a model is what it was: everything that a run of it heeds, as one word.

In: a model and its statement. Out: a checksum. It covers the fingerprint, which stands for the rows, and
checks, target and options, which decide how a run ends; places and words for people are left out.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping

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
    if isinstance(value, TableRef | Place):
        return str(value) if isinstance(value, TableRef) else None
    if dataclasses.is_dataclass(value):
        found = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.name not in _WORDS}
        return {name: _plain(of) for name, of in found.items() if name != "places"}
    if isinstance(value, Mapping):
        return {str(key): _plain(of) for key, of in value.items()}
    return [_plain(of) for of in value] if isinstance(value, list | tuple) else str(value)
