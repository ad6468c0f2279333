"""Whether a model is what it was: everything that a run of it heeds, as one word.

In: a model and its statement. Out: a checksum. It covers the fingerprint, which stands for the rows, and
checks, target and options, which decide how a run ends; places and words for people are left out.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Hashable, Mapping
from functools import cache
from typing import cast

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
    if isinstance(value, str | TableRef):
        return str(value)
    if isinstance(value, Place):
        return None
    if names := _heeded(cast(Hashable, type(value))):
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): _plain(of) for key, of in value.items()}
    return [_plain(of) for of in value] if isinstance(value, list | tuple) else str(value)


@cache
def _heeded(kind: Hashable) -> tuple[str, ...]:
    """The fields of a noun that are heeded; none for what is no noun."""
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return ()
    names = (field.name for field in dataclasses.fields(kind))
    return tuple(name for name in names if name not in _WORDS and name != "places")
