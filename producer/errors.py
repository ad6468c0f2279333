"""What ends the producer, as data: a code, what happened, why, and the fix; and the exit code it ends with::

ProducerError
├── Misconfigured  2   settings, files or permissions are wrong: a restart changes nothing
├── Failed         1   it gave up
└── Unavailable   75   somebody else holds it, or a part is not there yet: start it again later
"""

from __future__ import annotations

from dataclasses import dataclass

#: No text of a stranger is printed longer than this.
SHOWN = 200


@dataclass(frozen=True)
class Fault:
    """``code`` is a stable kebab-case name; tests assert it."""

    code: str
    what: str
    why: str = ""
    fix: str = ""

    def __str__(self) -> str:
        lines = [f"{self.what} [{self.code}]"]
        lines += [f"  {name}: {text}" for name, text in (("why", self.why), ("fix", self.fix)) if text]
        return "\n".join(lines)


class ProducerError(Exception):
    """The root: carries a fault."""

    exit_code = 1

    def __init__(self, code: str, what: str, *, why: str = "", fix: str = "") -> None:
        self.fault = Fault(code, what, why, fix)
        super().__init__(str(self.fault))


class Failed(ProducerError):
    """The producer gave up."""

    exit_code = 1


class Misconfigured(ProducerError):
    """Nothing helps but another setting."""

    exit_code = 2


class Unavailable(ProducerError):
    """It may work when started again."""

    exit_code = 75


def shown(text: object, limit: int = SHOWN) -> str:
    """A stranger's text for a log line: one line, control characters escaped, cut."""
    line = str(text)
    cut = line[:limit]
    safe = "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode()
        for char in cut
    )
    return f"{safe}… ({len(line):,} characters)" if len(line) > limit else safe
