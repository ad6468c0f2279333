"""The command line: argv → one call → text and exit code, without a JVM where none is needed."""

# ruff: noqa: E501 – a case is one line, so that cases can be compared

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import runner.run
import runner.show
from runner.cli import invoke
from runner.console import Console, progress_line, summary_line
from runner.errors import Busy, Fault, GateClosed, Interrupted, Place, ProjectError, RunFailed, RunnerError
from runner.run import Event
from runner.spec import Model, Project

BASE = Path(__file__).parent / "errors" / "base"
FAULT = Fault("some-code", Place("pipelines/silver.yml", 3, 7), "what", "why", "fix")
ORDER = ["bronze.raw_orders", "silver.orders", "gold.daily_sales"]


@pytest.fixture
def root(sound_project: Path) -> Path:
    return sound_project


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Instead of running, keep what was asked for."""
    seen: list[dict[str, Any]] = []

    def run(
        project: Project,
        models: Sequence[Model],
        options: object,
        on_event: Callable[[Event], None],
        **_: object,
    ) -> int:
        seen.append({"project": project, "models": [m.id for m in models], "options": options})
        for index, model in enumerate(models, 1):
            on_event(Event("start", index, len(models), model.id, "changes 6,948 rows"))
            on_event(Event("ok", index, len(models), model.id, "+1 ~0 -0", 4.06))
        return 0

    monkeypatch.setattr(runner.run, "run", run)
    return seen


def fails(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def run(*_: object, **__: object) -> int:
        raise error

    monkeypatch.setattr(runner.run, "run", run)


@pytest.mark.parametrize(
    ("argv", "models"),
    [
        ([], ORDER),
        (["run"], ORDER),
        (["--pipeline", "silver"], ["silver.orders"]),
        (["run", "-p", "gold"], ["gold.daily_sales"]),
        (["-s", "orders", "raw_orders"], ["bronze.raw_orders", "silver.orders"]),
        (["-s", "orders raw_orders", "-x"], ["bronze.raw_orders", "silver.orders"]),
        (["--select", "gold.daily_sales", "--select", "+silver.orders"], ORDER),
    ],
)
def test_run_is_the_default_verb(
    root: Path, runs: list[dict[str, Any]], argv: list[str], models: list[str]
) -> None:
    assert invoke(argv) == 0
    assert [run["models"] for run in runs] == [models]


def test_options_arrive(root: Path, runs: list[dict[str, Any]]) -> None:
    argv = [
        "-x",
        "--lock-timeout",
        "2.5",
        "--full-refresh",
        "--allow-deletes",
        "--lake",
        "elsewhere",
        "--vars",
        "large: 5",
        "--vars",
        "orders: x",
    ]
    assert invoke(argv) == 0
    (run,) = runs
    options = run["options"]
    assert (options.fail_fast, options.lock_timeout, options.full_refresh, options.allow_deletes) == (
        True,
        2.5,
        True,
        True,
    )
    assert run["project"].profile.warehouse == str(root / "elsewhere")
    assert run["project"].models[-1].vars["large"] == 5
    assert invoke([]) == 0
    options = runs[-1]["options"]
    assert (options.fail_fast, options.lock_timeout, options.full_refresh, options.allow_deletes) == (
        False,
        0.0,
        False,
        False,
    )


def test_what_a_run_says(root: Path, runs: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["-p", "silver"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "1 of 1 START   silver.orders .................................................. [changes 6,948 rows]",
        "1 of 1 OK      silver.orders ..................................................... [+1 ~0 -0 | 4.1s]",
    ]
    assert lines[2].startswith("1 published in ")
    assert invoke(["--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_json_is_one_object_a_line(
    root: Path, runs: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["-p", "silver", "--log-format", "json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [entry["kind"] for entry in found] == ["start", "ok", "note"]
    assert (found[1]["name"], found[1]["elapsed"]) == ("silver.orders", 4.06)
    assert invoke(["lint", "--target", "x", "--log-format", "json"]) == 2
    (fault,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (fault["code"], fault["file"], fault["line"]) == ("unknown-target", "profiles.yml", 3)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ProjectError((FAULT,)), 2),
        (RunFailed(FAULT), 1),
        (GateClosed((FAULT,)), 3),
        (Busy(FAULT), 75),
    ],
)
def test_an_error_is_its_message_and_its_exit_code(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: RunnerError,
    code: int,
) -> None:
    fails(monkeypatch, error)
    assert invoke([]) == code
    assert capsys.readouterr().err == "pipelines/silver.yml:3:7: what [some-code]\n  why: why\n  fix: fix\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Interrupted()])
def test_an_interrupt_ends_with_130(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    fails(monkeypatch, error)
    assert invoke([]) == 130
    assert capsys.readouterr().err == "interrupted: what was unfinished is not published\n"


def test_a_bug_is_called_one_and_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fails(monkeypatch, LookupError("oops"))
    assert invoke([]) == 1
    said = capsys.readouterr().err
    assert "this is a bug" in said
    assert "target/logs/runner.log" in said
    assert "Traceback" not in said
    assert "LookupError: oops" in (root / "target/logs/runner.log").read_text()


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [(LookupError("oops"), "bug", 1), (KeyboardInterrupt(), "interrupted", 130)],
)
def test_a_bug_and_an_interrupt_are_objects_too(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: str,
    exit_code: int,
) -> None:
    fails(monkeypatch, error)
    assert invoke(["run", "--log-format", "json"]) == exit_code
    assert json.loads(capsys.readouterr().err)["code"] == code


def test_places_are_those_of_the_current_folder(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "sql/silver/orders.sql").write_text("SELECT 1\n")
    monkeypatch.chdir(root / "sql")
    assert invoke(["lint", "-q"]) == 2
    assert capsys.readouterr().err.startswith("silver/orders.sql:1:1: ")


def test_ls(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["ls"]) == 0
    assert capsys.readouterr().out.split() == ORDER
    assert invoke(["ls", "-p", "silver", "--output", "json"]) == 0
    (model,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (model["name"], model["table"], model["tags"]) == ("silver.orders", "silver.orders", ["dashboard"])
    assert model["reads"] == {"raw": "changes", "countries": "all"}


def test_compile_writes_what_will_run(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["compile", "-s", "daily_sales", "orders"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "silver.orders → target/compiled/silver/orders.sql",
        "gold.daily_sales → target/compiled/gold/daily_sales.sql",
        "the project → target/manifest.json",
    ]
    text = (root / "target/compiled/silver/orders.sql").read_text(encoding="utf-8")
    assert text.startswith("MERGE INTO silver.orders AS t\n")
    assert "FROM __raw AS r" in text
    assert "r.amount >= 100" in text


def test_a_manifest_is_of_the_whole_project_or_not_written(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "sql/silver/orders.sql").write_text("SELECT 1\n")
    assert invoke(["compile", "-p", "gold"]) == 0
    assert "stays as it was: other models have faults" in capsys.readouterr().out
    assert not (root / "target/manifest.json").exists()


def test_lint_of_one_model_is_not_stopped_by_the_sql_of_another(root: Path) -> None:
    (root / "sql/silver/orders.sql").write_text("SELECT 1\n")
    assert invoke(["lint", "-p", "gold"]) == 0
    assert invoke(["lint"]) == 2


def test_show_passes_on_what_is_asked(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = []

    def show(project: Project, table: str, *, write: Callable[[str], object], **options: object) -> None:
        seen.append((table, options))
        write("row\n")

    monkeypatch.setattr(runner.show, "show", show)
    # Rows can be looked at while a pipeline is being written.
    (root / "pipelines/gold.yml").write_text("pipeline: [\n")
    assert invoke(["show", "silver.orders"]) == 0
    assert invoke(["show", "silver.orders", "--all", "--format", "ndjson", "--at", "12"]) == 0
    assert invoke(["show", "silver.orders", "--limit", "3"]) == 0
    assert seen == [
        ("silver.orders", {"limit": 20, "format": "table", "at": None, "branch": "main"}),
        ("silver.orders", {"limit": None, "format": "ndjson", "at": "12", "branch": "main"}),
        ("silver.orders", {"limit": 3, "format": "table", "at": None, "branch": "main"}),
    ]
    assert capsys.readouterr().out == "row\n" * 3
    assert invoke(["show", "silver.orders", "--target", "x"]) == 2


@pytest.mark.parametrize("argv", [["--help"], ["-h"], ["run", "--help"], ["show", "-h"], ["--version"]])
def test_help(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(argv) == 0
    assert capsys.readouterr().out


def test_commands_without_spark_start_no_jvm(root: Path) -> None:
    script = (
        "import sys\n"
        "from runner.cli import invoke\n"
        "codes = [invoke(argv) for argv in (['--help'], ['ls'], ['compile'], ['lint'], ['lint', '-s', 'x'], ['show', 'a.b'])]\n"
        "heavy = {'pyspark', 'py4j', 'boto3', 'rich', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert codes == [0, 0, 0, 0, 2, 2], codes\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(BASE.parents[2]), "JAVA_HOME": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_output_is_utf8_whatever_the_locale_says(root: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(BASE.parents[2]), "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "runner", "compile", "-s", "orders"]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, check=False)
    assert done.stdout.decode("utf-8").startswith("silver.orders → target/compiled/silver/orders.sql\n")


def test_a_reader_that_has_seen_enough_is_no_error(root: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(BASE.parents[2])}
    command = f"{sys.executable} -m runner ls | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize(
    "event",
    [
        Event("start", 2, 6, "silver.cleaned_events", "changes 6,948 rows, 3 of 412 files"),
        Event("ok", 10, 16, "a.b", "+1 ~0 -0 | 17 quarantined | 9 checks", 4.06),
        Event("failed", 1, 1, "silver.cleaned_events", "", 0.3),
    ],
)
def test_lines_are_as_wide_as_the_terminal(event: Event, width: int) -> None:
    line = progress_line(event, width=width)
    assert len(line) == width
    assert line.endswith("]")
    colours = progress_line(event, width=width, colour=True)
    assert colours.replace("\x1b[0m", "").replace("\x1b[32m", "").replace("\x1b[31m", "") == line


def test_a_long_line_keeps_its_words() -> None:
    event = Event("ok", 1, 1, "n" * 60, "d" * 60, 1.0)
    assert progress_line(event, width=80) == f"1 of 1 OK      {'n' * 60} ... [{'d' * 60} | 1.0s]"


def test_the_summary_counts_ends() -> None:
    counts = {"start": 5, "ok": 3, "nothing": 1, "failed": 1}
    assert summary_line(counts, 12.34) == "3 published, 1 with nothing new, 1 failed in 12.3s"
    assert summary_line({}, 0.0) == "nothing to run in 0.0s"


def test_the_cause_of_a_failure_comes_right_after_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where both streams lead to one file, as with `2>&1`: each has a buffer of its own."""
    said = tmp_path / "said"
    with said.open("a") as out, said.open("a") as err:
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        console, fault = Console(), Fault("query-failed", None, "the query fails")
        console.event(Event("failed", 1, 2, "a.b", "query-failed", 0.1, (fault,)))
        console.event(Event("start", 2, 2, "a.c"))
        console.event(Event("warn", 2, 2, "ops", "run history is not written"))
        console.complain("the lake is gone", code="gone")
        console.line("done")
    assert [line.split(" ...")[0] for line in said.read_text().splitlines()] == [
        "1 of 2 FAILED  a.b",
        "the query fails [query-failed]",
        "2 of 2 START   a.c",
        "2 of 2 WARN    ops",
        "the lake is gone",
        "done",
    ]
