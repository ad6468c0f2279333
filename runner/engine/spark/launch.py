"""Settings enter, a local Spark session leaves: Java started directly, quiet, gone when Python is gone.

While the JVM boots, pyspark is imported; see ``jvm`` for its command line and ``warm`` for the
archive of loaded classes that shortens the time to the first result.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.engine.spark import jars, java, jvm
from runner.engine.spark.process import Process
from runner.engine.spark.scratch import Scratch

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


_JAVA_OPTIONS = "spark.driver.extraJavaOptions"
#: In place of :data:`runner.engine.spark.jvm.FAST_START`'s quick compiler.
_OPTIMIZING = "-XX:TieredStopAtLevel=4"


def defaults(cores: int) -> dict[str, str]:
    """The settings of a local session; a profile's ``conf`` wins over each."""
    return {
        "spark.master": f"local[{cores}]",
        "spark.app.name": "medallion-runner",
        "spark.driver.memory": "2g",
        # Nobody outside this machine talks to the session, and nobody watches it.
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # Models that run side by side share the cores.
        "spark.scheduler.mode": "FAIR",
        "spark.sql.catalogImplementation": "in-memory",
        # Hadoop's own starts a process (chmod) for each file and folder that it makes: 20 for a model.
        "spark.hadoop.fs.file.impl": "com.globalmentor.apache.hadoop.fs.BareLocalFileSystem",
        # Text stays what it is: `${env:HOME}` in a literal is not a variable.
        "spark.sql.variable.substitute": "false",
        # The same answers everywhere.
        "spark.sql.ansi.enabled": "true",
        "spark.sql.session.timeZone": "UTC",
        # A task a core: the rows of a run are few, and starting tasks is what takes time then.
        "spark.sql.shuffle.partitions": str(cores),
        "spark.sql.adaptive.enabled": "true",
        # The same queries come again with every batch; Spark remembers the code of 100 pieces of them.
        "spark.sql.codegen.cache.maxEntries": "2000",
        # Spark writes every plan down for its user interface, each time one changes.
        "spark.sql.ui.explainMode": "simple",
    }


def launch(
    *,
    conf: Mapping[str, str] | None = None,
    cores: int | None = None,
    log_file: Path | None = None,
    groups: Sequence[str] = (),
    archive_to: Path | None = None,
    long: bool = False,
) -> SparkSession:
    """A new local session in a JVM of its own; :func:`stop` ends both, and so does the end of Python.

    ``conf`` is Spark configuration and wins over :func:`defaults`; ``cores`` defaults to those that
    this process may use. Nothing is printed: Spark's log is appended to ``log_file``. ``groups`` of
    ``jars.lock`` join the lake's on the class path. With ``archive_to`` the JVM writes the archive of
    its loaded classes there when it ends. ``long``: it works for hours, so that code is compiled well.

    Raises RunFailed where Java or a jar cannot be had (``java-missing``, ``java-version``,
    ``jar-fetch``, ``jar-checksum``) and when the JVM does not start (``jvm-start``).
    """
    # pyspark hands out timestamps in the process's local time.
    os.environ["TZ"] = "UTC"
    time.tzset()
    scratch = Scratch.make()
    settings = defaults(cores or len(os.sched_getaffinity(0)))
    settings["spark.sql.warehouse.dir"] = str(scratch.path / "warehouse")
    settings |= conf or {}
    if long:
        settings[_JAVA_OPTIONS] = f"{_OPTIMIZING} {settings.get(_JAVA_OPTIONS, '')}"
    try:
        command = _command(settings, groups=groups, archive_to=archive_to, scratch=scratch.path)
        process = Process.start(command, scratch=scratch, log=log_file or scratch.path / "spark.log")
    except BaseException:
        scratch.remove()
        raise
    try:
        session = _session(process, settings)
    except BaseException:
        _forget_gateway()
        process.end()
        raise
    atexit.register(stop, session)
    return session


def stop(session: SparkSession) -> None:
    """Ends the session and its JVM and removes their files; another :func:`launch` may follow."""
    from py4j.protocol import Py4JError

    gateway: Any = session.sparkContext._gateway
    with contextlib.suppress(Py4JError, OSError):  # of a JVM that is gone already
        session.stop()
        gateway.shutdown()
    _forget_gateway()
    atexit.unregister(stop)
    gateway.proc.end()


def _session(process: Process, settings: Mapping[str, str]) -> SparkSession:
    # Half a second of imports, while the JVM boots.
    from pyspark import SparkConf, SparkContext
    from pyspark.sql import SparkSession

    gateway = process.connect()
    configured = SparkConf(loadDefaults=False, _jvm=gateway.jvm)
    for key, value in settings.items():
        configured.set(key, value)
    # SparkContext takes Ctrl-C over, and answers it in the middle of a call over the same connection:
    # the caller would get a protocol error instead of KeyboardInterrupt.
    interrupt = signal.getsignal(signal.SIGINT)
    session = SparkSession(SparkContext(conf=configured, gateway=gateway))
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, interrupt)
    # A .crc file beside each file would double the files of the lake, and each costs a process (chmod).
    jvm = gateway.jvm
    jvm.org.apache.hadoop.fs.FileSystem.get(
        jvm.java.net.URI("file:///"), session._jsc.hadoopConfiguration()
    ).setWriteChecksum(False)
    return session


def _forget_gateway() -> None:
    """pyspark keeps one gateway a process, and would hand a dead one to the next session."""
    from pyspark import SparkContext

    SparkContext._gateway = SparkContext._jvm = None


def _command(
    settings: Mapping[str, str], *, groups: Sequence[str], archive_to: Path | None, scratch: Path
) -> list[str]:
    found = java.find()
    base = jvm.class_path()
    # Last on the class path: the JVM accepts an archive for every class path that begins with its own.
    more = tuple(jar for group in groups for jar in jars.ensure(group))
    archive = jvm.archive_path(base, found)
    flags = []
    if archive_to is not None:
        flags = [f"-XX:ArchiveClassesAtExit={archive_to}"]
    elif archive.is_file():
        flags = [f"-XX:SharedArchiveFile={archive}"]
        with contextlib.suppress(OSError):  # of a cache that is read-only
            os.utime(archive)  # says that it is used
    return jvm.command(settings, java=found, class_path=base + more, archive=flags, scratch=scratch)
