"""Measure sides in interleaved rounds (A B A B …): each run is a process, from its start to its exit.

In: commands. Out: wall and processor seconds of each run and the JVMs that it started. Bytecode and the
archive of Java classes are made before, so that no side pays for them.
"""

from __future__ import annotations

import compileall
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("runner", "producer", "bench")

T = TypeVar("T")

#: Seconds between two looks at the processes of a side. A JVM that does nothing lives for 40 ms.
LOOK = 0.01
#: Memory is added up in one look of so many.
WEIGHED = 5


@dataclass(frozen=True)
class Measured:
    """One process: ``seconds`` of the clock and of processors, the JVMs it started, and the most ``memory``
    that it and its descendants held at a time, in bytes; a page that several share counts once."""

    seconds: float
    cpu: float
    jvms: int
    memory: int = 0


class SideFailed(Exception):
    """A side ended with another exit code than 0: there is nothing to compare."""


def prepare() -> None:
    """Compile all bytecode and let Python use it; make the archive of classes that every launch takes."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for package in PACKAGES:
        compileall.compile_dir(ROOT / package, quiet=2)
    subprocess.run(python("-m", "runner.engine.spark"), cwd=ROOT, check=True)


def python(*arguments: str | Path) -> list[str]:
    """The command line of this Python with ``arguments``."""
    return [sys.executable, *map(str, arguments)]


def measure(
    command: Sequence[str], *, log: Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> Measured:
    """Run ``command`` in ``cwd``; what it prints is appended to ``log``. ``env``: variables beside ours."""
    log.parent.mkdir(parents=True, exist_ok=True)
    before = _children_cpu()
    with log.open("ab") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
        )
        watch = _Watch(process.pid)
        # Not process.wait(): it forgets what the process used.
        _, status, used = os.wait4(process.pid, 0)
        code = process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        jvms, memory = watch.end()
    if code:
        said = log.read_text(encoding="utf-8", errors="replace")[-3000:]
        raise SideFailed(f"{' '.join(command)} ended with {code}:\n{said}")
    return Measured(seconds, _children_cpu() - before, jvms, max(memory, used.ru_maxrss * 1024))


def interleave(sides: Mapping[str, Callable[[int], T]], rounds: int) -> dict[str, list[T]]:
    """Call every side once a round, round after round: a machine that slows down slows all of them."""
    found: dict[str, list[T]] = {name: [] for name in sides}
    for index in range(rounds):
        for name, side in sides.items():
            found[name].append(side(index))
    return found


def median(values: Sequence[float]) -> float:
    """The middle one; of an even number the mean of the two."""
    return statistics.median(values)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the rounds' ratios: each pair ran under the same conditions."""
    return median([a / b for a, b in zip(ours, theirs, strict=True)])


def _children_cpu() -> float:
    """Processor seconds of all children that have ended, theirs included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Watch:
    """Looks at a process and its descendants again and again: counts JVMs, adds up their memory."""

    def __init__(self, pid: int) -> None:
        self._root = pid
        self._found: set[int] = set()
        self._memory = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> tuple[int, int]:
        self._ended.set()
        self._thread.join()
        return len(self._found), self._memory

    def _run(self) -> None:
        looks = 0
        while not self._ended.wait(LOOK):
            # Adding up a process's pages takes the kernel a while, so it is asked less often.
            self._memory = max(self._memory, self._look(self._root, weigh=looks % WEIGHED == 0))
            looks += 1

    def _look(self, pid: int, *, weigh: bool) -> int:
        held = _resident(pid) if weigh else 0
        for child in _children(pid):
            if _name(child) == "java":
                self._found.add(child)  # what a JVM starts is no JVM of the side's
                held += _resident(child) if weigh else 0
            else:
                held += self._look(child, weigh=weigh)
        return held


def _resident(pid: int) -> int:
    """Bytes of a process that are in memory; a page that several processes share counts for each in part."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    except (OSError, StopIteration, ValueError):  # it ended meanwhile
        return 0


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except (OSError, ValueError):  # it ended meanwhile
        return []


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
