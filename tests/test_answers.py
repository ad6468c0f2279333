"""Answers that are kept: given again while nothing changed, never when something did."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import runner.lineage.project
from runner import answers
from runner.answers import Answers, Inputs
from runner.cli import invoke
from tests.kept import BASE, GOLD, SILVER, edit, project, settle
from tests.projects import write


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sound project, as the current folder, with a query of its own as a check."""
    monkeypatch.chdir(project(tmp_path / "project"))
    return tmp_path / "project"


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of models whose templates were rendered."""
    seen: list[str] = []
    render = runner.lineage.project.render

    def noting(model: Any, *rest: Any) -> Any:
        seen.append(model.id)
        return render(model, *rest)

    monkeypatch.setattr(runner.lineage.project, "render", noting)
    return seen


def again(root: Path, rendered: list[str], *argv: str) -> list[str]:
    """What a command renders now."""
    settle(root)
    rendered.clear()
    assert invoke(argv or ("compile",)) == 0
    return sorted(rendered)


ALL = ["bronze.raw_orders", "gold.daily_sales", "silver.orders"]


def test_what_is_unchanged_is_not_looked_at_again(root: Path, rendered: list[str]) -> None:
    assert again(root, rendered) == ALL
    assert again(root, rendered) == []
    assert again(root, rendered, "compile") == []
    assert again(root, rendered, "compile", "--no-cache") == ALL
    # Another question has no answer yet, but its models have.
    assert again(root, rendered, "compile", "-s", "silver.orders") == []
    # Variables of the command line are those of every pipeline.
    assert again(root, rendered, "compile", "--vars", "large: 7") == ALL


def test_an_edit_reaches_its_model_and_those_who_read_its_declaration(
    root: Path, rendered: list[str]
) -> None:
    again(root, rendered)
    edit(root, SILVER, "r.weight,", "r.weight, -- kilograms")
    assert again(root, rendered) == ["silver.orders"]
    edit(
        root, "pipelines/silver.yml", "is_large: {type: boolean}", "is_large: {type: boolean, description: x}"
    )
    assert again(root, rendered) == ["gold.daily_sales", "silver.orders"]
    edit(root, "expectations/regions.sql", "region IS NULL", "region = ''")
    assert again(root, rendered) == ["gold.daily_sales"]
    edit(root, "sql/macros/orders.sql", "kind STRING", "kind  STRING")
    assert again(root, rendered) == ALL
    edit(root, "sql/reference/countries.csv", "region", "region,continent")
    assert again(root, rendered) == ["silver.orders"]


def test_what_lint_found_out_compile_need_not(root: Path, rendered: list[str]) -> None:
    assert again(root, rendered, "lint") == ALL
    assert again(root, rendered, "lint") == []
    assert again(root, rendered, "compile") == []
    edit(root, SILVER, "r.weight,", "r.weight, -- kilograms")
    assert again(root, rendered, "lint") == ["silver.orders"]
    assert again(root, rendered, "compile") == []


@pytest.mark.parametrize("verb", ["compile", "lint"])
def test_the_unchanged_path_imports_nothing_heavy(root: Path, verb: str) -> None:
    script = (
        "import sys\n"
        "from runner.cli import invoke\n"
        f"assert [invoke(['{verb}']) for _ in range(2)] == [0, 0]\n"
        "heavy = {'pyspark', 'jinja2', 'sqlglot', 'yaml', 'multiprocessing', 'runner.load', 'runner.spec'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(BASE.parents[2]), "JAVA_HOME": "/nonexistent"}

    def run() -> str:
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()[-1]

    assert "sqlglot" in run()
    assert run() == "[]"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (SILVER, "r.customer", "r.custmer"),
        ("pipelines/gold.yml", "read: affected", "raed: affected"),
        ("sql/macros/orders.sql", "endmacro", "endmacr"),
    ],
)
@pytest.mark.parametrize("verb", ["compile", "lint"])
def test_faults_are_given_again_as_they_were(
    root: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    old: str,
    new: str,
    verb: str,
) -> None:
    edit(root, name, old, new)
    settle(root)
    assert invoke([verb, "--no-cache"]) == 2
    told = capsys.readouterr()
    assert name in told.err
    assert invoke([verb]) == 2
    assert capsys.readouterr() == told
    monkeypatch.setattr(answers.Answers, "begin", lambda _: pytest.fail("the answer was not kept"))
    assert invoke([verb]) == 2
    assert capsys.readouterr() == told
    # Places are those of the folder in which one stands.
    monkeypatch.chdir(root / "sql")
    assert invoke([verb]) == 2
    assert f"{os.path.relpath(root / name)}:" in capsys.readouterr().err


def test_a_file_that_is_missing_is_looked_for_each_time(root: Path) -> None:
    (root / GOLD).rename(root / "elsewhere.sql")
    settle(root)
    assert invoke(["compile"]) == invoke(["compile"]) == 2
    (root / "elsewhere.sql").rename(root / GOLD)
    assert invoke(["compile"]) == 0


def _new_pipeline(root: Path) -> None:
    write(root, {"pipelines/more.yaml": "pipeline: more\nmodels: []\n"})


def _same_size_and_time(root: Path) -> None:
    before = (root / SILVER).stat()
    edit(root, SILVER, "r.customer", "r.custumer"[:10])
    os.utime(root / SILVER, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replaced(root: Path) -> None:
    """Another file under the same name, with the old one's times."""
    edit_of = root / "other.sql"
    shutil.copy2(root / SILVER, edit_of)
    edit(root, "other.sql", "r.customer", "r.nobody")
    edit_of.replace(root / SILVER)


def _linked_away(root: Path) -> None:
    shutil.move(root / "sql/gold", root.parent / "gold")
    (root / "sql/gold").symlink_to(root.parent / "gold")


def _profile(root: Path) -> None:
    edit(root, "profiles.yml", "default: ", "default: no")


@pytest.mark.parametrize(
    "change",
    [_new_pipeline, _same_size_and_time, _replaced, _linked_away, _profile],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("verb", ["compile", "lint"])
def test_no_change_goes_unseen(
    root: Path, change: Callable[[Path], None], verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke([verb]) == 0
    capsys.readouterr()
    change(root)
    told = []
    for argv in ([verb], [verb, "--no-cache"]):
        assert invoke(argv) == 2
        told.append(capsys.readouterr())
    assert told[0] == told[1]


def test_an_edit_while_a_command_reads_is_not_taken_for_what_it_read(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    render = runner.lineage.project.render

    def late(model: Any, *rest: Any) -> Any:
        found = render(model, *rest)
        if model.id == "silver.orders":
            edit(root, SILVER, "r.customer", "r.nobody")
        return found

    monkeypatch.setattr(runner.lineage.project, "render", late)
    assert invoke(["compile"]) == 0
    monkeypatch.undo()
    monkeypatch.chdir(root)
    assert invoke(["compile"]) == 2


def test_an_edit_in_the_same_tick_of_the_clock_is_not_trusted(tmp_path: Path) -> None:
    write(tmp_path, {"a.sql": "1"})
    found = Answers(tmp_path)
    found.begin()
    found._tick = os.stat(tmp_path / "a.sql").st_ctime_ns
    found.keep("?", 1, Inputs(["a.sql"]))
    assert found.find("?") is None
    found._tick += 1
    found.keep("?", 1, Inputs(["a.sql"]))
    assert found.find("?") == 1


@pytest.mark.parametrize(
    "harm", [lambda b: b"", lambda b: b[:99], lambda b: b"\xff" + b, lambda b: b.replace(b"gold", b"bold")]
)
def test_a_broken_answer_is_none(root: Path, rendered: list[str], harm: Callable[[bytes], bytes]) -> None:
    again(root, rendered)
    (kept,) = (root / "target/cache").glob("*.json")
    kept.write_bytes(harm(kept.read_bytes()))
    assert again(root, rendered) == ALL
    assert again(root, rendered) == []


def test_a_broken_description_is_made_again(root: Path, rendered: list[str]) -> None:
    again(root, rendered)
    (kept,) = (root / "target/cache").glob("*.json")
    kept.write_bytes(kept.read_bytes()[:-9])
    assert again(root, rendered) == []
    assert again(root, rendered, "compile") == []
    assert json.loads((root / "target/manifest.json").read_text())["nodes"].keys() == {
        f"model.{id}" for id in ALL
    }


def test_other_code_has_no_answers_here(
    root: Path, rendered: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    again(root, rendered)
    monkeypatch.setattr(answers, "code", lambda: "another version")
    assert again(root, rendered) == ALL


def test_a_project_that_cannot_be_written_to_is_looked_at_each_time(root: Path, rendered: list[str]) -> None:
    write(root, {"target/cache": "a file"})
    assert again(root, rendered) == ALL
    assert again(root, rendered) == ALL


def test_answers_are_few_and_leave_nothing_behind(root: Path) -> None:
    for number in range(answers.KEPT + 3):
        assert invoke(["compile", "-q", "--vars", f"large: {number}"]) == 0
    assert len(list((root / "target/cache").iterdir())) == answers.KEPT


def test_commands_at_the_same_time_do_not_disturb_one_another(root: Path) -> None:
    command = [sys.executable, "-m", "runner", "compile", "-q"]
    environment = {**os.environ, "PYTHONPATH": str(BASE.parents[2])}
    started = [subprocess.Popen(command, cwd=root, env=environment) for _ in range(3)]
    assert [process.wait() for process in started] == [0, 0, 0]
    assert [path.suffix for path in (root / "target/cache").iterdir()] == [".json"]


def test_compile_writes_only_what_differs(root: Path) -> None:
    assert invoke(["compile", "-q"]) == 0
    files = sorted((root / "target/compiled").rglob("*.sql"))
    manifest = root / "target/manifest.json"
    described, written = json.loads(manifest.read_text()), manifest.stat()
    assert invoke(["compile", "-q"]) == 0
    assert manifest.stat() == written
    for harm in ("{}", manifest.read_text().replace("sum(amount)", "max(amount)")):
        manifest.write_text(harm)
        assert invoke(["compile", "-q", "-s", "silver.orders"]) == 0
        again = json.loads(manifest.read_text())
        assert again.pop("metadata").keys() == described["metadata"].keys()
        assert again == {key: value for key, value in described.items() if key != "metadata"}
    before = [path.stat() for path in files]
    text = files[1].read_text()
    files[1].write_text("by hand")
    files[2].unlink()
    assert invoke(["compile", "-q"]) == 0
    assert files[0].stat() == before[0]
    assert files[1].read_text() == text
    assert files[2].is_file()


@pytest.mark.parametrize("file", ["sql/new.sql", "sql/some/where/new.sql", "expectations/new.sql"])
def test_a_file_that_nothing_uses_is_seen_when_it_comes(
    root: Path, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["lint"]) == 0
    assert invoke(["lint"]) == 0
    assert "unused-file" not in capsys.readouterr().err
    write(root, {file: "SELECT 1\n"})
    assert invoke(["lint"]) == 0
    assert f"{file}:" in capsys.readouterr().err


def test_doubts_are_kept_with_their_levels(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert invoke(["lint", "--no-cache"]) == 0
    told = capsys.readouterr()
    assert "warning" in told.out
    assert invoke(["lint"]) == 0
    monkeypatch.setattr(answers.Answers, "begin", lambda _: pytest.fail("the answer was not kept"))
    assert invoke(["lint"]) == 0
    assert capsys.readouterr() == (told.out * 2, told.err * 2)
    assert invoke(["lint", "--strict"]) == 2


def test_faults_of_the_selection_are_kept_too(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["compile", "-s", "nobody"]) == 2
    first = capsys.readouterr()
    assert invoke(["compile", "-s", "nobody"]) == 2
    assert capsys.readouterr() == first
    assert "unknown-model" in first.err
