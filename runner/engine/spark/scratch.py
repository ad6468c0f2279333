"""The folder that one session works in, and what killed sessions left behind.

A folder's owner holds a kernel lock on it that the JVM shares, so a folder is stale exactly when
both are gone.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

PREFIX = "medallion-spark-"


@dataclass(frozen=True)
class Scratch:
    """A folder under the system's temporary one; ``lock`` is the file descriptor that keeps it."""

    path: Path
    lock: int

    @classmethod
    def make(cls) -> Scratch:
        """A new folder, after those that nobody holds any more were removed."""
        root = Path(tempfile.gettempdir())
        for left in root.glob(f"{PREFIX}*"):
            _remove_stale(left)
        while True:
            path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (path / "lock").exists():
                return cls(path, lock)
            os.close(lock)  # another process took it for a stale one between the last two lines

    def remove(self) -> None:
        """Removes the folder. To be called when the JVM has ended."""
        os.close(self.lock)
        shutil.rmtree(self.path, ignore_errors=True)


def _remove_stale(path: Path) -> None:
    try:
        lock = os.open(path / "lock", os.O_RDWR)
    except OSError:
        return  # another user's, or one that is being made
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return  # in use
    else:
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)
