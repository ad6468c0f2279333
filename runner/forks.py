"""Work on many things at once: the parts of a list, each in a process forked from this one.

In: a function of a part, and a list. Out: what the function returned for each part, in order. It is for work
that changes nothing here; short lists, single cores and systems without ``fork`` take one part, here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

T = TypeVar("T")
R = TypeVar("R")


def spread(work: Callable[[Sequence[T]], R], items: Sequence[T], *, least: int) -> list[R]:
    """``work`` of parts of ``items``, of ``least`` items at least; its results must be picklable.

    A part whose process fails is done here again, so that its error is raised here.
    """
    count = min(_cores(), len(items) // least)
    if count < 2:
        return [work(items)]
    from multiprocessing import get_context

    context = get_context("fork")
    parts = [items[len(items) * i // count : len(items) * (i + 1) // count] for i in range(count)]
    started = []
    for part in parts[1:]:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_send, args=(sender, work, part), daemon=True)
        process.start()
        sender.close()  # the child's copy is the only one, so that its death is an end of file here
        started.append((process, receiver, part))
    found = [work(parts[0])]
    for process, receiver, part in started:
        try:
            found.append(receiver.recv())
        except EOFError:
            found.append(work(part))
        receiver.close()
        process.join()
    return found


def _send(sender: Connection, work: Callable[[Sequence[T]], R], part: Sequence[T]) -> None:
    try:
        sender.send(work(part))
    except BaseException:  # noqa: BLE001 – the parent does this part again, and meets it there
        os._exit(1)


def _cores() -> int:
    """Those that this process may use; one where a fork is not safe or not there."""
    if not hasattr(os, "fork") or sys.platform == "darwin":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
