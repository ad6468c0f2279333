"""Shell completion, asked as a shell asks: words in variables of the environment, answers on stdout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner import selectors
from runner.cli import cli, invoke, words
from runner.cli.completion import SHELLS, answer

BASE = Path(__file__).parent / "errors" / "base"
NAMES = ["raw_orders", "daily_sales", "orders"]
FULL = ["bronze.raw_orders", "gold.daily_sales", "silver.orders"]


@pytest.fixture
def root(sound_project: Path) -> Path:
    return sound_project


def asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, shell: str = "bash"
) -> list[str]:
    """The words for the end of ``line``."""
    cut = line.split(" ")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", cut[-1] if shell == "fish" else str(len(cut) - 1))
    answer(cli, f"{shell}_complete")
    said = capsys.readouterr()
    assert said.err == ""
    if shell != "bash":
        return said.out.splitlines()
    return [text.split(",", 1)[1] for text in said.out.splitlines() if text]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("runner l", ["lint", "ls"]),
        ("runner --fu", ["--full-refresh"]),
        ("runner lint --ou", ["--output"]),
        ("runner lint --output ", ["text", "json", "github"]),
        ("runner run -p ", ["bronze", "gold", "silver"]),
        ("runner -p s", ["silver"]),
        ("runner run -s ", NAMES),
        ("runner run -s raw", ["raw_orders"]),
        ("runner run -s +raw", ["+raw_orders"]),
        ("runner run -s gold.", ["gold.daily_sales"]),
        ("runner run -s orders daily", ["daily_sales"]),
        ("runner -s orders ", NAMES),
        ("runner run -p gold -s ", ["daily_sales"]),
        ("runner show ", FULL),
        ("runner rollback sil", ["silver.orders"]),
        ("runner ls --target ", ["local"]),
        ("runner completion ", list(SHELLS)),
        ("runner branch p", ["publish"]),
        ("runner diff gold", ["gold.daily_sales"]),
        ("runner lint --explain unused-c", ["unused-cte"]),
        ("runner run -s orders --fail-fast ", []),
        ("runner run --bogus ", []),
        ("runner run 'unfinished ", []),
        ("runner run --exclude ord", ["orders"]),
        ("runner run --exclude orders daily", ["daily_sales"]),
        ("runner run -p gold silver b", ["bronze"]),
        ("runner run -s 2+ord", ["2+orders"]),
        ("runner run -s @ord", ["@orders"]),
        ("runner run -s orders,dai", ["orders,daily_sales"]),
        ("runner run -s ta", ["tag:"]),
        # bash splits at colons, and puts the answer behind the last one.
        ("runner run -s tag : d", ["dashboard"]),
        ("runner run -s tag :", ["dashboard"]),
        ("runner run -s orders,+tag : d", ["dashboard"]),
        ("runner run -s tag : dashboard ord", ["orders"]),
        ("runner run -s owner : ", ["sales"]),
        ("runner run -s state : m", ["modified"]),
        ("runner run -s layer : ", ["bronze", "gold", "silver"]),
        ("runner run -s bogus : x", []),
    ],
)
def test_words(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: str,
    found: list[str],
) -> None:
    assert asked(monkeypatch, capsys, line) == found


def test_selectors_are_those_of_the_command_line() -> None:
    assert set(words.METHODS) == set(selectors._METHODS)
    assert (words.STATES, words.RESULTS) == (selectors.STATES, selectors.RESULTS)


def test_zsh_takes_a_selector_whole(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(monkeypatch, capsys, "runner run -s tag:d", "zsh") == ["plain", "tag:dashboard", "_"]


def test_verbs_come_first(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(monkeypatch, capsys, "runner ") == sorted(cli.commands)


def test_descriptions_are_one_line(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = root / "pipelines/gold.yml"
    text = spec.read_text().replace(
        "Sales of a day and region.", ">-\n      Sales of a day\n\n      and region."
    )
    spec.write_text(text)
    assert asked(monkeypatch, capsys, "runner run -s daily", "zsh") == [
        "plain",
        "daily_sales",
        "Sales of a day and region.",
    ]
    fish = asked(monkeypatch, capsys, "runner run -s daily", "fish")
    assert fish == ["plain,daily_sales\tSales of a day and region."]


@pytest.mark.parametrize(
    "text",
    [
        "models: [",
        "- a\n",
        "models: {a: b}\n",
        "models: [{name: [x]}, 5, {}]\n",
        "\x00",
        "!!python/name:os.system x",
    ],
)
def test_a_broken_project_has_no_words_and_no_message(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (root / "pipelines/gold.yml").write_text(text)
    (root / "profiles.yml").write_text(text)
    assert asked(monkeypatch, capsys, "runner run -s ") == ["raw_orders", "orders"]
    assert asked(monkeypatch, capsys, "runner show ") == ["bronze.raw_orders", "silver.orders"]
    assert asked(monkeypatch, capsys, "runner run --target ") == []


def test_without_a_project_there_are_no_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for line in ("runner run -s ", "runner -p ", "runner show ", "runner --target "):
        assert asked(monkeypatch, capsys, line) == []


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_asks_for_words(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["completion", shell]) == 0
    printed = capsys.readouterr().out
    assert f"_RUNNER_COMPLETE={shell}_complete" in printed
    answer(cli, f"{shell}_source")
    assert capsys.readouterr().out == printed


def test_an_unknown_shell_is_told_in_the_usual_way(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["completion", "tcsh"]) == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in capsys.readouterr().err
    answer(cli, "tcsh_complete")
    assert capsys.readouterr() == ("", "")


def test_bash_completes(root: Path, tmp_path: Path) -> None:
    """The script as bash evaluates it, and the process that it starts."""
    program = tmp_path / "runner"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m runner "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(runner completion bash)"; COMP_WORDS=(runner run -s ord); COMP_CWORD=3\n'
        '_runner_completion runner; echo "${COMPREPLY[@]}"'
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(BASE.parents[2]),
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "JAVA_HOME": "/nonexistent",
    }
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("orders\n", "")


def test_what_completion_imports_stays_small(root: Path) -> None:
    script = (
        "import os, sys\n"
        "os.environ |= {'COMP_WORDS': 'runner run -s ', 'COMP_CWORD': '3'}\n"
        "from runner.cli import cli\n"
        "from runner.cli.completion import answer\n"
        "answer(cli, 'bash_complete')\n"
        "heavy = {'jinja2', 'sqlglot', 'pyspark', 'rich', 'runner.load', 'runner.spec'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(BASE.parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.split()) == len(NAMES)
