"""Which Java runs Spark: the one of ``JAVA_HOME``, else the one on the ``PATH``.

The version is read from the installation's ``release`` file, so looking costs no process.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from runner.errors import Fault, RunFailed

#: Spark 4.1 runs on Java 17 and 21.
SUPPORTED = (17, 21)


@dataclass(frozen=True)
class Java:
    """A Java installation: its executable, its version (``17.0.15``) and what tells builds apart."""

    executable: Path
    version: str
    build: str

    @property
    def major(self) -> int:
        """``17`` of ``17.0.15``; 0 where the version cannot be read."""
        match = re.match(r"(?:1\.)?(\d+)", self.version)
        return int(match.group(1)) if match else 0


def find() -> Java:
    """The Java to use; RunFailed (``java-missing``, ``java-version``) says how to get one."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    if found is None:
        where = f"JAVA_HOME is {home}, and there is no bin/java in it" if home else "no java on the PATH"
        raise RunFailed(Fault("java-missing", None, "Java is not there", where, _fix()))
    # JDKs are installed behind chains of links (/usr/bin/java); the release file stands beside the real one.
    executable = Path(found).resolve()
    java = _describe(executable)
    if java.major not in SUPPORTED:
        what = f"{found} is Java {java.version or 'of an unknown version'}"
        raise RunFailed(Fault("java-version", None, what, "Spark 4.1 runs on Java 17 or 21", _fix()))
    return java


def _describe(executable: Path) -> Java:
    try:
        text = (executable.parent.parent / "release").read_text(encoding="utf-8")
        match = re.search(r'^JAVA_VERSION="([^"]+)"', text, re.MULTILINE)
    except OSError:
        # Some packages leave the file out, and version managers put scripts in front of the executable.
        text = subprocess.run([executable, "-version"], capture_output=True, text=True, check=False).stderr
        match = re.search(r'version "([^"]+)"', text)
    return Java(executable, match.group(1) if match else "", text)


def _fix() -> str:
    return "install a Java 17 (a headless one is enough) and put it on the PATH, or point JAVA_HOME to it"
