"""Which states `runner diff` compares, what it answers from metadata alone, and how it tells a difference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner import ledger
from runner.cli import invoke
from runner.compare import Change, Difference, Sides
from runner.diff import Asked, Compared, differences, sides
from runner.diff_text import row_values, text
from runner.engine.fake import FakeEngine
from runner.errors import ProjectError
from runner.load import load_project
from runner.pairs import pairs_sql
from runner.refs import TableRef
from runner.spec import Project
from tests.paper import PaperLake

THINGS = TableRef("ext", "things")
R1, R2 = "20261125T120000_aaaaaa", "20261126T120000_bbbbbb"


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Project:
    return load_project(root, lake=tmp_path / "lake")


@pytest.fixture
def lake(tmp_path: Path) -> PaperLake:
    found = PaperLake(tmp_path / "lake")
    found.create(THINGS, {"id": "string", "note": "string"})
    return found


def told(project: Project, lake: PaperLake, **asked: Any) -> tuple[int | None, int | None]:
    """The ids of the states that are compared."""
    given = {"table": "ext.things", "key": ("id",), **asked}
    (found,) = sides(project, lake.catalog, Asked(**given))
    return found.since and found.since.id, found.until and found.until.id


def test_without_words_it_is_the_last_commit(project: Project, lake: PaperLake) -> None:
    assert told(project, lake) == (None, None)
    first = lake.commit(THINGS)
    assert told(project, lake) == (None, first)
    second = lake.commit(THINGS)
    assert told(project, lake) == (first, second)
    assert told(project, lake, until=str(first)) == (None, first)
    assert told(project, lake, since=str(first)) == (first, second)


def test_a_run_is_the_state_that_it_left_against_the_one_that_it_found(
    project: Project, lake: PaperLake
) -> None:
    first = lake.commit(THINGS, {ledger.RUN_ID: R1})
    lake.commit(THINGS, {ledger.RUN_ID: R2})
    last = lake.commit(THINGS, {ledger.RUN_ID: R2})
    lake.commit(THINGS)
    assert told(project, lake, until=R2) == (first, last)
    assert told(project, lake, since=R1, until=R2) == (first, last)
    assert told(project, lake, table=None, until=R2) == (first, last), "a run names its tables"


def test_a_branch_is_compared_with_main(project: Project, lake: PaperLake) -> None:
    lake.commit(THINGS)
    main = lake.commit(THINGS)
    lake.branch(THINGS, "dev", main)
    dev = lake.commit(THINGS, branch="dev")
    later = lake.commit(THINGS)
    assert told(project, lake, branch="dev") == (later, dev)
    assert told(project, lake, table=None, branch="dev") == (later, dev)
    assert told(project, lake, until="dev") == (later, dev)
    assert told(project, lake, since="dev") == (dev, later)


@pytest.mark.parametrize(
    ("asked", "code", "hint"),
    [
        ({"until": "20261125T120000_aaaaab"}, "unknown-state", "did you mean '20261125T120000_aaaaaa'?"),
        ({"since": "7"}, "unknown-state", "--history"),
        ({"branch": "dev", "until": "main"}, "bad-arguments", "keep one of them"),
        ({"table": None}, "missing-argument", "runner diff --branch dev"),
        ({"table": None, "until": "main"}, "missing-argument", "runner diff --branch dev"),
        ({"table": "ext.thing"}, "unknown-table", "did you mean 'ext.things'?"),
        ({"table": "things"}, "unknown-table", "did you mean 'ext.things'?"),
        ({"key": ("ident",)}, "unknown-column", "known here: id, note"),
        ({"ignored": ("nota",)}, "unknown-column", "did you mean 'note'?"),
        ({"key": ()}, "no-key", "--key a,b"),
        ({"table": None, "branch": "deb"}, "unknown-branch", "runner run --branch deb"),
    ],
)
def test_what_cannot_be_compared(
    project: Project, lake: PaperLake, asked: dict[str, Any], code: str, hint: str
) -> None:
    lake.commit(THINGS, {ledger.RUN_ID: R1})
    with pytest.raises(ProjectError) as error:
        told(project, lake, **asked)
    (fault,) = error.value.faults
    assert fault.code == code
    assert hint in fault.fix


def test_the_state_before_is_expired(project: Project, lake: PaperLake) -> None:
    first = lake.commit(THINGS)
    lake.commit(THINGS)
    lake.expire("ext.things", first)
    with pytest.raises(ProjectError, match="is expired"):
        told(project, lake)


def test_what_metadata_tells_needs_no_engine(project: Project, lake: PaperLake) -> None:
    def no_engine() -> FakeEngine:
        raise AssertionError("an engine was started")

    def equal(**asked: Any) -> bool:
        given = Asked("ext.things", key=("id",), **asked)
        (found,) = differences(project, lake.catalog, given, no_engine)
        return not found.difference

    assert equal(), "an empty table"
    empty = lake.commit(THINGS)
    assert equal(), "a commit without rows"
    full = lake.commit(THINGS, rows=5)
    assert equal(since=str(full))
    compacted = lake.commit(THINGS, rows=5, operation="replace")
    assert equal(), "a compaction moves rows"
    assert equal(since=str(compacted), until=str(full))
    with pytest.raises(AssertionError, match="was started"):
        equal(since=str(empty))


# --- SQL and text ----------------------------------------------------------------------------------


def test_row_ids_spare_files_and_without_them_both_states_are_read(project: Project, lake: PaperLake) -> None:
    first = lake.commit(THINGS, rows=5)
    second = lake.commit(THINGS, rows=6)
    counts = {"added": 1, "removed": 0, "changed": 0, "shared": 0, "c1": 0}
    engine = FakeEngine({"schema": {"id": "string", "note": "string"}, "rows": [counts]})
    asked = Asked("ext.things", key=("id",))
    (found,) = differences(project, lake.catalog, asked, lambda: engine)
    assert found.difference == Difference(added=1)
    assert engine.methods == ["bind_diff", "schema", "schema", "define", "rows", "close"]
    assert engine.asked("bind_diff")[0] | {"new": 0, "old": 0} == {
        "new": 0,
        "old": 0,
        "table": THINGS,
        "since": first,
        "until": second,
        "above": None,
    }
    engine.calls.clear()
    lake.metadata[THINGS]["format-version"] = 2
    lake.write(THINGS)
    list(differences(project, lake.catalog, asked, lambda: engine))
    assert [(c["view"], c["snapshot"]) for c in engine.asked("bind_table")] == [
        ("__diff_new", second),
        ("__diff_old", first),
    ]


def test_columns_of_one_side(lake: PaperLake) -> None:
    document = lake.metadata[THINGS]
    fields = document["schemas"][0]["fields"]
    lake.commit(THINGS, rows=1)
    added = {"id": 3, "name": "more", "required": False, "type": "long"}
    document["schemas"].append({"type": "struct", "schema-id": 1, "fields": [fields[0], added]})
    document["current-schema-id"] = 1
    document["snapshots"][0]["schema-id"] = 0
    lake.commit(THINGS, rows=2)
    document["snapshots"][1]["schema-id"] = 1
    lake.write(THINGS)
    state = lake.state("ext.things")
    head = state.head()
    assert head is not None
    found = Sides(state, state.snapshots[head.parent or 0], head, ("id",))
    assert (found.compared, found.columns_added, found.columns_gone) == (("id", "more"), ("more",), ("note",))


def test_maps_are_compared_as_text_and_columns_that_were_not_there_as_null() -> None:
    new = {"id": "bigint", "m": "map<string,int>", "new": "date"}
    sql = pairs_sql(["id"], new, new, {"id": "int", "m": "map<string,int>"})
    assert sql.count("to_json(`m`) AS `m`") == 4, "two sides, each taken from the other"
    assert sql.count("NULL AS `new`") == 2
    assert sql.count("CAST(`id` AS bigint) AS `id`") == 2
    assert "n.`id` <=> o.`id` AND n._nth = o._nth" in sql


def compared(lake: PaperLake, difference: Difference, *changes: Change) -> Compared:
    lake.commit(THINGS, rows=1000)
    state = lake.state("ext.things")
    return Compared(Sides(state, None, state.head(), ("id",)), difference, iter(changes))


def test_a_difference_for_people(lake: PaperLake) -> None:
    found = compared(
        lake,
        Difference(1200, 1, 2, {"note": 2}, shared=3),
        Change({"id": "a"}, None, {"id": "a", "note": "x"}),
        Change({"id": "b"}, {"id": "b", "note": None}, None),
        Change({"id": "\x1b[2Jc"}, {"id": "c", "note": None}, {"id": "c", "note": "\x9b\u202e"}, ("note",)),
    )
    assert list(text(found)) == [
        "ext.things: 0 → 1,000 rows, snapshot none → 1001",
        "    1,200 added, 1 removed, 2 changed",
        "    changed  note 2",
        "    3 share their key with another row, and are paired in order",
        "    + id=a | note=x",
        "    - id=b | note=·",
        "    ~ id=\\x1b[2Jc | note: · → \\x9b\\u202e",
        "    … and 1,200 more: --limit N, or --all",
    ]
    assert list(text(compared(lake, Difference())))[1] == "    no row differs"


def test_a_changed_row_for_programs() -> None:
    change = Change({"id": 1}, {"id": 1, "note": None}, {"id": 1, "note": "x"}, ("note",))
    assert row_values(THINGS, change) == {
        "kind": "row",
        "table": "ext.things",
        "key": {"id": 1},
        "change": "changed",
        "columns": {"note": {"old": None, "new": "x"}},
    }


def test_the_exit_code_tells_only_where_it_is_asked_for(
    project: Project,
    lake: PaperLake,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lake.commit(THINGS, rows=5)
    counts = {"added": 5, "removed": 0, "changed": 0, "shared": 0, "c1": 0}
    engine = FakeEngine({"schema": {"id": "string", "note": "string"}, "rows": [counts]})
    monkeypatch.setattr("runner.sessions.start_spark", lambda *_: engine)
    monkeypatch.chdir(project.root)
    asked = ["diff", "ext.things", "--key", "id", "--lake", str(lake.warehouse)]
    assert invoke(asked) == 0
    assert invoke([*asked, "--exit-code"]) == 1
    assert invoke([*asked, "--exit-code", "--from", "main"]) == 0
    assert "no row differs" in capsys.readouterr().out
