"""Which model runs when: every one after those that it reads, several at a time.

In: models in the order of a run, and what does the work. Out: nothing; the work is done. A model that fails
takes its readers with it, others go on (unless ``fail_fast``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from runner.errors import Interrupted
from runner.spec import Model

#: How often a run that was interrupted asks again that its jobs end; seconds.
_AGAIN = 0.5


@dataclass(frozen=True)
class Work:
    """What is done with models. ``do``: run one; whether its readers may follow. ``skip``: one may not,
    because of another one. ``cancel``: end what runs on other threads, as often as it is called.
    """

    do: Callable[[int, Model], bool]
    skip: Callable[[int, Model, str], None]
    cancel: Callable[[], None]


def run_in_order(
    models: Sequence[Model],
    reads: Mapping[str, Collection[str]],
    work: Work,
    *,
    threads: int,
    fail_fast: bool,
) -> None:
    """Do the work; ``reads``: model id → ids of the models that it waits for, where those are selected.

    Raises Interrupted after Ctrl-C, when everything that ran has come to its end.
    """
    queue = _Queue(models, reads, work, fail_fast)
    if threads == 1:
        while (index := queue.next()) is not None:
            queue.ended(index, published=work.do(index, models[index - 1]))
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="model") as pool:
        running: dict[Future[bool], int] = {}
        try:
            while True:
                while len(running) < threads and (index := queue.next()) is not None:
                    running[pool.submit(work.do, index, models[index - 1])] = index
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    queue.ended(running.pop(future), published=future.result())
        except BaseException as error:
            left = set(running)
            while left:
                # A job that starts after the first word would go on.
                work.cancel()
                left = wait(left, timeout=_AGAIN).not_done
            if isinstance(error, KeyboardInterrupt):
                raise Interrupted from None
            raise


@dataclass
class _Queue:
    """Models that have not started. The first in order that may run comes first; indexes begin at 1."""

    models: Sequence[Model]
    reads: Mapping[str, Collection[str]]
    work: Work
    fail_fast: bool
    _waiting: dict[int, set[str]] = field(default_factory=dict)
    _causes: dict[str, str] = field(default_factory=dict)  # model id → who keeps it from running

    def __post_init__(self) -> None:
        chosen = {m.id for m in self.models}
        for index, model in enumerate(self.models, 1):
            self._waiting[index] = set(self.reads[model.id]) & chosen

    def next(self) -> int | None:
        """The next model to run, taken from the queue; None where none is ready."""
        while (index := next((i for i, before in self._waiting.items() if not before), None)) is not None:
            model = self.models[index - 1]
            cause = self._causes.get(model.id)
            del self._waiting[index]
            if cause is None:
                return index
            self.work.skip(index, model, cause)
            self._let_go(model, cause)
        return None

    def ended(self, index: int, *, published: bool) -> None:
        """A model has come to its end."""
        model = self.models[index - 1]
        if not published and self.fail_fast:
            for other in self.models:
                self._causes.setdefault(other.id, model.id)
        self._let_go(model, None if published else model.id)

    def _let_go(self, model: Model, cause: str | None) -> None:
        for index, before in self._waiting.items():
            if model.id in before:
                before.discard(model.id)
                if cause:
                    self._causes.setdefault(self.models[index - 1].id, cause)


class Stop:
    """Whether a run is to end: set by whoever was interrupted, asked by every thread before it publishes."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    @property
    def asked(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raises Interrupted where the run is to end."""
        if self.asked:
            raise Interrupted
