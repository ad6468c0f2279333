"""Everything that can go wrong, as data: a code, a place, what, why and the fix.

The tree, and the exit code each branch ends the process with::

    RunnerError
    ├── ProjectError   2    the project or the command line is wrong (carries faults)
    ├── RunFailed      1    the run failed; the remedy says what to do
    ├── GateClosed     3    a quality gate closed; nothing of that model was published
    ├── Busy          75    another writer holds the target; try again
    └── Interrupted  130    stopped by the user; nothing was published
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Place(NamedTuple):
    """Where something was written. ``line`` and ``col`` count from 1; 0 means the whole file."""

    file: str
    line: int = 0
    col: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.col}" if self.line else self.file


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: ``what`` happened, ``why`` it is refused, the ``fix``.

    ``code`` is a stable kebab-case name (``unknown-key``); tests assert it.
    """

    code: str
    place: Place | None
    what: str
    why: str = ""
    fix: str = ""

    def __str__(self) -> str:
        head = f"{self.place}: {self.what}" if self.place else self.what
        lines = [f"{head} [{self.code}]"]
        if self.why:
            lines.append(f"  why: {self.why}")
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


class RunnerError(Exception):
    """The root: ``exit_code`` ends the process, ``retryable`` says whether a rerun can help."""

    exit_code = 1
    retryable = False


@dataclass
class ProjectError(RunnerError):
    """The project or the command line is wrong: all faults found, in order of place."""

    faults: Sequence[Fault] = field(default_factory=tuple)
    exit_code = 2

    def __str__(self) -> str:
        return "\n".join(str(fault) for fault in self.faults)


@dataclass
class RunFailed(RunnerError):
    """A run failed for a reason that is not the project's text."""

    fault: Fault
    retryable: bool = False
    exit_code = 1

    def __str__(self) -> str:
        return str(self.fault)


@dataclass
class GateClosed(RunnerError):
    """Checks of severity error failed: readers still see the old snapshot.

    ``results``: what all checks asked so far gave (:class:`runner.check.gate.CheckResult`), for the records.
    """

    faults: Sequence[Fault] = field(default_factory=tuple)
    results: Sequence[Any] = field(default_factory=tuple)
    exit_code = 3

    def __str__(self) -> str:
        return "\n".join(str(fault) for fault in self.faults)


@dataclass
class Busy(RunnerError):
    """Somebody else is writing this target."""

    fault: Fault
    retryable = True
    exit_code = 75

    def __str__(self) -> str:
        return str(self.fault)


class Interrupted(RunnerError):
    """The user stopped the run."""

    exit_code = 130


#: The exit code of a run is the first of these that any of its nodes ended with.
EXIT_PRECEDENCE = (130, 2, 1, 3, 75, 0)


def worst(codes: Iterable[int]) -> int:
    """The exit code of a run from those of its nodes; 0 for none."""
    seen = set(codes)
    return next((code for code in EXIT_PRECEDENCE if code in seen), 0)


def fail(code: str, place: Place | None, what: str, *, why: str = "", fix: str = "") -> ProjectError:
    """A :class:`ProjectError` with one fault."""
    return ProjectError((Fault(code, place, what, why, fix),))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"did you mean 'x'?"``, or the known words when none is near."""
    import difflib  # for what went wrong: it is slow to import

    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known here: {', '.join(names)}" if names else ""
