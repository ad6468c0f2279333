"""What `runner clean` takes away, and what it leaves because somebody may need it."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest

from runner import ledger
from runner.clean import Broom, Leaving
from runner.cli import invoke
from runner.engine.fake import FakeEngine
from runner.lake import Lake
from runner.ledger import InputPosition, Position
from runner.lock import target_lock
from runner.ops import TABLES
from runner.refs import TableRef
from tests.paper import PaperLake
from tests.projects import write

ORDERS = TableRef("silver", "orders")
NOW = dt.datetime(2026, 10, 8, tzinfo=dt.UTC)


class Yard:
    """A lake on paper with a folder of artifacts, and a broom for it."""

    def __init__(self, folder: Path) -> None:
        self.paper = PaperLake(folder / "lake")
        self.lake = Lake(self.paper.warehouse, self.paper.catalog)
        self.artifacts = folder / "target"
        self.started = 0
        self.engine = FakeEngine({"drop_branch": self.paper.drop_branch})
        self.paper.create(ORDERS, {"id": "string"})
        position = Position("r1", "silver.orders", "used", "0.1.0", {"raw": InputPosition(snapshot=1)})
        self.head = self.paper.commit(ORDERS, position.properties())

    def file(self, path: Path, *, days: float, text: str = "x" * 100) -> Path:
        """A file that was last written so many days ago."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        at = (NOW - dt.timedelta(days=days)).timestamp()
        os.utime(path, (at, at))
        return path

    def start(self) -> FakeEngine:
        self.started += 1
        return self.engine

    def sweep(self, *, dry: bool = False) -> list[Leaving]:
        broom = Broom(self.lake, self.artifacts, NOW - dt.timedelta(days=7), "r9", dry)
        return list(broom.sweep(self.start))


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def test_there_is_nothing_to_remove(yard: Yard) -> None:
    assert (yard.sweep(), yard.started) == ([], 0)


def test_branches_of_dead_runs_go_and_development_branches_stay(yard: Yard) -> None:
    for name in ("audit_r1", "audit_r2", "dev"):
        yard.paper.branch(ORDERS, name, yard.head)
    assert [f.name for f in yard.sweep(dry=True)] == [
        "audit_r1 of silver.orders",
        "audit_r2 of silver.orders",
    ]
    assert yard.started == 0
    assert [f.kind for f in yard.sweep()] == ["branch", "branch"]
    assert sorted(yard.paper.state("silver.orders").branches) == ["dev", "main"]


def test_what_a_living_run_holds_is_left_alone(yard: Yard) -> None:
    yard.paper.branch(ORDERS, "audit_r2", yard.head)
    staged = yard.file(yard.lake.scratch(ORDERS) / "r2" / "rows" / "part-0.parquet", days=30)
    with target_lock(yard.lake.locks, ORDERS, timeout=0, run_id="r2"):
        (found,) = yard.sweep()
    assert "run r2" in found.busy
    assert staged.exists()
    assert yard.started == 0
    assert [(f.kind, f.bytes) for f in yard.sweep()] == [("branch", 0), ("scratch", 100)]
    assert not staged.exists()


def test_staged_rows_alone_need_no_engine(yard: Yard) -> None:
    staged = yard.file(yard.lake.scratch(ORDERS) / "r2" / "part-0.parquet", days=0)
    assert [f.name for f in yard.sweep(dry=True)] == ["staged rows of silver.orders"]
    assert staged.exists()
    assert [f.bytes for f in yard.sweep()] == [100]
    assert (staged.exists(), yard.started) == (False, 0)


def test_code_that_no_snapshot_names_goes_when_it_is_old(yard: Yard) -> None:
    folder = yard.lake.code.folder
    kept = [yard.file(folder / "used.json", days=30), yard.file(folder / "young.json", days=6)]
    gone = yard.file(folder / "unused.json", days=8)
    assert [(f.kind, f.name) for f in yard.sweep()] == [("code", "unused.json")]
    assert (gone.exists(), [path.exists() for path in kept]) == (False, [True, True])


def test_code_that_a_branch_alone_names_stays(yard: Yard) -> None:
    position = Position("r2", "silver.orders", "branch", "0.1.0", {"raw": InputPosition(snapshot=1)})
    yard.paper.branch(ORDERS, "dev", yard.head)
    yard.paper.commit(ORDERS, position.properties(), branch="dev")
    kept = yard.file(yard.lake.code.folder / "branch.json", days=30)
    assert yard.sweep() == []
    assert kept.exists()


def test_old_logs_and_compiled_files_go_and_results_stay(yard: Yard) -> None:
    kept = [
        yard.file(yard.artifacts / "run_results.json", days=30),
        yard.file(yard.artifacts / "logs" / "spark.log", days=1),
    ]
    gone = [
        yard.file(yard.artifacts / "logs" / "runner.log", days=8),
        yard.file(yard.artifacts / "compiled" / "gold" / "old.sql", days=8),
    ]
    assert [f.name for f in yard.sweep()] == ["logs/runner.log", "compiled/gold/old.sql"]
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in kept)


JOURNAL = """{"metadata": {"run_id": "%s", "started_at": "2026-10-01T00:00:00Z", "complete": true,
 "target": "local", "runner_version": "0.1.0"}, "results": [{"unique_id": "model.a.b", "relation_name": "a.b",
 "status": "success", "mode": "", "reason": "", "execution_time": 1, "adapter_response": {}, "snapshot_id": 1,
 "message": null, "checks": []}]}"""


def test_journals_that_the_tables_hold_go(yard: Yard) -> None:
    for run in ("held", "waiting"):
        yard.file(yard.lake.journals / f"{run}.json", days=0, text=JOURNAL % run)
    yard.file(yard.lake.journals / "strange.json", days=0, text="[]")
    assert yard.sweep() == [], "no table of history yet"
    runs, _ = TABLES
    yard.paper.create(runs.ref, {"run_id": "string"})
    yard.paper.commit(runs.ref, {ledger.RUNS: "held"})
    assert [(f.kind, f.name) for f in yard.sweep()] == [("journal", "held")]
    assert sorted(path.name for path in yard.lake.journals.iterdir()) == ["strange.json", "waiting.json"]


@pytest.mark.parametrize("age", ["soon", "7", "99999999999d", "-1d"])
def test_an_age_that_is_none(
    age: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, {"profiles.yml": "default: local\ntargets: {local: {type: local}}\n"})
    monkeypatch.chdir(tmp_path)
    assert invoke(["clean", f"--older-than={age}"]) == 2
    assert f"--older-than: '{age}' is not an age" in capsys.readouterr().err


def test_the_command_says_what_went_and_how_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, {"profiles.yml": "default: local\ntargets: {local: {type: local}}\n"})
    monkeypatch.chdir(tmp_path)
    log = tmp_path / "target" / "logs" / "spark.log"
    log.parent.mkdir(parents=True)
    log.write_text("x" * 2_000_000)
    os.utime(log, (1, 1))
    assert invoke(["clean", "--dry-run"]) == 0
    assert capsys.readouterr().out == "would remove artifact logs/spark.log\n1 old artifact: 2.0 MB\n"
    assert invoke(["clean"]) == 0
    assert invoke(["clean"]) == 0
    assert (
        capsys.readouterr().out
        == "removed artifact logs/spark.log\n1 old artifact: 2.0 MB\nnothing to remove\n"
    )
