"""The JVM as a process: an argument list enters; a gateway to it leaves, or the reason why not.

It exits when its standard input closes, which the kernel does however Python ends.
"""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.engine.spark import jars
from runner.engine.spark.scratch import Scratch
from runner.errors import Fault, RunFailed

if TYPE_CHECKING:
    from py4j.java_gateway import JavaGateway

#: How long the JVM may take until it answers, and until it has ended; seconds.
PATIENCE = 120.0

#: The log starts anew beyond this size (bytes); the one before is kept beside it.
LOG_LIMIT = 20_000_000


@dataclass(frozen=True)
class Process:
    """A running JVM, the folder it works in, and where its part of the log begins.

    ``handler`` takes what py4j logs on Python's side to the same file.
    """

    popen: subprocess.Popen[bytes]
    scratch: Scratch
    log: Path
    log_start: int
    handler: logging.Handler

    @classmethod
    def start(cls, command: Sequence[str], *, scratch: Scratch, log: Path) -> Process:
        """Starts the JVM; what it prints is appended to ``log``."""
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_name(f"{log.name}.1"))
        environment = dict(os.environ) | {
            "SPARK_HOME": str(jars.spark_home()),
            # Without these Spark looks up this machine's name, which takes seconds where there is no DNS.
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_HOSTNAME": "localhost",
            "_PYSPARK_DRIVER_CONN_INFO_PATH": str(_address(scratch)),
        }
        with log.open("ab") as output:
            start = output.tell()
            popen = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=environment,
                pass_fds=(scratch.lock,),
                # A group of its own: Ctrl-C in the terminal reaches Python alone, which then decides.
                process_group=0,
            )
        handler = logging.FileHandler(log, delay=True)
        if not logging.root.handlers:
            # py4j logs to the root logger, which prints where nobody has set it up.
            logging.root.addHandler(handler)
        return cls(popen, scratch, log, start, handler)

    def connect(self) -> JavaGateway:
        """Waits for the JVM's address and connects; RunFailed (``jvm-start``) quotes what it said."""
        from pyspark.java_gateway import launch_gateway
        from pyspark.serializers import UTF8Deserializer, read_int

        address = _address(self.scratch)
        deadline = time.monotonic() + PATIENCE
        while not address.exists():  # it appears whole, by a rename
            if self.popen.poll() is not None or time.monotonic() > deadline:
                raise RunFailed(self._not_started())
            time.sleep(0.005)
        with address.open("rb") as handle:
            port, secret = read_int(handle), UTF8Deserializer().loads(handle)
        # Where these are set pyspark's own code connects instead of launching. They are removed again:
        # a child of ours has no business in this JVM.
        os.environ.update(PYSPARK_GATEWAY_PORT=str(port), PYSPARK_GATEWAY_SECRET=secret)
        try:
            gateway: JavaGateway = launch_gateway()
        finally:
            del os.environ["PYSPARK_GATEWAY_PORT"], os.environ["PYSPARK_GATEWAY_SECRET"]
        gateway.proc = self
        return gateway

    def end(self) -> None:
        """Closes the JVM's standard input and waits until it has ended; kills one that does not end."""
        assert self.popen.stdin is not None
        self.popen.stdin.close()
        try:
            self.popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        logging.root.removeHandler(self.handler)
        self.handler.close()
        self.scratch.remove()

    def _not_started(self) -> Fault:
        with self.log.open("rb") as handle:
            handle.seek(self.log_start)
            said = handle.read().decode(errors="replace").strip()[-2000:]
        code = self.popen.poll()
        happened = f"no answer within {PATIENCE:.0f} s" if code is None else f"it ended with code {code}"
        return Fault(
            "jvm-start",
            None,
            "Spark's JVM did not start",
            f"{happened}; it said: {said or 'nothing'}",
            "look at spark.driver.memory and spark.driver.extraJavaOptions in the profile's conf",
        )


def _address(scratch: Scratch) -> Path:
    return scratch.path / "gateway"
