"""One writer a target: a file lock that the kernel releases when its holder dies."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.errors import Busy, Fault
from runner.refs import TableRef

_PAUSE = 0.1


@contextmanager
def target_lock(
    folder: Path, table: TableRef, *, timeout: float, run_id: str, purpose: str = ""
) -> Iterator[None]:
    """Hold the lock of a target; :class:`Busy`, naming the holder, after ``timeout`` seconds.

    ``purpose``: of a lock beside it, for who does more than write once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{table}{purpose and '.'}{purpose}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + timeout
        while not _try(descriptor):
            if time.monotonic() >= deadline:
                raise Busy(_busy(path, table, timeout))
            time.sleep(_PAUSE)
        holder = {"pid": os.getpid(), "run": run_id, "since": time.strftime("%H:%M:%S UTC", time.gmtime())}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _busy(path: Path, table: TableRef, timeout: float) -> Fault:
    try:
        holder = json.loads(path.read_text() or "{}")
    except (OSError, ValueError):
        holder = {}
    who = f"process {holder.get('pid', '?')} (run {holder.get('run', '?')}, since {holder.get('since', '?')})"
    return Fault(
        "target-locked",
        None,
        f"{table} is being written by {who}",
        f"one writer a target; waited {timeout:g} s",
        "run again when it is done, or wait for it with --lock-timeout SECONDS",
    )
