"""The rules of ``runner lint``: told where they are made, explained, and documented as they are."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from runner.cli import invoke
from runner.lint.document import FILE, in_document
from runner.lint.rules import WARNING, rules
from tests.documents import rewritten, run, same, steps

ROOT = Path(__file__).resolve().parent.parent
#: Faults of a command line: no project has them.
_OF_ARGV = {"unknown-model", "unknown-pipeline", "not-in-pipeline"}


def test_rules_are_listed_and_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # no project is needed
    assert invoke(["lint", "--rules"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(rules())
    assert invoke(["lint", "--rules", "--output", "json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(rule["rule"], rule["level"]) for rule in told] == [(r.id, r.level) for r in rules().values()]
    assert invoke(["lint", "--explain", "unused-cte"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "unused-cte: nothing reads a CTE of the query",
        "  why: Spark leaves it out; people read it and look for its use",
        "  fix: remove it, or read it",
        "  level: warning, found by lint alone",
        "  can be silenced: -- lint: allow unused-cte: reason",
    ]


def test_the_tables_of_the_docs_are_those_of_the_rules() -> None:
    """``python -m runner.lint.document`` writes them."""
    text = (ROOT / FILE).read_text(encoding="utf-8")
    assert in_document(text) == text


def test_errors_cannot_be_silenced() -> None:
    assert [r.id for r in rules().values() if r.silenced != (r.level == WARNING)] == ["useless-silence"]


def test_every_fault_of_a_project_is_a_rule() -> None:
    found = {code for path in _sources() for code in _codes(path)} - _OF_ARGV
    assert found - set(rules()) == set(), "declare them in runner/lint/rules.toml"
    assert set(rules()) - found == set(), "rules that nothing gives"


def _sources() -> list[Path]:
    runner = ROOT / "runner"
    modules = ("render", "macros", "template", "cut", "accept", "graph")
    found = [runner / f"{name}.py" for name in modules]
    return found + [path for name in ("load", "lineage", "lint") for path in (runner / name).rglob("*.py")]


def _codes(path: Path) -> set[str]:
    """The codes of the faults that a module makes: a maker's first text, or a rule looked up by name."""
    makers = {"Fault", "fail", "Refused", "WrongTemplate", "fault", "_fault", "_refuse", "said"}
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in makers:
                texts = [
                    a.value for a in node.args[:2] if isinstance(a, ast.Constant) and type(a.value) is str
                ]
                found |= {text for text in texts[:1] if re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", text)}
            case ast.Subscript(value=made, slice=ast.Constant(value=str(code))):
                found |= {code} if ast.unparse(made) in ("rules()", "known") else set()
    return found


def test_the_commands_of_the_document_print_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``UPDATE_DOCS=1`` writes what is printed into it."""
    for name in ("pipelines", "sql", "expectations"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "profiles.yml", tmp_path)
    monkeypatch.chdir(tmp_path)
    text = (ROOT / FILE).read_text(encoding="utf-8")
    told = list(steps(text))
    printed = [run(step.command, tmp_path, {"runner": invoke}) for step in told]
    if os.environ.get("UPDATE_DOCS"):
        (ROOT / FILE).write_text(rewritten(text, printed), encoding="utf-8")
        return
    pairs = zip(told, printed, strict=True)
    wrong = [f"{FILE}:{s.line}: $ {s.command}\n{out}" for s, out in pairs if not same(s.shown, out)]
    assert not wrong, "\n".join(wrong)
