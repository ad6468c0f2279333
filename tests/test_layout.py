"""What is shipped is what is there, and modules stay small."""

from __future__ import annotations

import statistics
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]


def sources() -> list[Path]:
    return [path for top in ("runner", "producer") for path in (ROOT / top).rglob("*.py")]


def test_every_package_is_shipped() -> None:
    there = {".".join(path.parent.relative_to(ROOT).parts) for path in sources()}
    assert set(SETUPTOOLS["packages"]) == there


def test_every_file_that_is_no_module_is_shipped() -> None:
    there = {
        path.relative_to(ROOT).as_posix()
        for top in ("runner", "producer")
        for path in (ROOT / top).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    shipped = {
        path.relative_to(ROOT).as_posix()
        for package, patterns in SETUPTOOLS["package-data"].items()
        for pattern in patterns
        for path in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    assert shipped == there


def test_modules_stay_small() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    assert statistics.median(lines.values()) <= 150
    assert {str(path.relative_to(ROOT)): n for path, n in lines.items() if n > 400} == {}
