"""The cache of jars: pinned, verified, filled once, healed, and read without any process."""

from __future__ import annotations

import hashlib
import multiprocessing
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from runner.engine.spark import jars
from runner.errors import RunFailed

CONTENT = b"pretend this is a jar"
SUM = hashlib.sha256(CONTENT).hexdigest()


def lock(folder: Path, *, content: bytes = CONTENT, group: str = "lake") -> Path:
    path = folder / "jars.lock"
    pinned = hashlib.sha256(content).hexdigest()
    path.write_text(f"# a comment\n\n{group}  org.example:thing_2.13:1.0  {len(content)}  {pinned}\n")
    return path


def ivy(content: bytes | None) -> Callable[[Sequence[jars.Jar], Path], str]:
    """An Ivy that delivers ``content``, or has nothing to deliver."""

    def run(wanted: Sequence[jars.Jar], folder: Path) -> str:
        for jar in wanted if content is not None else ():
            (folder / jar.file).write_bytes(content or b"")
        return "UNRESOLVED DEPENDENCIES" if content is None else ""

    return run


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting any process fails the test."""

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError(f"a process was started: {arguments}")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(subprocess, "run", refuse)


def test_the_lock_that_ships_names_every_jar_once() -> None:
    pinned = jars.read()
    assert {jar.group for jar in pinned} == {"lake", "kafka", "broker"}
    # Two groups are never on one class path, unless Spark's connector is beside the lake.
    for together in ({"lake", "kafka"}, {"broker"}):
        names = [jar.name for jar in pinned if jar.group in together]
        assert len(set(names)) == len(names)
    assert all(jar.size > 0 for jar in pinned)
    assert [jar.coordinate for jar in pinned if jar.name.startswith("iceberg")] == [
        "org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.11.0"
    ]


@pytest.mark.parametrize(
    "line",
    [
        "lake org.example:thing:1.0 12",
        f"lake org.example:thing 12 {SUM}",
        f"lake org.example:thing:1.0 twelve {SUM}",
        "lake org.example:thing:1.0 12 beef",
        f"lake org.example:thing:1.0 12 {SUM} more",
    ],
)
def test_a_line_that_is_no_pin_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "jars.lock"
    path.write_text(f"# first line\n{line}\n")
    with pytest.raises(ValueError, match=r"jars\.lock:2: "):
        jars.read(path)


def test_a_group_that_nobody_pinned_is_a_key_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        jars.ensure("kafka", lock=lock(tmp_path), cache=tmp_path)


def test_a_jar_is_fetched_verified_and_then_only_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(jars, "_run_ivy", ivy(CONTENT))
    pinned = lock(tmp_path)
    (path,) = jars.ensure(lock=pinned, cache=tmp_path / "cache")
    assert path.read_bytes() == CONTENT
    request.getfixturevalue("never")
    monkeypatch.setattr(jars, "_run_ivy", ivy(None))
    started = time.perf_counter()
    assert jars.ensure(lock=pinned, cache=tmp_path / "cache") == (path,)
    assert time.perf_counter() - started < 0.010


def test_a_wrong_checksum_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "_run_ivy", ivy(b"x" * len(CONTENT)))
    with pytest.raises(RunFailed) as caught:
        jars.ensure(lock=lock(tmp_path), cache=tmp_path / "cache")
    fault = caught.value.fault
    assert fault.code == "jar-checksum"
    assert "org.example:thing_2.13:1.0" in fault.what
    assert SUM in fault.why
    assert "jars.lock" in fault.fix
    assert not caught.value.retryable
    assert not list((tmp_path / "cache").rglob("*.jar"))
    assert not list((tmp_path / "cache").rglob(".fetch-*"))


def test_a_jar_that_cannot_be_had_is_said_with_what_ivy_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jars, "_run_ivy", ivy(None))
    with pytest.raises(RunFailed) as caught:
        jars.ensure(lock=lock(tmp_path), cache=tmp_path / "cache")
    assert caught.value.fault.code == "jar-fetch"
    assert "UNRESOLVED" in caught.value.fault.why
    assert caught.value.retryable


@pytest.mark.parametrize("damage", [b"", CONTENT[:5], CONTENT + b"tail"])
def test_a_damaged_cache_heals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes) -> None:
    monkeypatch.setattr(jars, "_run_ivy", ivy(CONTENT))
    pinned, cache = lock(tmp_path), tmp_path / "cache"
    (path,) = jars.ensure(lock=pinned, cache=cache)
    path.write_bytes(damage)
    left = cache / "jars" / ".fetch-of-a-killed-process"
    left.mkdir()
    assert jars.ensure(lock=pinned, cache=cache) == (path,)
    assert path.read_bytes() == CONTENT
    assert not left.exists()


def _fill(pinned: Path, cache: Path, log: Path) -> None:
    def slow(wanted: Sequence[jars.Jar], folder: Path) -> str:
        with log.open("a") as handle:
            handle.write("fetched\n")
        time.sleep(0.2)
        return ivy(CONTENT)(wanted, folder)

    jars._run_ivy = slow
    jars.ensure(lock=pinned, cache=cache)


def test_processes_that_fill_the_cache_at_once_fetch_once(tmp_path: Path) -> None:
    pinned, cache, log = lock(tmp_path), tmp_path / "cache", tmp_path / "log"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_fill, args=(pinned, cache, log)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert log.read_text() == "fetched\n"
    assert [path.read_bytes() for path in cache.rglob("*.jar")] == [CONTENT]


def test_ivy_itself_retrieves_from_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real Ivy, with a folder as repository and blanks in every path."""
    repository = tmp_path / "a mirror" / "org" / "example" / "thing_2.13" / "1.0"
    repository.mkdir(parents=True)
    (repository / "thing_2.13-1.0.jar").write_bytes(CONTENT)
    (repository / "thing_2.13-1.0.pom").write_text(
        "<project><modelVersion>4.0.0</modelVersion><groupId>org.example</groupId>"
        "<artifactId>thing_2.13</artifactId><version>1.0</version><packaging>bundle</packaging></project>"
    )
    settings = tmp_path / "ivy settings.xml"
    settings.write_text(
        '<ivysettings><settings defaultResolver="mirror"/><resolvers>'
        f'<ibiblio name="mirror" m2compatible="true" root="{(tmp_path / "a mirror").as_uri()}/"/>'
        "</resolvers></ivysettings>"
    )
    monkeypatch.setenv("MEDALLION_IVY_SETTINGS", str(settings))
    (path,) = jars.ensure(lock=lock(tmp_path), cache=tmp_path / "my cache")
    assert path.read_bytes() == CONTENT
    (repository / "thing_2.13-1.0.jar").unlink()
    path.unlink()
    with pytest.raises(RunFailed) as caught:
        jars.ensure(lock=lock(tmp_path), cache=tmp_path / "my cache")
    assert caught.value.fault.code == "jar-fetch"
    assert "thing_2.13" in caught.value.fault.why


@pytest.mark.parametrize(
    ("variable", "flags"),
    [
        ("http://proxy.example:8080", ["-Dhttps.proxyHost=proxy.example", "-Dhttps.proxyPort=8080"]),
        ("", []),
    ],
)
def test_the_proxy_that_pip_reads_holds_for_java(
    monkeypatch: pytest.MonkeyPatch, variable: str, flags: list[str]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", variable)
    monkeypatch.delenv("https_proxy", raising=False)
    assert jars._proxy() == flags
