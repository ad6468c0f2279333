"""One writer a target, and nobody has to clean up after one that died."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runner.errors import Busy
from runner.lock import target_lock
from runner.refs import TableRef

ORDERS, SALES = TableRef("silver", "orders"), TableRef("gold", "sales")

HOLDER = """
import sys, time
from pathlib import Path
from runner.lock import target_lock
from runner.refs import TableRef
with target_lock(Path(sys.argv[1]), TableRef("silver", "orders"), timeout=0, run_id="the-other-run"):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@contextmanager
def holder(folder: Path, seconds: float = 60) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLDER, str(folder), str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_held_target_is_busy_and_the_message_names_the_holder(tmp_path: Path) -> None:
    started = time.monotonic()
    with (
        holder(tmp_path) as other,
        pytest.raises(Busy) as error,
        target_lock(tmp_path, ORDERS, timeout=0, run_id="mine"),
    ):
        raise AssertionError("the lock was given twice")
    assert error.value.exit_code == 75
    assert error.value.retryable
    assert error.value.fault.code == "target-locked"
    assert f"process {other.pid} (run the-other-run, since " in error.value.fault.what
    assert "--lock-timeout" in error.value.fault.fix
    assert time.monotonic() - started < 30, "without a timeout it does not wait for the holder's end"


def test_other_targets_are_free(tmp_path: Path) -> None:
    with (
        target_lock(tmp_path, ORDERS, timeout=0, run_id="a"),
        target_lock(tmp_path, SALES, timeout=0, run_id="b"),
    ):
        pass


def test_the_lock_is_free_when_its_holder_was_killed(tmp_path: Path) -> None:
    with holder(tmp_path) as other:
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        with target_lock(tmp_path, ORDERS, timeout=0, run_id="mine"):
            pass


def test_the_lock_is_free_after_an_error_of_its_holder(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), target_lock(tmp_path, ORDERS, timeout=0, run_id="a"):
        raise ZeroDivisionError
    with target_lock(tmp_path, ORDERS, timeout=0, run_id="b"):
        pass


def test_with_a_timeout_it_waits_for_the_holder(tmp_path: Path) -> None:
    with holder(tmp_path, seconds=0.3), target_lock(tmp_path, ORDERS, timeout=30, run_id="mine"):
        pass


def test_a_timeout_ends_and_says_how_long_it_waited(tmp_path: Path) -> None:
    with (
        target_lock(tmp_path, ORDERS, timeout=0, run_id="a"),
        pytest.raises(Busy) as error,
        target_lock(tmp_path, ORDERS, timeout=0.2, run_id="b"),
    ):
        raise AssertionError("the lock was given twice")
    assert "waited 0.2 s" in error.value.fault.why


def test_a_program_that_the_holder_started_does_not_keep_the_lock(tmp_path: Path) -> None:
    with target_lock(tmp_path, ORDERS, timeout=0, run_id="a"):
        child = subprocess.Popen(["sleep", "30"], close_fds=False)
    try:
        with target_lock(tmp_path, ORDERS, timeout=0, run_id="b"):
            pass
    finally:
        child.kill()
        child.wait()
