"""Models are compared with a saved state, a commit and the last run; what is left undone is run again."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runner.cli import invoke

BASE = Path(__file__).parent / "errors" / "base"
ALL = ["bronze.raw_orders", "silver.orders", "gold.daily_sales"]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sound project in a folder of a repository, committed, as the current folder."""
    project = tmp_path / "repository" / "project"
    shutil.copytree(BASE, project)
    monkeypatch.chdir(project)
    for name, value in {"NAME": "A", "EMAIL": "a@example.org"}.items():
        for role in ("AUTHOR", "COMMITTER"):
            monkeypatch.setenv(f"GIT_{role}_{name}", value)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    git(project.parent, "init", "-q", "-b", "main")
    git(project.parent, "add", ".")
    git(project.parent, "commit", "-q", "-m", "The project")
    return project


def git(folder: Path, *command: str) -> None:
    subprocess.run(["git", "-C", str(folder), *command], check=True)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, (old, text.count(old))
    path.write_text(text.replace(old, new), encoding="utf-8")


def listed(capsys: pytest.CaptureFixture[str], *argv: str) -> list[str]:
    code = invoke(["ls", *argv])
    said = capsys.readouterr()
    assert code == 0, said.err
    return said.out.split()


@pytest.mark.parametrize("state", ["git:main", "saved"])
def test_what_changed_is_modified_and_its_readers_follow(
    root: Path, capsys: pytest.CaptureFixture[str], state: str
) -> None:
    assert invoke(["compile", "-q"]) == 0
    shutil.copytree(root / "target", root / "saved")
    assert listed(capsys, "-s", "state:modified", "--state", state) == []
    assert listed(capsys, "-s", "state:unmodified", "--state", state) == ALL
    edit(root / "sql/silver/orders.sql", "'other'", "'elsewhere'")
    assert listed(capsys, "-s", "state:modified", "--state", state) == ["silver.orders"]
    assert listed(capsys, "-s", "state:modified+", "--state", state) == ["silver.orders", "gold.daily_sales"]


def test_words_for_people_modify_nothing_and_checks_do(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = root / "pipelines/silver.yml"
    edit(spec, "tags: [dashboard]\n    owner: sales", "tags: [dashboard, nightly]\n    owner: somebody")
    assert listed(capsys, "-s", "state:modified", "--state", "git:main") == []
    edit(spec, "{row_count: {min: 1}}", "{row_count: {min: 2}}")
    assert listed(capsys, "-s", "state:modified", "--state", "git:main") == ["silver.orders"]


def test_lines_that_move_modify_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = root / "pipelines/silver.yml"
    spec.write_text("# A comment.\n\n" + spec.read_text())
    assert listed(capsys, "-s", "state:modified", "--state", "git:main") == []


def test_a_model_that_the_commit_lacks_is_new(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (root / "pipelines/gold.yml").read_text()
    (root / "pipelines/gold.yml").unlink()
    git(root, "commit", "-q", "-a", "-m", "Without gold")
    (root / "pipelines/gold.yml").write_text(text)
    assert listed(capsys, "-s", "state:new", "--state", "git:main") == ["gold.daily_sales"]
    assert listed(capsys, "-s", "state:modified", "--state", "git:HEAD~1") == []


def test_a_model_that_was_broken_is_modified(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound = (root / "sql/silver/orders.sql").read_text()
    (root / "sql/silver/orders.sql").write_text("SELECT 1\n")
    git(root, "commit", "-q", "-a", "-m", "Broken")
    (root / "sql/silver/orders.sql").write_text(sound)
    assert listed(capsys, "-s", "state:modified", "--state", "git:main") == ["silver.orders"]


def test_a_reference_is_never_an_option_of_git(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = root / "written"
    assert invoke(["ls", "-s", "state:new", "--state", f"git:--output={target}"]) == 2
    assert "no-commit" in capsys.readouterr().err
    assert not target.exists()


def test_the_manifest_has_the_shape_of_dbts(root: Path) -> None:
    assert invoke(["compile", "-q"]) == 0
    found: dict[str, Any] = json.loads((root / "target/manifest.json").read_text())
    assert list(found["nodes"]) == [f"model.{id}" for id in ALL]
    orders = found["nodes"]["model.silver.orders"]
    assert orders["relation_name"] == "silver.orders"
    assert orders["depends_on"]["nodes"] == ["model.bronze.raw_orders"]
    assert orders["original_file_path"] == "sql/silver/orders.sql"
    assert orders["compiled_code"].startswith("MERGE INTO silver.orders")
    assert found["child_map"]["model.bronze.raw_orders"] == ["model.silver.orders"]
    assert found["parent_map"]["model.gold.daily_sales"] == ["model.silver.orders"]


def journal(root: Path, *, ends: dict[str, str], **args: Any) -> None:
    """The journal of a run that was asked for all models; ``ends``: model → status."""
    assert invoke(["compile", "-q"]) == 0
    nodes = json.loads((root / "target/manifest.json").read_text())["nodes"]
    checksums = {id.removeprefix("model."): node["checksum"]["checksum"] for id, node in nodes.items()}
    results = [
        {"unique_id": f"model.{id}", "status": status, "checks": [], "message": None}
        for id, status in ends.items()
    ]
    document = {"metadata": {"run_id": "r1", "args": args, "selected": checksums}, "results": results}
    (root / "target/run_results.json").write_text(json.dumps(document))


def test_the_last_run_is_selected_by(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal(root, ends={"bronze.raw_orders": "success", "silver.orders": "error"})
    assert listed(capsys, "-s", "result:error") == ["silver.orders"]
    assert listed(capsys, "-s", "result:error+") == ["silver.orders", "gold.daily_sales"]
    assert listed(capsys, "-s", "result:unfinished") == ["gold.daily_sales"]
    shutil.copytree(root / "target", root / "saved")
    (root / "target/run_results.json").unlink()
    assert listed(capsys, "-s", "result:success", "--state", "saved") == ["bronze.raw_orders"]


def test_results_that_cannot_be_read(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "target").mkdir()
    (root / "target/run_results.json").write_text('{"metadata": {}}')
    assert invoke(["retry"]) == 2
    assert capsys.readouterr().err == (
        "target/run_results.json cannot be read as the results of a run [unreadable-last-run]\n"
        "  why: KeyError: 'results'\n  fix: run again: `runner run` writes it anew\n"
    )


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], Any]]:
    seen: list[tuple[list[str], Any]] = []

    def run(project: Any, models: Any, options: Any, on_event: Any, **_: Any) -> int:
        seen.append(([m.id for m in models], (project, options)))
        return 0

    monkeypatch.setattr("runner.run.run", run)
    return seen


def test_retry_runs_what_was_left_as_it_was_asked_for(
    root: Path, runs: list[tuple[list[str], Any]], tmp_path: Path
) -> None:
    lake = str(tmp_path / "lake")
    journal(
        root, ends={"bronze.raw_orders": "nothing", "silver.orders": "gated"}, allow_deletes=True, lake=lake
    )
    assert invoke(["retry", "--threads", "2"]) == 0
    ((models, (project, options)),) = runs
    assert models == ["silver.orders", "gold.daily_sales"]
    assert (options.allow_deletes, options.full_refresh, options.threads) == (True, False, 2)
    assert project.profile.warehouse == lake


def test_retry_refuses_code_that_is_not_that_runs(
    root: Path, runs: list[tuple[list[str], Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    journal(root, ends={"bronze.raw_orders": "success", "silver.orders": "error"})
    edit(root / "sql/silver/orders.sql", "'other'", "'elsewhere'")
    assert invoke(["retry"]) == 2
    assert capsys.readouterr().err.startswith("pipelines/silver.yml:"), "the model's place leads"
    assert not runs
    assert invoke(["retry", "--allow-new-code"]) == 0
    assert runs[0][0] == ["silver.orders", "gold.daily_sales"]


def test_retry_after_a_run_that_left_nothing(
    root: Path, runs: list[tuple[list[str], Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    journal(root, ends=dict.fromkeys(ALL, "success"))
    assert invoke(["retry"]) == 0
    assert capsys.readouterr().out.endswith("run r1 left nothing to do\n")
    assert not runs


def test_a_model_that_is_gone_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal(root, ends={"bronze.raw_orders": "success"})
    edit(root / "pipelines/gold.yml", "name: daily_sales", "name: day_sales")
    assert invoke(["retry"]) == 2
    said = capsys.readouterr().err
    assert "run r1 left 'gold.daily_sales' undone, and the project has no such model" in said
    assert "did you mean 'gold.day_sales'?" in said
