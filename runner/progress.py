"""What a terminal shows while models run: how many are done, what each one is at, and for how long.

In: the events of a run. Out: one line that moves, below those that stay; gone when nothing runs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.run import Event

_ENDS = frozenset({"ok", "nothing", "stale", "gated", "failed", "skipped", "busy"})


@dataclass
class Progress:
    """The models that run now. ``running``: name → what it is at, and when it started (monotonic seconds)."""

    done: int = 0
    total: int = 0
    running: dict[str, tuple[str, float]] = field(default_factory=dict)
    _live: Any = None

    def heed(self, event: Event) -> None:
        """Take an event in."""
        self.total = event.total
        if event.kind == "start":
            self.running[event.name] = ("", time.monotonic())
        elif event.kind == "stage" and event.name in self.running:
            self.running[event.name] = (event.detail, self.running[event.name][1])
        elif event.kind in _ENDS:
            self.running.pop(event.name, None)
            self.done += 1

    def line(self, now: float, width: int) -> str:
        """``2 of 6 done | silver.events: merging 6,931 rows, 4s | …``, no wider than ``width``."""
        parts = [f"{self.done} of {self.total} done"]
        for name, (stage, since) in self.running.items():
            parts.append(f"{name}: {stage + ', ' if stage else ''}{now - since:.0f}s")
        text = " | ".join(parts)
        return text if len(text) <= width else text[: width - 1] + "…"

    def show(self) -> None:
        """Show the line, where something runs."""
        if self._live is not None or not self.running:
            return
        from rich.live import Live  # for terminals only: it takes 50 ms to import
        from rich.spinner import Spinner
        from rich.text import Text

        spinner = Spinner("dots")

        def render() -> Spinner:
            # The spinner takes two cells. A name is no markup.
            width = self._live.console.width - 2 if self._live else 78
            spinner.update(text=Text(self.line(time.monotonic(), width)))
            return spinner

        self._live = Live(get_renderable=render, refresh_per_second=8, transient=True)
        self._live.start()

    def hide(self) -> None:
        """Take the line away, so that others can be written."""
        if self._live is not None:
            self._live.stop()
            self._live = None
