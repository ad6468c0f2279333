"""The command line of Spark's JVM: settings, jars and a Java enter, an argument list leaves.

Java is started directly. ``spark-submit`` would start another JVM to compute the same line, read
``spark-defaults.conf`` and hide the jars behind a class loader of its own; a profile's ``conf`` is
the one place for settings here.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from runner.engine.spark import jars
from runner.engine.spark.java import Java
from runner.errors import fail

GATEWAY = "org.apache.spark.api.python.PythonGatewayServer"
LOG4J = Path(__file__).with_name("log4j2.properties")
EXERCISE = Path(__file__).with_name("warm.py")

#: A run that reads what is new works for seconds, so the quick compiler (C1) serves it best: until the
#: first MERGE it takes two thirds of the processor time that the optimizing one takes. Work of minutes is
#: 10-20 % faster with ``-XX:TieredStopAtLevel=4`` in the profile's ``spark.driver.extraJavaOptions``.
#: The heap begins larger than Java's 1.6 % of the memory, so that start-up needs few collections. With C1
#: alone Java reserves 48 MB for compiled code; a run of five models fills that, and then compiles, throws
#: away and compiles again (seen: a third of all processor time).
FAST_START = ("-XX:TieredStopAtLevel=1", "-XX:InitialRAMPercentage=6", "-XX:ReservedCodeCacheSize=256m")

#: What Spark 4.1 needs opened (org.apache.spark.launcher.JavaModuleOptions), without
#: ``--add-modules=jdk.incubator.vector``: it serves linear algebra, prints a warning at every start
#: and keeps the JDK from using its own archived module graph.
MODULES = (
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/java.lang.invoke=ALL-UNNAMED",
    "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/java.net=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.cs=ALL-UNNAMED",
    "--add-opens=java.base/sun.security.action=ALL-UNNAMED",
    "--add-opens=java.base/sun.util.calendar=ALL-UNNAMED",
    "--add-opens=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
    "-Djdk.reflect.useDirectMethodHandle=false",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dio.netty.allocator.type=pooled",
    "-Dio.netty.handler.ssl.defaultEndpointVerificationAlgorithm=NONE",
)


def class_path() -> tuple[Path, ...]:
    """The jars of every local session: the lake's, then Spark's own, in a fixed order."""
    return (*jars.ensure("lake"), *sorted((jars.spark_home() / "jars").glob("*.jar")))


def archive_path(class_path: Sequence[Path], java: Java) -> Path:
    """Where the class data archive for these jars and this Java stands, whether or not it was made.

    The JVM refuses an archive whose jars have another time or size; naming it by both lets an
    archive of another state be, instead of failing to use it at every start.
    """
    seen = hashlib.sha256(f"{java.executable}\0{java.build}\0".encode())
    seen.update(EXERCISE.read_bytes())  # which decides what is in the archive
    for jar in class_path:
        stat = jar.stat()
        seen.update(f"{jar}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
    return jars.cache_dir() / "archives" / f"{seen.hexdigest()[:16]}.jsa"


def command(
    conf: Mapping[str, str], *, java: Java, class_path: Sequence[Path], archive: Sequence[str], scratch: Path
) -> list[str]:
    """The argument list that starts the gateway.

    ``archive`` holds the flags that use or make a class data archive. Reads ``spark.driver.memory``,
    ``spark.driver.extraClassPath`` and ``spark.driver.extraJavaOptions`` of ``conf``, which only
    count before the JVM starts; the Java options come last, so they win.
    """
    refused = [key for key in ("spark.jars", "spark.jars.packages") if conf.get(key)]
    if refused:
        raise fail(
            "conf-unsupported",
            None,
            f"{refused[0]} has no effect on a local session",
            why="Java is started directly, with the class path complete",
            fix="name the jars in spark.driver.extraClassPath",
        )
    extra = shlex.split(conf.get("spark.driver.extraJavaOptions", ""))
    # Two collectors at once are an error to the JVM, so ours gives way to any that is named.
    collector = () if any(re.match(r"-XX:\+Use\w+GC$", one) for one in extra) else ("-XX:+UseSerialGC",)
    mine = [entry for entry in conf.get("spark.driver.extraClassPath", "").split(os.pathsep) if entry]
    return [
        str(java.executable),
        *("-cp", os.pathsep.join([*mine, *map(str, class_path)])),
        f"-Xmx{conf['spark.driver.memory']}",
        *collector,
        *FAST_START,
        "-Xshare:auto",
        *archive,
        *MODULES,
        "-Duser.timezone=UTC",
        "-Dfile.encoding=UTF-8",
        f"-Djava.io.tmpdir={scratch}",
        f"-Dlog4j2.configurationFile={LOG4J.as_uri()}",
        *extra,
        GATEWAY,
    ]
