"""What goes to which stream: JSON and nothing else, silence where all is well, colours on terminals."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from runner.cli import cli, invoke
from runner.console import Console
from runner.run import Event


@pytest.fixture
def root(sound_project: Path) -> Path:
    return sound_project


#: Of each verb a command line that goes well without a lake (None: there is none), and one that is wrong.
LINES = {
    "run": (["-s", "nope"], ["--bogus"]),
    "retry": ([], ["--bogus"]),
    "stream": ([], ["-p", "gold"]),
    "plan": (["-p", "silver"], ["-s", "nope"]),
    "check": (["-s", "orders"], ["--vars", "x"]),
    "branch": (["ls"], ["nope"]),
    "clean": (["--dry-run"], ["--bogus"]),
    "diff": (["gold.daily_sales"], ["--bogus"]),
    "test": (["-s", "nope"], ["--bogus"]),
    "compile": (["-p", "gold"], ["-p", "nope"]),
    "lint": (["-p", "gold"], ["--explain", "nope"]),
    "ls": ([], ["--target", "nope"]),
    "show": (["gold.daily_sales"], []),
    "maintain": (["--dry-run"], ["--target", "nope"]),
    "rollback": (["--run", "x"], ["--to", "x"]),
}


def test_there_are_lines_of_every_verb() -> None:
    assert set(LINES) | {"completion"} == set(cli.commands)


@pytest.mark.parametrize("form", [["--log-format", "json"], ["--log-format=json"]])
@pytest.mark.parametrize("verb", LINES)
def test_in_json_nothing_else_goes_out(
    root: Path, capsys: pytest.CaptureFixture[str], verb: str, form: list[str]
) -> None:
    for words in LINES[verb]:
        code = invoke([verb, *words, *form])
        said = capsys.readouterr()
        told = [json.loads(line) for line in (said.out + said.err).splitlines()]
        assert all(isinstance(one, dict) for one in told), words
        faults = [json.loads(line) for line in said.err.splitlines()]
        assert {fault["kind"] for fault in faults} <= {"fault"}
        assert bool(faults) == (code != 0) or verb == "lint"


@pytest.mark.parametrize("words", [["plan"], ["check"], ["ls"], ["lint"]])
def test_faults_are_objects_where_output_is_json(
    root: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    for argv in ([*words, "--output", "json", "--bogus"], [*words, "--output=json", "-s", "nope"]):
        assert invoke(argv) == 2
        said = capsys.readouterr()
        assert [json.loads(line)["kind"] for line in (said.out + said.err).splitlines()] == ["fault"]


def test_quiet_leaves_out_what_is_as_it_should_be(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit = root / "pipelines/bronze.yml"
    edit.write_text(edit.read_text().replace("data/orders", "sql/reference"))
    for argv in (["plan"], ["compile"], ["lint"], ["maintain", "--dry-run"]):
        assert invoke([*argv, "-q"]) == 0
        assert capsys.readouterr() == ("", ""), argv
    edit.write_text(edit.read_text().replace("sql/reference", "data/orders"))
    assert invoke(["plan", "-q"]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("[input-not-found]")) == ("", 1)


def test_events_of_a_quiet_command(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(quiet=True)
    kinds = (
        "start",
        "ok",
        "nothing",
        "info",
        "pass",
        "warn",
        "fail",
        "failed",
        "gated",
        "stale",
        "busy",
        "skipped",
    )
    for kind in kinds:
        console.event(Event(kind, 1, 1, kind))
    console.note("done")
    console.note("busy with another", wrong=True)
    printed = [line.split()[-1] for line in capsys.readouterr().out.splitlines()]
    assert printed == ["warn", "fail", "failed", "gated", "stale", "busy", "skipped", "another"]


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    for known in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(known, raising=False)
    assert Console().coloured
    monkeypatch.setenv(name, value)
    assert not Console().coloured
