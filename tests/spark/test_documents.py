"""Every command of the documents prints what they say."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

import producer.cli
import runner.cli
from tests.documents import paired, renamed, rewritten, run, same, steps

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("docs/cli.md", "docs/branches.md")
PROJECT = ("pipelines", "sql", "expectations", "tests/models", "profiles.yml")


@pytest.fixture
def project(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped project as the current folder, whose runs share this test's Spark."""
    root = tmp_path / "project"
    root.mkdir()
    for name in PROJECT:
        source = ROOT / name
        shutil.copytree(source, root / name) if source.is_dir() else shutil.copy(source, root)

    # Whoever starts Spark comes by here; a second JVM would end the one of all tests.
    monkeypatch.setattr("runner.engine.spark.launch.launch", lambda **_: spark)
    monkeypatch.setattr("runner.testing.session.starter", lambda *args, **options: lambda: spark)
    monkeypatch.chdir(root)
    return root


def produce(argv: Sequence[str]) -> int:
    try:
        return int(producer.cli.main(list(argv)) or 0)
    except SystemExit as end:
        return int(end.code or 0)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_print_what_the_document_says(name: str, project: Path) -> None:
    document = ROOT / name
    text = document.read_text(encoding="utf-8")
    told = list(steps(text))
    printed: list[str] = []
    ids: dict[str, str] = {}
    for step in told:
        command = renamed(step.command, ids)
        printed.append(run(command, project, {"runner": runner.cli.invoke, "producer": produce}))
        ids |= paired(step.shown, printed[-1])
    if os.environ.get("UPDATE_DOCS"):
        document.write_text(rewritten(text, printed), encoding="utf-8")
        return
    wrong = [
        f"{name}:{step.line}: $ {step.command}\n{output}"
        for step, output in zip(told, printed, strict=True)
        if not same(step.shown, output)
    ]
    assert not wrong, "UPDATE_DOCS=1 writes what is printed into the document:\n" + "\n".join(wrong)
