"""``runner test`` and the plugin of pytest: what they say of tests that pass, fail or cannot be read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli import invoke
from runner.testing.conduct import Conductor, Outcome

ROOT = Path(__file__).resolve().parent.parent
BASE = ROOT / "tests" / "errors" / "base"


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, tuple[str, ...]]:
    """What tests find, in place of their runs; a folder with a project is the current one."""
    found: dict[str, tuple[str, ...]] = {}
    monkeypatch.setattr(Conductor, "run", lambda self, test: Outcome(test, 0.25, found.get(test.name, ())))
    for part in ("pipelines", "sql"):
        shutil.copytree(BASE / part, tmp_path / part)
    folder = tmp_path / "tests" / "models"
    folder.mkdir(parents=True)
    cases = ", ".join(
        f"{{name: {name}, given: {{raw: []}}, expect: {{target: []}}}}" for name in ("one", "two")
    )
    (folder / "orders.yml").write_text(f"model: silver.orders\ntests: [{cases}]\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return found


def test_a_pass_and_a_failure(
    outcomes: dict[str, tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes["two"] = ("counts: 1 row inserted, expected 2",)
    assert invoke(["test"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("1 of 2 PASS    silver.orders one ...")
    assert said[0].endswith("[0.2s]")
    assert said[1].startswith("2 of 2 FAIL    silver.orders two ...")
    assert "tests/models/orders.yml:2:" in said[1]
    assert said[2] == "    counts: 1 row inserted, expected 2"
    assert said[3].startswith("1 passed, 1 failed in ")


def test_fail_fast_and_keywords(
    outcomes: dict[str, tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes["one"] = ("wrong",)
    assert invoke(["test", "-x"]) == 1
    assert "1 failed, 1 not run" in capsys.readouterr().out
    assert invoke(["test", "-k", "TWO"]) == 0
    assert "1 passed in" in capsys.readouterr().out


def test_json_is_one_object_a_line(
    outcomes: dict[str, tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes["two"] = ("a", "b")
    assert invoke(["test", "--output", "json"]) == 1
    one, two, note = map(json.loads, capsys.readouterr().out.splitlines())
    assert (one["model"], one["name"], one["status"], one["message"]) == (
        "silver.orders",
        "one",
        "pass",
        None,
    )
    assert (two["status"], two["message"]) == ("fail", "a\nb")
    assert note["exit_code"] == 1


# pytest


def collect(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What pytest finds in a project of its own process, in which the plugin is declared twice."""
    (root / "conftest.py").write_text('pytest_plugins = ["runner.testing.plugin"]\n', encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "runner.testing.plugin",
        "--collect-only",
        "-q",
        *options,
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def test_pytest_finds_tests_of_models(outcomes: dict[str, tuple[str, ...]], tmp_path: Path) -> None:
    (tmp_path / "tests" / "other.yml").write_text("no: test", encoding="utf-8")
    found = collect(tmp_path, "-m", "model")
    assert found.returncode == 0, found.stdout
    assert found.stdout.splitlines()[:2] == [
        "tests/models/orders.yml::one",
        "tests/models/orders.yml::two",
    ]


def test_pytest_shows_faults_of_files_and_no_traceback(
    outcomes: dict[str, tuple[str, ...]], tmp_path: Path
) -> None:
    path = tmp_path / "tests" / "models" / "orders.yml"
    path.write_text(path.read_text(encoding="utf-8").replace("{raw: []}", "{row: []}"), encoding="utf-8")
    found = collect(tmp_path)
    assert found.returncode == 2
    assert "silver.orders has no source 'row' [unknown-source]\n" in found.stdout
    assert "fix: did you mean 'raw'?" in found.stdout
    assert "Traceback" not in found.stdout + found.stderr
