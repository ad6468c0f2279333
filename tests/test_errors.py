"""Broken projects and command lines: a folder of ``tests/errors/`` is a sound project with one thing broken.

``case.yml`` says what: ``argv`` (``lint -q`` without, which shows errors alone), and of the project in
``base/`` the ``edits``, new ``files`` and ``links``. With ``documented: true`` each column has a description,
so that `lint` has no warning but those of the case, and ``exit`` is its exit code. ``expected.txt`` is what a
person reads: every fault with place, what, why and fix.
``UPDATE_GOLDENS=1 pytest tests/test_errors.py`` writes it anew.
"""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from runner.cli import invoke

FOLDER = Path(__file__).parent / "errors"
CASES = sorted(path.parent.name for path in FOLDER.glob("*/case.yml"))


def build(case: dict[str, object], root: Path) -> None:
    """The base project with the case's changes."""
    shutil.copytree(FOLDER / "base", root, dirs_exist_ok=True)
    if case.get("documented"):
        shutil.copytree(FOLDER / "documented", root, dirs_exist_ok=True)
    for edit in case.get("edits", []):
        path = root / edit["file"]
        text = path.read_text(encoding="utf-8")
        assert text.count(edit["replace"]) == 1, f"{edit['replace']!r} is not once in {edit['file']}"
        path.write_text(text.replace(edit["replace"], edit["with"]), encoding="utf-8")
    for name, text in case.get("files", {}).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    for name, to in case.get("links", {}).items():
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(to)
    for name in case.get("remove", []):
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize("name", CASES)
def test_what_a_person_reads(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = yaml.safe_load((FOLDER / name / "case.yml").read_text(encoding="utf-8"))
    root = tmp_path / "project"
    build(case, root)
    monkeypatch.chdir(root / case.get("cwd", "."))

    code = invoke(shlex.split(case.get("argv", "lint -q")))

    said = capsys.readouterr()
    text = (said.out + said.err).replace(str(root), "<project>").replace(str(Path.cwd()), "<cwd>")
    golden = FOLDER / name / "expected.txt"
    if os.environ.get("UPDATE_GOLDENS"):
        golden.write_text(text, encoding="utf-8")
    assert code == case.get("exit", 2), text
    assert text == golden.read_text(encoding="utf-8")
    if "documented" in case:
        return  # what lines have in common is said once
    assert said.out == ""
    faults = text.count("\n") - text.count("\n  ")
    assert faults == text.count("\n  why: ") == text.count("\n  fix: "), "each fault says what, why and fix"


def test_the_base_is_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build({"documented": True}, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    assert invoke(["lint", "--strict"]) == 0
    assert capsys.readouterr() == ("3 models, no faults\n", "")
    build({}, tmp_path / "project")
    assert invoke(["lint", "-q"]) == 0
    assert capsys.readouterr() == ("", "")


def test_there_are_cases_for_specs_sql_and_command_lines() -> None:
    assert len(CASES) >= 30
