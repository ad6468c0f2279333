"""``runner lint``: levels, silences, outputs, and that its rules are told where they are made."""

# ruff: noqa: E501 – a case is one line, so that cases can be compared

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli import invoke
from runner.errors import Fault, Place
from runner.findings import Finding
from runner.lint.report import github

ROOT = Path(__file__).resolve().parent.parent
ERRORS = Path(__file__).parent / "errors"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without a fault, as the current folder."""
    shutil.copytree(ERRORS / "base", tmp_path / "project")
    shutil.copytree(ERRORS / "documented", tmp_path / "project", dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def doubtful(root: Path) -> None:
    edit(root / "pipelines/gold.yml", ", description: How many.", "")


def wrong(root: Path) -> None:
    edit(root / "sql/silver/orders.sql", "r.weight,", "r.wieght AS weight,")


# --- levels ---------------------------------------------------------------------------------------


def test_a_warning_ends_with_0_and_with_2_under_strict(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    doubtful(root)
    assert invoke(["lint"]) == 0
    said = capsys.readouterr()
    assert said.out == "3 models: 1 warning\n"
    assert said.err.startswith("pipelines/gold.yml:18:9: warning: the column 'orders' of gold.daily_sales")
    assert invoke(["lint", "--strict"]) == 2
    assert capsys.readouterr() == said


def test_quiet_says_what_went_wrong_alone(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    doubtful(root)
    assert invoke(["lint", "-q"]) == 0
    assert capsys.readouterr() == ("", "")
    assert invoke(["lint", "-q", "--strict"]) == 2
    assert "[undocumented-column]" in capsys.readouterr().err
    wrong(root)
    assert invoke(["lint", "-q"]) == 2
    said = capsys.readouterr()
    assert (said.out, re.findall(r"\[(.*)\]", said.err)) == ("", ["unknown-column"])


@pytest.mark.parametrize("verb", [["compile"], ["ls"], ["run"], ["plan"]])
def test_other_verbs_do_not_look_for_warnings(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, verb: list[str]
) -> None:
    doubtful(root)
    monkeypatch.setattr("runner.run.run", lambda *_, **__: 0)
    monkeypatch.setitem(sys.modules, "runner.lint", None)
    edit(root / "pipelines/bronze.yml", "data/orders", "sql/reference")
    assert invoke(verb) == 0
    assert capsys.readouterr().err == ""


def test_what_is_selected_is_looked_at(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    doubtful(root)
    (root / "sql/draft.sql").write_text("SELECT 1\n")
    assert invoke(["lint", "-p", "silver", "--strict"]) == 0
    assert invoke(["lint", "-s", "daily_sales", "--strict"]) == 2
    assert capsys.readouterr().out == "1 model, no faults\n1 model: 1 warning\n"
    assert invoke(["lint"]) == 0
    assert "[unused-file]" in capsys.readouterr().err


def test_a_sound_model_is_looked_at_beside_a_broken_one(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(root / "pipelines/gold.yml", "orders: {type: bigint", "orders: {type: int")
    edit(root / "pipelines/silver.yml", "key: [order_id]", "key: [order]")
    assert invoke(["lint"]) == 2
    assert set(re.findall(r"\[(.*)\]", capsys.readouterr().err)) == {"unknown-column", "type-clash"}


def test_the_shipped_project_has_no_faults(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert invoke(["lint", "--strict"]) == 0, capsys.readouterr().err


# --- what is claimed, and what is not -------------------------------------------------------------

ALL = "order_id, customer, amount, weight, order_date, country AS region, amount > 1 AS is_large"
MERGE = """MERGE INTO {{ target }} AS t
USING (
%s
) AS s
ON t.order_id = s.order_id
WHEN MATCHED AND {{ changed('t', 's') }} THEN UPDATE SET *
WHEN NOT MATCHED THEN INSERT *
"""


def codes(capsys: pytest.CaptureFixture[str]) -> list[str]:
    invoke(["lint"])
    return re.findall(r"\[([a-z-]+)\]$", capsys.readouterr().err, re.MULTILINE)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("SELECT {all} FROM {raw}", []),
        ("WITH a AS (SELECT {all} FROM {raw}) SELECT * FROM a", []),
        ("SELECT * FROM (SELECT {all} FROM {raw})", []),
        ("SELECT r.*, 'x' AS region, true AS is_large FROM {raw} AS r", ["select-star"]),
        ("SELECT *, 'x' AS region, true AS is_large FROM {raw}", ["select-star"]),
        ("SELECT {all}, count(*) FROM {raw} GROUP BY ALL", ["not-row-wise"]),
        ("SELECT {all}, upper(customer) FROM {raw}", ["unnamed-column"]),
        ("SELECT {all}, CAST(customer AS STRING) FROM {raw}", []),
        ("SELECT {all}, customer AS who FROM {raw}", ["undeclared-column"]),
        ("SELECT {all} FROM {raw} AS r WHERE EXISTS (SELECT 1 FROM {countries} AS c WHERE c.country = r.country)", []),
        ("WITH a AS (SELECT 1 AS x), b AS (SELECT x FROM a) SELECT {all} FROM {raw}", ["unused-cte"]),
        ("WITH a AS (SELECT country AS x FROM {countries}) SELECT {all} FROM {raw} LEFT SEMI JOIN a ON x = country", []),
        ("SELECT {all} FROM (SELECT * EXCEPT (amount), CAST(amount AS STRING) AS amount FROM {raw})", ["type-clash"]),
        ("SELECT {all} FROM (SELECT * EXCEPT (weight), CAST(weight AS FLOAT) AS weight FROM {raw})", []),
        ("SELECT {all} FROM (SELECT * EXCEPT (amount), amount * 2 AS amount FROM {raw})", []),
        ("SELECT {all} FROM (SELECT * EXCEPT (order_date), NULL AS order_date FROM {raw})", []),
        ("SELECT {all} FROM (SELECT * EXCEPT (order_date), received_at AS order_date FROM {raw})", ["type-clash"]),
        ("SELECT {all} FROM (SELECT * EXCEPT (country), 1 AS country FROM {raw})", ["type-clash"]),
        ("SELECT {all} FROM (SELECT *, length(customer) AS n FROM {raw}) LATERAL VIEW explode(array(n)) AS e", []),
    ],
)  # fmt: skip
def test_queries(root: Path, capsys: pytest.CaptureFixture[str], query: str, found: list[str]) -> None:
    given = query.replace("{all}", ALL)
    for source in ("raw", "countries"):
        given = given.replace(f"{{{source}}}", f"{{{{ source('{source}') }}}}")
    if "countries" not in query:
        edit(
            root / "pipelines/silver.yml",
            "      countries: {files: {path: sql/reference/countries.csv, format: csv}, read: all}\n",
            "",
        )
    edit(root / "pipelines/silver.yml", "vars:\n  large: 100\n", "")
    (root / "sql/silver/orders.sql").write_text(MERGE % given)
    assert codes(capsys) == found


@pytest.mark.parametrize(
    ("by", "partitions", "found"),
    [
        ("{sale_date: order_date, region: region}", "[sale_date]", []),
        ('{sale_date: "date_add(order_date, 1)", region: region}', "[sale_date]", []),
        ("{sale_date: order_date, region: region}", "[region, sale_date]", []),
        ("{sale_date: order_date, region: region}", "[region]", ["unpruned-groups"]),
        ("{sale_date: order_date, region: region}", "[]", ["unpruned-groups"]),
        ("{region: region}", "[sale_date]", ["unpruned-groups"]),
        ('{sale_date: "if(is_large, order_date, NULL)", region: region}', "[sale_date]", ["unpruned-groups"]),
    ],
)
def test_groups_that_tell_their_partitions(
    root: Path, capsys: pytest.CaptureFixture[str], by: str, partitions: str, found: list[str]
) -> None:
    edit(root / "pipelines/gold.yml", "{sale_date: order_date, region: region}", by)
    edit(root / "pipelines/gold.yml", "partitions: [sale_date]", f"partitions: {partitions}")
    assert codes(capsys) == found


@pytest.mark.parametrize(
    ("join", "found"),
    [
        (
            "LEFT JOIN (SELECT DISTINCT order_id AS id FROM {raw}) AS r ON r.id = o.order_id",
            ["whole-table-read"],
        ),
        ("LEFT JOIN (SELECT DISTINCT order_date FROM {raw}) AS r USING (order_date)", []),
        ("LEFT JOIN (SELECT DISTINCT order_date AS day FROM {raw}) AS r ON r.day = o.order_date", []),
        ("LEFT SEMI JOIN {raw} AS r ON r.order_id = o.order_id AND r.order_date = o.order_date", []),
        ("WHERE o.order_id IN (SELECT order_id FROM {raw} WHERE order_date > DATE'2026-01-01')", []),
    ],
)
def test_tables_that_are_read_whole(
    root: Path, capsys: pytest.CaptureFixture[str], join: str, found: list[str]
) -> None:
    more = "region: region}\n      raw: {table: bronze.raw_orders, read: all}"
    edit(root / "pipelines/gold.yml", "region: region}", more)
    given = join.replace("{raw}", "{{ source('raw') }}")
    edit(
        root / "sql/gold/daily_sales.sql",
        "FROM {{ source('orders') }}",
        "FROM {{ source('orders') }} AS o " + given,
    )
    edit(root / "sql/gold/daily_sales.sql", "order_date AS sale_date", "o.order_date AS sale_date")
    edit(root / "sql/gold/daily_sales.sql", "GROUP BY order_date", "GROUP BY o.order_date")
    assert codes(capsys) == found


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (("      partitions_fixed: true\n", ""), ["unpruned-merge"]),
        (("      partitions: [order_date]\n      partitions_fixed: true\n", ""), []),
    ],
)
def test_targets_whose_old_rows_may_lie_anywhere(
    root: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], found: list[str]
) -> None:
    edit(root / "pipelines/bronze.yml", *change)
    assert codes(capsys) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{{ var('large') }}", []),
        ('{{ var("large") }}', []),
        ("{{ var('la' ~ 'rge') }}", []),
        ("{# {{ var('large') }} #} 5", ["unused-var"]),
        ("5 -- large", ["unused-var"]),
    ],
)
def test_variables_that_nothing_uses(
    root: Path, capsys: pytest.CaptureFixture[str], text: str, found: list[str]
) -> None:
    edit(root / "sql/silver/orders.sql", "{{ var('large') }}, false)", f"{text}\n, false)")
    assert codes(capsys) == found


def test_files_that_lead_elsewhere_are_not_read(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret.sql").write_text("-- lint: allow the secret\n")
    (root / "sql/silver/link.sql").symlink_to(tmp_path / "secret.sql")
    (root / "sql/silver/gone.sql").symlink_to(tmp_path / "nothing.sql")
    (root / "sql/silver/folder.sql").mkdir()
    assert invoke(["lint", "--strict"]) == 0
    (root / "sql/silver/orders.sql").unlink()
    (root / "sql/silver/orders.sql").symlink_to(tmp_path / "secret.sql")
    assert invoke(["lint"]) == 2
    assert "the secret" not in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\x00", b"", b"-- lint: allow\n"])
def test_sql_that_cannot_be_read_is_a_fault_and_no_bug(
    root: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (root / "sql/silver/orders.sql").write_bytes(content)
    (root / "sql/macros/orders.sql").write_bytes(content)
    assert invoke(["lint"]) == 2
    assert "bug" not in capsys.readouterr().err


# --- outputs --------------------------------------------------------------------------------------


def test_json_is_one_object_a_finding_and_the_summary(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    doubtful(root)
    wrong(root)
    assert invoke(["lint", "--output", "json"]) == 2
    said = capsys.readouterr()
    found = [json.loads(line) for line in said.out.splitlines()]
    assert said.err == ""
    assert [(f["kind"], f.get("level"), f.get("code")) for f in found] == [
        ("fault", "warning", "undocumented-column"),
        ("fault", "error", "unknown-column"),
        ("note", None, None),
    ]
    assert (found[0]["file"], found[0]["line"], found[0]["col"]) == ("pipelines/gold.yml", 18, 9)
    assert (found[2]["models"], found[2]["exit_code"]) == (3, 2)


def test_log_format_json_is_the_text_as_objects(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    doubtful(root)
    wrong(root)
    assert invoke(["lint", "--log-format", "json"]) == 2
    said = capsys.readouterr()
    assert [json.loads(line)["level"] for line in said.err.splitlines()] == ["warning", "error"]
    assert [json.loads(line)["text"] for line in said.out.splitlines()] == ["3 models: 1 error, 1 warning"]


def test_github_names_files_from_the_root_of_the_repository(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    doubtful(root)
    wrong(root)
    (root.parent / ".git").mkdir()
    monkeypatch.chdir(root / "sql")
    assert invoke(["lint", "--output", "github"]) == 2
    warning, error, summary = capsys.readouterr().out.splitlines()
    assert warning.startswith(
        "::warning file=project/pipelines/gold.yml,line=18,col=9,title=undocumented-column::the column "
    )
    assert "%0Awhy: " in warning
    assert error.startswith("::error file=project/sql/silver/orders.sql,line=8,col=9,title=unknown-column::")
    assert summary == "3 models: 1 error, 1 warning"


def test_github_escapes_what_would_end_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fault = Fault("a-rule", Place("a,b:c%.yml", 1, 2), "50% of\r\n::error::x, y")
    assert github(Finding(fault, "error"), tmp_path) == (
        "::error file=a%2Cb%3Ac%25.yml,line=1,col=2,title=a-rule::50%25 of%0D%0A::error::x, y"
    )
    assert github(Finding(Fault("a-rule", Place("a.yml"), "x"), "warning"), tmp_path) == (
        "::warning file=a.yml,title=a-rule::x"
    )
    assert github(Finding(Fault("a-rule", None, "x"), "error"), tmp_path) == "::error title=a-rule::x"


def test_a_silence_changes_no_fingerprint(root: Path) -> None:
    def fingerprint() -> str:
        from runner.lineage import compile_project
        from runner.load import load_project

        return compile_project(load_project(root))["silver.orders"].fingerprint

    before = fingerprint()
    edit(root / "sql/silver/orders.sql", "r.weight,", "r.weight, -- lint: allow select-star: r")
    edit(root / "pipelines/silver.yml", "key: [order_id]", "key: [order_id] # lint: allow unpruned-merge: r")
    assert fingerprint() == before


def test_a_query_is_parsed_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from runner.lineage import query
    from runner.load import load_project

    seen: list[str] = []
    parse = query.parsed
    monkeypatch.setattr(query, "parsed", lambda text: (seen.append(text), parse(text))[1])
    assert invoke(["lint", "-q"]) == 0
    queries = [text for text in seen if " FROM " in " ".join(text.split())]
    assert len(queries) == len(set(queries)) == len(load_project(root).models)


def test_lint_starts_no_jvm_and_imports_nothing_heavy(root: Path) -> None:
    script = (
        "import sys\nfrom runner.cli import invoke\nassert invoke(['lint']) == 0\n"
        "assert not {'pyspark', 'py4j', 'rich', 'runner.execute'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{script}"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
