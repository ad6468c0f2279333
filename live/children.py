"""The programs of the demo: their commands go in, they run beside each other, and end in order.

Each writes to a log of its name. None outlives this process: see ``tether``.
"""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from live import tether
from runner.errors import Fault, RunFailed

_LAST_LINES = 5
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Child:
    """A program: ``stop`` is the signal that ends it properly, ``patience`` the seconds that it may take."""

    name: str
    command: Sequence[str | Path]
    stop: signal.Signals = signal.SIGTERM
    patience: float = 90.0


class Children:
    """Those that run, in the order of their start; they are stopped in the reverse order."""

    def __init__(self, logs: Path, *, project: Path) -> None:
        """``project``: the folder that they run in."""
        self.logs, self._project = logs, project
        self._running: dict[str, tuple[Child, subprocess.Popen[bytes]]] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, child: Child) -> None:
        """It runs from now on. Call it from the main thread: it dies with the thread that started it."""
        process = tether.start(child.command, log=self.log(child.name), cwd=self._project)
        self._running[child.name] = child, process

    def run(self, child: Child, stopped: threading.Event | None = None) -> None:
        """Starts it and waits for its end. RunFailed (``child-failed``); returns early when ``stopped``."""
        self.start(child)
        while (code := self.ended(child.name)) is None:
            if (stopped or threading.Event()).wait(_POLL_SECONDS):
                self.stop(child.name)
                return
        if code:
            raise self.failure(child.name, f"{child.name} ended with exit code {code}")

    def runs(self, name: str) -> bool:
        """Whether it was started and not seen to have ended."""
        return name in self._running

    def ended(self, name: str) -> int | None:
        """The exit code of one that has ended, which is forgotten with that; None while it runs."""
        code = self._running[name][1].poll()
        if code is not None:
            del self._running[name]
        return code

    def require(self, *names: str) -> None:
        """RunFailed (``child-failed``) names the first of them that does not run any more."""
        for name in names:
            code = self.ended(name)
            if code is not None:
                raise self.failure(name, f"{name} ended by itself, with exit code {code}")

    def stop(self, name: str) -> int | None:
        """Its exit code; killed when its end takes too long. None for one that does not run."""
        if name not in self._running:
            return None
        child, process = self._running.pop(name)
        process.send_signal(child.stop)
        try:
            return process.wait(child.patience)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def stop_all(self) -> None:
        """The last one started first."""
        for name in reversed(list(self._running)):
            self.stop(name)

    def log(self, name: str) -> Path:
        """Where it writes what it has to say."""
        return self.logs / f"{name}.log"

    def failure(self, name: str, what: str) -> RunFailed:
        """The error that tells a child's last lines."""
        path = self.log(name)
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        said = " | ".join(line.strip() for line in lines[-_LAST_LINES:]) or "it said nothing"
        return RunFailed(Fault("child-failed", None, what, f"its last lines: {said}", f"read {path}"))
