"""Groups of jars, pinned in ``jars.lock``: a group's name enters, the paths of its verified jars leave.

Fetched once from their Maven coordinates by the Ivy that pyspark ships, into ``$MEDALLION_CACHE``
(default ``~/.cache/medallion-runner``); a jar stands under its checksum only after it was verified.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import quoteattr

from runner.engine.spark import java
from runner.errors import Fault, RunFailed

LOCK = Path(__file__).with_name("jars.lock")


@dataclass(frozen=True)
class Jar:
    """One pinned jar: ``size`` in bytes, ``sha256`` in hex."""

    group: str
    organisation: str
    name: str
    version: str
    size: int
    sha256: str

    @property
    def coordinate(self) -> str:
        return f"{self.organisation}:{self.name}:{self.version}"

    @property
    def file(self) -> str:
        return f"{self.name}-{self.version}.jar"

    def within(self, cache: Path) -> Path:
        """Where the jar stands in ``cache``: under its checksum, so two locks never share a file."""
        return cache / "jars" / self.sha256[:16] / self.file


def read(lock: Path = LOCK) -> tuple[Jar, ...]:
    """The jars of a lock file, in its order; ValueError names the line that is not one."""
    jars = []
    for number, line in enumerate(lock.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            group, coordinate, size, sha256 = line.split()
            organisation, name, version = coordinate.split(":")
            if len(bytes.fromhex(sha256)) != hashlib.sha256().digest_size:
                raise ValueError(sha256)
            jars.append(Jar(group, organisation, name, version, int(size), sha256))
        except ValueError:
            raise ValueError(
                f"{lock}:{number}: not `group organisation:name:version size sha256`: {line}"
            ) from None
    return tuple(jars)


def cache_dir() -> Path:
    """``$MEDALLION_CACHE``, else the user's cache folder."""
    named = os.environ.get("MEDALLION_CACHE")
    if named:
        return Path(named).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "medallion-runner"


def spark_home() -> Path:
    """The folder of the installed pyspark, found without importing it (which takes half a second)."""
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise RunFailed(
            Fault(
                "pyspark-missing", None, "pyspark is not installed", fix="make setup, or pip install pyspark"
            )
        )
    return Path(spec.origin).parent


def ensure(group: str = "lake", *, lock: Path = LOCK, cache: Path | None = None) -> tuple[Path, ...]:
    """The paths of the group's jars, in the lock's order; fetches and verifies the missing ones.

    When all are there this costs one ``stat`` a jar. Raises KeyError for a group that the lock does
    not have, and RunFailed: ``jar-fetch`` (retryable) or ``jar-checksum``.
    """
    jars = [jar for jar in read(lock) if jar.group == group]
    if not jars:
        raise KeyError(group)
    cache = cache or cache_dir()
    if any(not _is_there(jar, cache) for jar in jars):
        with _only_one(cache):
            # Asked again: whoever held the lock before has probably fetched the same jars.
            missing = [jar for jar in jars if not _is_there(jar, cache)]
            if missing:
                _fetch(missing, cache)
    return tuple(jar.within(cache) for jar in jars)


def _is_there(jar: Jar, cache: Path) -> bool:
    # The checksum was taken before the jar got its place; a size that is not the pinned one means
    # that something (a full disk, a copied cache) damaged it since, and it is fetched again.
    try:
        return jar.within(cache).stat().st_size == jar.size
    except OSError:
        return False


@contextmanager
def _only_one(cache: Path) -> Iterator[None]:
    """One process at a time fills the cache; the kernel releases the lock, whatever happens."""
    (cache / "jars").mkdir(parents=True, exist_ok=True)
    with (cache / "jars" / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _fetch(jars: Sequence[Jar], cache: Path) -> None:
    for left_behind in (cache / "jars").glob(".fetch-*"):
        shutil.rmtree(left_behind, ignore_errors=True)  # of a process that was killed here
    with tempfile.TemporaryDirectory(
        prefix=".fetch-", dir=cache / "jars", ignore_cleanup_errors=True
    ) as made:
        folder = Path(made)
        said = _run_ivy(jars, folder)
        got = {jar: folder / jar.file for jar in jars}
        absent = [jar.coordinate for jar, path in got.items() if not path.is_file()]
        if absent:  # Ivy's exit code is 0 whether or not it found anything
            raise RunFailed(
                Fault(
                    "jar-fetch",
                    None,
                    f"could not fetch {', '.join(absent)}",
                    f"Ivy says: {said}",
                    "check the connection and try again; behind a proxy set HTTPS_PROXY, "
                    "for a mirror point MEDALLION_IVY_SETTINGS to an ivysettings.xml",
                ),
                retryable=True,
            )
        for jar, path in got.items():
            _verify(jar, path)
        for jar, path in got.items():
            jar.within(cache).parent.mkdir(exist_ok=True)
            os.replace(path, jar.within(cache))


def _verify(jar: Jar, path: Path) -> None:
    with path.open("rb") as handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    if found != jar.sha256 or path.stat().st_size != jar.size:
        raise RunFailed(
            Fault(
                "jar-checksum",
                None,
                f"{jar.coordinate} is not the jar that was pinned",
                f"sha256 {found}, {path.stat().st_size} bytes; pinned: {jar.sha256}, {jar.size} bytes. "
                "It was not put into the cache",
                "fetch it again from a repository you trust; where the version was changed on purpose, "
                f"pin the new checksum in {LOCK.name}",
            )
        )


def _run_ivy(jars: Sequence[Jar], folder: Path) -> str:
    """Retrieves ``jars`` into ``folder``; what Ivy had to say about those it did not get, on one line."""
    wanted = "".join(
        f"<dependency org={quoteattr(jar.organisation)} name={quoteattr(jar.name)}"
        f' rev={quoteattr(jar.version)} conf="default-&gt;master" transitive="false"/>'
        for jar in jars
    )
    ivy = folder / "ivy.xml"
    ivy.write_text(
        '<ivy-module version="2.0"><info organisation="medallion" module="jars"/>'
        '<configurations><conf name="default"/></configurations>'
        f"<dependencies>{wanted}</dependencies></ivy-module>",
        encoding="utf-8",
    )
    settings = os.environ.get("MEDALLION_IVY_SETTINGS")
    program = next((spark_home() / "jars").glob("ivy-2*.jar"))
    command: list[str | Path] = [java.find().executable, *_proxy(), "-jar", program, "-warn"]
    if settings:
        command += ["-settings", settings]
    # A cache of its own: Ivy's shared one remembers failures, and half-written files of killed runs.
    command += ["-cache", folder / "ivy-cache", "-ivy", ivy, "-confs", "default", "-types", "jar", "bundle"]
    command += ["-retrieve", f"{folder}/[artifact]-[revision].[ext]"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )
    return " ".join((done.stderr + done.stdout).split())[:2000]


def _proxy() -> list[str]:
    """Java does not read ``HTTPS_PROXY``, which pip does: one setting for both."""
    url = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
    proxy = urlsplit(url) if url else None
    if proxy is None or proxy.hostname is None:
        return []
    return [f"-Dhttps.proxyHost={proxy.hostname}", f"-Dhttps.proxyPort={proxy.port or 3128}"]
