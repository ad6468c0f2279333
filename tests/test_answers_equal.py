"""A kept answer is what a fresh look gives, whatever was edited in between."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.cli import invoke
from tests.kept import GOLD, SILVER, project, settle

#: Places in files where something can be written, and what stands there by turns.
EDITS = {
    SILVER: ("r.customer", ["r.customer", "r.nobody", "upper(r.customer) AS customer"]),
    GOLD: ("count(*)", ["count(*)", "count(*", "count(DISTINCT customer)"]),
    "pipelines/silver.yml": ("large: 100", ["large: 100", "large: [1]", "small: 100", "large: 5"]),
    "pipelines/bronze.yml": (
        "amount: {type",
        ["amount: {type", "amnt: {type", "amount: {description: x, type"],
    ),
    "sql/macros/orders.sql": ("text)", ["text)", "txt)", "text, more='')"]),
    "sql/reference/countries.csv": ("region", ["region", "area", "region,area"]),
}


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.sampled_from([(n, v) for n, (_, vs) in EDITS.items() for v in vs]), min_size=1, max_size=6)
)
def test_an_answer_is_what_a_fresh_look_gives(edits: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        root = project(Path(folder).resolve() / "project")
        os.chdir(root)
        texts = {name: (root / name).read_text() for name in EDITS}
        for name, value in edits:
            (root / name).write_text(texts[name].replace(EDITS[name][0], value, 1))
            settle(root)
            assert told("compile") == told("compile") == told("compile", "--no-cache")
            assert told("compile") == told("compile", "--no-cache")
            assert told("lint") == told("lint") == told("lint", "--no-cache")


def told(*argv: str) -> tuple[int, str, str, dict[str, str]]:
    """The exit code, what is printed, and what is compiled."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = invoke(argv)
    compiled = {path.name: path.read_text() for path in Path("target").rglob("compiled/*/*.sql")}
    manifest = Path("target/manifest.json")
    compiled["manifest"] = (
        manifest.read_text().partition('"generated_at"')[2][30:] if manifest.exists() else ""
    )
    return code, out.getvalue(), err.getvalue(), compiled
