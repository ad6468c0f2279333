"""``{{ var('name') }}`` in a YAML scalar: the only Jinja there is in a spec."""

from __future__ import annotations

import re
from collections.abc import Mapping

from runner.errors import did_you_mean
from runner.load.values import Wrong

Variables = Mapping[str, object]

_REFERENCE = re.compile(r"""\{\{\s*var\(\s*(?:'(\w+)'|"(\w+)")\s*\)\s*\}\}""")
_BRACES = ("{{", "{%", "{#")


class WrongTemplate(Wrong):
    """The scalar holds braces that cannot be filled in."""

    def __init__(self, code: str, what: str, fix: str, why: str = "") -> None:
        super().__init__(what, fix, why)
        self.code = code


def expand(text: str, plain: bool, variables: Variables | None) -> tuple[str, bool]:
    """The text with its variables filled in, and whether it still counts as written without quotes.

    A scalar that is one reference takes the variable's type: ``"{{ var('n') }}"`` with n = 5 is a number.
    """
    if not any(sign in text for sign in _BRACES):
        return text, plain
    if any(sign in _REFERENCE.sub("", text) for sign in _BRACES):
        raise WrongTemplate(
            "jinja-in-yaml",
            f"'{text}' holds Jinja other than {{{{ var('name') }}}}",
            "compute it in the SQL file, or declare a variable and write \"{{ var('name') }}\"",
            "a spec is data: its values can be filled in, not computed",
        )
    if variables is None:
        raise WrongTemplate("jinja-in-yaml", f"'{text}' holds Jinja", "write the value itself")
    if whole := _REFERENCE.fullmatch(text.strip()):
        return _written(_look_up(whole, variables))
    return _REFERENCE.sub(lambda found: _written(_look_up(found, variables))[0], text), False


def _look_up(found: re.Match[str], variables: Variables) -> tuple[str, object]:
    name = found[1] or found[2]
    if name not in variables:
        raise WrongTemplate(
            "unknown-var",
            f"there is no variable '{name}'",
            did_you_mean(name, variables) or f"declare it under `vars:`, with a value: `{name}: …`",
            "variables are declared under `vars:` of the pipeline or of the profile",
        )
    return name, variables[name]


def _written(variable: tuple[str, object]) -> tuple[str, bool]:
    name, value = variable
    match value:
        case bool():
            return str(value).lower(), True
        case int() | float():
            return str(value), True
        case str():
            return value, False
    kind = "nothing" if value is None else "a list" if isinstance(value, list) else "a mapping"
    raise WrongTemplate("wrong-var", f"the variable '{name}' is {kind}", "give it a single value")
