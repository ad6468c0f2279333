"""The JVM's command line, its failures, and the folder it works in: nothing here starts Spark."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from runner.engine.spark import java, jvm
from runner.engine.spark.java import Java
from runner.engine.spark.launch import defaults, launch
from runner.engine.spark.scratch import Scratch
from runner.errors import ProjectError, RunFailed

ROOT = Path(__file__).resolve().parent.parent
JAVA = Java(Path("/opt/java/bin/java"), "17.0.1", "")


def command(conf: Mapping[str, str], folder: Path = Path("/scratch")) -> list[str]:
    given = defaults(2) | dict(conf)
    return jvm.command(given, java=JAVA, class_path=[Path("/a.jar")], archive=[], scratch=folder)


def test_the_jvm_is_java_itself_on_its_jars() -> None:
    line = command({"spark.driver.memory": "3g", "spark.driver.extraClassPath": "/mine.jar"})
    assert line[0] == "/opt/java/bin/java"
    assert line[line.index("-cp") + 1] == "/mine.jar:/a.jar"
    assert "-Xmx3g" in line
    assert "-Duser.timezone=UTC" in line
    assert line[-1] == jvm.GATEWAY


def test_a_profile_has_the_last_word_on_java_options() -> None:
    line = command({"spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=4 -Dname='two words'"})
    assert line.index("-XX:TieredStopAtLevel=1") < line.index("-XX:TieredStopAtLevel=4")
    assert "-Dname=two words" in line
    assert "-XX:+UseSerialGC" in line


def test_a_collector_that_is_named_replaces_ours() -> None:
    line = command({"spark.driver.extraJavaOptions": "-XX:+UseG1GC"})
    assert "-XX:+UseSerialGC" not in line


@pytest.mark.parametrize("key", ["spark.jars", "spark.jars.packages"])
def test_settings_that_only_spark_submit_reads_are_refused(key: str) -> None:
    with pytest.raises(ProjectError) as caught:
        command({key: "org.example:thing:1.0"})
    assert caught.value.faults[0].code == "conf-unsupported"
    assert "spark.driver.extraClassPath" in caught.value.faults[0].fix


def test_an_archive_is_named_by_the_jars_and_the_java(tmp_path: Path) -> None:
    jar = tmp_path / "a.jar"
    jar.write_bytes(b"one")
    named = jvm.archive_path([jar], JAVA)
    assert jvm.archive_path([jar], JAVA) == named
    assert jvm.archive_path([jar], Java(JAVA.executable, "17.0.2", "another build")) != named
    os.utime(jar, ns=(0, 0))
    assert jvm.archive_path([jar], JAVA) != named


def test_a_jvm_that_does_not_start_says_why(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "spark.log"
    with pytest.raises(RunFailed) as caught:
        launch(conf={"spark.driver.extraJavaOptions": "-XX:NoSuchOption=1"}, log_file=log)
    assert caught.value.fault.code == "jvm-start"
    assert "NoSuchOption" in caught.value.fault.why
    assert "NoSuchOption" in log.read_text()


def test_java_is_found_at_java_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    executable = tmp_path / "bin" / "java"
    executable.write_text("#!/bin/sh\n")
    executable.chmod(0o755)
    (tmp_path / "release").write_text('IMPLEMENTOR="x"\nJAVA_VERSION="17.0.9"\n')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert java.find().executable == executable.resolve()
    assert java.find().version == "17.0.9"

    (tmp_path / "release").write_text('JAVA_VERSION="1.8.0_402"\n')
    with pytest.raises(RunFailed) as caught:
        java.find()
    assert caught.value.fault.code == "java-version"
    assert "1.8.0_402" in caught.value.fault.what


def test_no_java_is_said_with_the_way_out(tmp_path: Path) -> None:
    """As make does it: with any Python, before anything is installed."""
    done = subprocess.run(
        [sys.executable, "-S", "-m", "runner.engine.spark", "check"],
        env={"PATH": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "[java-missing]" in done.stderr
    assert "JAVA_HOME" in done.stderr
    assert "Traceback" not in done.stderr


def test_folders_of_killed_sessions_are_removed_and_others_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    alive, killed = Scratch.make(), Scratch.make()
    os.close(killed.lock)
    third = Scratch.make()
    assert alive.path.exists()
    assert not killed.path.exists()
    third.remove()
    alive.remove()
    assert not list(tmp_path.iterdir())
