"""A program that does not outlive the process that started it: a command goes in, its process comes out.

Run as a script it asks the kernel for its own death with its parent's, and becomes the command. That is an
extra program and not ``preexec_fn``, because Python code between fork and exec is not safe beside threads.
The kernel's parent is the *thread* that started it: start from one that lives as long as the child should.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # prctl(2)


def start(
    command: Sequence[str | Path],
    *,
    log: Path,
    deadly: signal.Signals = signal.SIGKILL,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    keep: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """The started command, its outputs appended to ``log``; it gets ``deadly`` when this process is gone.

    It has a session of its own: a Ctrl-C on the terminal reaches only who started it, who decides the order.
    It inherits the file descriptors ``keep``, and holds their locks.
    """
    tethered = [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(deadly)), *command]
    with log.open("ab") as output:
        return subprocess.Popen(
            tethered,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=keep,
            cwd=cwd,
            env=None if environment is None else dict(environment),
        )


def _become(parent: int, deadly: int, command: list[str]) -> None:
    if sys.platform == "linux":  # elsewhere who started it must stop it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, deadly)
    if os.getppid() != parent:  # it was gone before the kernel knew
        raise SystemExit(f"{command[0]} was not started: process {parent} has ended")
    try:
        os.execvp(command[0], command)
    except OSError as error:
        raise SystemExit(f"{command[0]} cannot be started: {error.strerror}") from None


if __name__ == "__main__":
    _become(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
