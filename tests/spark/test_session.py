"""A session of its own process: quiet, interruptible, gone with Python, started from the archive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.spark
ROOT = Path(__file__).resolve().parent.parent.parent
PREAMBLE = """
import signal
import sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin without
from runner.engine.spark.launch import launch, stop
ENDLESS = "SELECT sum(hash(a.id, b.id)) FROM range(1000000) a CROSS JOIN range(1000000) b"
"""


def start(script: str, folder: Path) -> subprocess.Popen[str]:
    """A Python that runs ``script`` with ``folder`` as its argument and as temporary folder."""
    return subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(script), str(folder)],
        env=dict(os.environ) | {"TMPDIR": str(folder)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def working(folder: Path) -> list[Path]:
    return list(folder.glob("medallion-spark-*"))


def test_a_session_is_quiet_and_can_be_followed_by_another(tmp_path: Path) -> None:
    process = start(
        """
        for turn in range(2):
            spark = launch(log_file=Path(sys.argv[1]) / "spark.log", cores=1)
            assert spark.sql("SELECT current_timezone()").collect()[0][0] == "UTC"
            assert spark.sparkContext.defaultParallelism == 1
            assert spark.createDataFrame([(1,)], "n int").collect() == [(1,)]
            spark._jvm.System.err.println("said by the JVM")
            if turn == 0:  # the last one ends with Python
                stop(spark)
        """,
        tmp_path,
    )
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, output, errors) == (0, "", "")
    assert (tmp_path / "spark.log").read_text().count("said by the JVM") == 2
    assert not working(tmp_path)


def test_an_interrupt_reaches_python_and_leaves_a_session_that_works(tmp_path: Path) -> None:
    process = start(
        """
        spark = launch(log_file=Path(sys.argv[1]) / "spark.log", cores=1)
        print("ready", flush=True)
        try:
            spark.sql(ENDLESS).collect()
        except KeyboardInterrupt:
            print(spark.sql("SELECT 41 + 1 AS x").collect()[0].x)
        """,
        tmp_path,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (0, "42\n", "")
    assert not working(tmp_path)


def test_the_jvm_dies_with_a_python_that_is_killed(tmp_path: Path) -> None:
    process = start(
        """
        spark = launch(log_file=Path(sys.argv[1]) / "spark.log", cores=1)
        print(spark.sparkContext._gateway.proc.popen.pid, flush=True)
        spark.sql(ENDLESS).collect()
        """,
        tmp_path,
    )
    assert process.stdout is not None
    jvm = int(process.stdout.readline())
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{jvm}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{jvm}").exists()
