"""Apache Kafka as a child process: a folder goes in, a broker that takes records comes out.

One node in KRaft mode, from the jars of the group ``broker``, on the loopback address only. The folder keeps
records, settings and ``broker.log``; a broker started on it again has its records and, where free, its port.
"""

from __future__ import annotations

import base64
import fcntl
import os
import re
import signal
import subprocess
import time
import uuid
from pathlib import Path
from types import TracebackType

from live import ports, tether
from live.ports import HOST
from runner.engine.spark import jars, java
from runner.errors import Fault, RunFailed

READY_SECONDS = 60.0
STOP_SECONDS = 20.0
_POLL_SECONDS = 0.05

# What one broker for one machine needs: no second replica anywhere, no waiting for more members, and
# registration and failure seen within seconds. Records stay whatever their time: replayed ones are old.
_SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers={host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
log.dirs={records}
log.retention.ms=-1
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=2097152
"""

_FLAGS = ("-Xms128m", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")


class Broker:
    """A running broker; as a context manager it is stopped at the end.

    It dies with the process that started it, also when that is killed, and with the thread: see ``tether``.
    """

    def __init__(self, folder: Path, port: int, controller: int) -> None:
        self.folder, self.port = folder, port
        self._controller = controller
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls, folder: Path, port: int = 0) -> Broker:
        """A broker that answers; with port 0 on the folder's last port, or a free one.

        RunFailed: ``java-missing``, ``java-version``, ``jar-fetch``, ``port-taken``, ``folder-taken``,
        ``broker-died``, ``broker-silent``.
        """
        folder = folder.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        if port and not ports.is_free(port):
            raise _taken(port)
        before = _last_ports(folder)
        fresh = ports.free(2)
        client = port or next((one for one in before[:1] if ports.is_free(one)), fresh[0])
        controller = next((one for one in before[1:] if one != client and ports.is_free(one)), fresh[1])
        broker = cls(folder, client, controller)
        broker._hold()
        try:
            broker._write_settings()
            broker._format_once()
            broker._launch()
        except BaseException:
            broker.stop()
            raise
        return broker

    @property
    def bootstrap(self) -> str:
        """What clients call ``bootstrap.servers``."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process; None when none runs."""
        return None if self._process is None else self._process.pid

    @property
    def log(self) -> Path:
        """What the broker says, of all its starts."""
        return self.folder / "broker.log"

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL, as a machine that loses power; nothing is written any more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Stopped if it runs, and started again on the same folder and port."""
        self.stop()
        self._launch()

    def stop(self) -> None:
        """Asked to end, and killed when it does not; the folder is free for another one."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._release()

    def __enter__(self) -> Broker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _hold(self) -> None:
        # Kafka inherits the lock: a broker whose starter was killed a moment ago is seen, too.
        if self._lock is not None:
            return
        handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            what, fix = f"another broker runs on {self.folder}", "stop it, or name another folder"
            raise RunFailed(Fault("folder-taken", None, what, "", fix)) from None
        self._lock = handle

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _write_settings(self) -> None:
        text = _SETTINGS.format(
            host=HOST, port=self.port, controller=self._controller, records=self.folder / "records"
        )
        self._settings.write_text(text, encoding="utf-8")

    @property
    def _settings(self) -> Path:
        return self.folder / "server.properties"

    def _java(self, *arguments: str | Path) -> list[str | Path]:
        # Only the class path that is pinned; -Dlog4j2.level: the default configuration, to standard output.
        path = ":".join(map(str, jars.ensure("broker")))
        return [java.find().executable, *_FLAGS, "-Dlog4j2.level=WARN", "-cp", path, *arguments]

    def _format_once(self) -> None:
        if (self.folder / "records" / "meta.properties").is_file():
            return
        chosen = uuid.uuid4().bytes
        # The first bit is none, so that the text cannot begin with a dash, which would be an option.
        cluster = base64.urlsafe_b64encode(bytes([chosen[0] & 127]) + chosen[1:]).decode().rstrip("=")
        command = self._java("kafka.tools.StorageTool", "format", "--standalone", "-t", cluster)
        done = subprocess.run(
            [*command, "-c", self._settings], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if done.returncode:
            with self.log.open("ab") as log:
                log.write(done.stdout + done.stderr)
            raise self._failed("broker-died", f"Kafka could not prepare {self.folder}")

    def _launch(self) -> None:
        if not ports.is_free(self.port):
            raise _taken(self.port)
        self._hold()
        assert self._lock is not None
        command = self._java("kafka.Kafka", self._settings)
        self._process = tether.start(command, log=self.log, keep=[self._lock])
        try:
            self._await_ready()
        except BaseException:  # Ctrl-C while waiting, too
            self.kill()
            self._release()
            raise

    def _await_ready(self) -> None:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        assert self._process is not None
        until = time.monotonic() + READY_SECONDS
        admin = None
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise self._failed("broker-died", "Kafka ended while it started")
            if ports.answers(self.port):
                # Kept: what a temporary client was asked for is never answered. It says nothing while the
                # broker does not answer yet, which is what is waited for.
                admin = admin or AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
                try:
                    if admin.list_topics(timeout=1).brokers:
                        return
                except KafkaException:
                    pass
            time.sleep(_POLL_SECONDS)
        raise self._failed(
            "broker-silent", f"Kafka does not answer on {self.bootstrap} after {READY_SECONDS:.0f} s"
        )

    def _failed(self, code: str, what: str) -> RunFailed:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        telling = [line for line in lines if re.search(r"ERROR|FATAL|Exception|error", line)] or lines
        why = telling[-1].strip()[:300] if telling else "it said nothing"
        fix = f"read {self.log}; a folder that holds nothing of worth can be removed and is made anew"
        return RunFailed(Fault(code, None, what, why, fix), retryable=code == "broker-silent")


def _taken(port: int) -> RunFailed:
    what, why = f"port {port} of {HOST} is taken", "another program listens there"
    return RunFailed(Fault("port-taken", None, what, why, "stop it, or name another port"))


def _last_ports(folder: Path) -> list[int]:
    """The client's and the controller's port that the folder was last started with; empty for a new one."""
    try:
        text = (folder / "server.properties").read_text(encoding="utf-8")
    except OSError:
        return []
    found = re.search(r"^listeners=PLAINTEXT://[^:]+:(\d+),CONTROLLER://[^:]+:(\d+)$", text, re.MULTILINE)
    return [int(port) for port in found.groups()] if found else []
