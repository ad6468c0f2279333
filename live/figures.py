"""How far the events are: a server, a producer's metrics and a lake go in, a row of counts comes out."""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from runner.catalog import LocalCatalog
from runner.refs import TableRef

BRONZE = TableRef("bronze", "raw_events")
SILVER = TableRef("silver", "cleaned_events")
GOLD = (TableRef("gold", "hourly_stats"), TableRef("gold", "risk_scores"), TableRef("gold", "entity_trends"))
_WIDTH = 13


@dataclass(frozen=True)
class Figures:
    """Counts at one moment. ``seconds``: since the start; ``behind``: how old the newest visible event is,
    counted from its acknowledgement; None before the first one."""

    seconds: int
    sent: int | None
    acknowledged: int
    bronze: int
    silver: int
    gold: int
    behind: float | None

    @staticmethod
    def heading() -> str:
        """The names over the rows."""
        return "".join(f"{field.name:>{_WIDTH}}" for field in fields(Figures))

    def row(self) -> str:
        """One line of the table; what is not known is a dash."""
        behind = "-" if self.behind is None else f"{self.behind:.0f} s"
        counts = (self.sent, self.acknowledged, self.bronze, self.silver, self.gold)
        texts = ["-" if count is None else f"{count:,}" for count in counts]
        return "".join(f"{text:>{_WIDTH}}" for text in (f"{self.seconds}", *texts, behind))


class Watch:
    """Asks all of them, and remembers when how much was acknowledged."""

    def __init__(
        self,
        *,
        lake: Path,
        metrics: Callable[[], Mapping[str, float]],
        sent: Callable[[], int | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalog = LocalCatalog(lake, "lake")
        self._metrics, self._sent, self._clock = metrics, sent, clock
        self._start = clock()
        self._acknowledged: deque[tuple[float, int]] = deque(maxlen=3_600)

    def look(self) -> Figures:
        """The counts of now; milliseconds, no JVM."""
        now = self._clock()
        acknowledged = int(self._metrics().get("producer_acknowledged_total", 0))
        self._acknowledged.append((now, acknowledged))
        bronze = self._rows(BRONZE)
        # Malformed events and repeats are acknowledged and no rows, so this is an upper bound.
        when = next((at for at, count in self._acknowledged if count >= bronze), None) if bronze else None
        return Figures(
            seconds=int(now - self._start),
            sent=self._sent(),
            acknowledged=acknowledged,
            bronze=bronze,
            silver=self._rows(SILVER),
            gold=sum(self._rows(table) for table in GOLD),
            behind=None if when is None else now - when,
        )

    def _rows(self, table: TableRef) -> int:
        state = self._catalog.table(table)
        head = None if state is None else state.head()
        return 0 if head is None else head.rows


def scrape(url: str) -> dict[str, float]:
    """Prometheus metrics without labels by name; none where nobody answers yet."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            text = answer.read().decode()
    except (urllib.error.URLError, OSError):
        return {}
    found = re.findall(r"^([a-z_]+) ([0-9.e+-]+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}
