"""What lint found: faults with their levels, and how they end a command.

In: the levels of the rules. Out: :class:`Report`, also as plain values, for answers that are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.errors import Fault, Place, ProjectError

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True)
class Finding:
    """A fault and how much it matters: an error or a warning."""

    fault: Fault
    level: str


@dataclass(frozen=True)
class Report:
    """What was found in ``models`` models."""

    findings: tuple[Finding, ...]
    models: int

    def count(self, level: str) -> int:
        return sum(finding.level == level for finding in self.findings)

    def exit_code(self, *, strict: bool) -> int:
        """2 where something is wrong, or doubtful and ``strict``."""
        return ProjectError.exit_code if self.count(ERROR) or (strict and self.findings) else 0

    def summary(self) -> str:
        """``3 models: 1 error, 2 warnings``."""
        counts = [
            f"{number} {level}{'s' * (number != 1)}"
            for level in (ERROR, WARNING)
            if (number := self.count(level))
        ]
        models = f"{self.models} model{'s' * (self.models != 1)}"
        return f"{models}: {', '.join(counts)}" if counts else f"{models}, no faults"

    def plain(self) -> dict[str, Any]:
        """The report as plain values; :func:`report` reads them."""
        return {"findings": [[f.level, *plain(f.fault)] for f in self.findings], "models": self.models}


def report(values: Mapping[str, Any]) -> Report:
    """A report from its plain values."""
    found = tuple(Finding(fault(*of), level) for level, *of in values["findings"])
    return Report(found, values["models"])


def plain(fault: Fault) -> list[Any]:
    """A fault as plain values; :func:`fault` reads them."""
    place = [fault.place.file, fault.place.line, fault.place.col] if fault.place else None
    return [fault.code, place, fault.what, fault.why, fault.fix]


def values(fault: Fault, level: str = ERROR) -> dict[str, object]:
    """A fault as an object of the command line's JSON; ``file`` as its place says it."""
    place = fault.place or Place("")
    return {
        "kind": "fault",
        "level": level,
        "code": fault.code,
        "file": place.file or None,
        "line": place.line or None,
        "col": place.col or None,
        "what": fault.what,
        "why": fault.why,
        "fix": fault.fix,
    }


def fault(code: str, place: list[Any] | None, what: str, why: str, fix: str) -> Fault:
    """A fault from its plain values."""
    return Fault(code, Place(*place) if place else None, what, why, fix)
