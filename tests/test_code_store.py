"""What built a table is kept by its fingerprint, once, and comes back as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.code_store import CodeStore, code_of
from runner.spec import CheckKind, Read
from tests.nouns import check, files, model, reads, rendered, target

BY = ({"day": "date_add(at, 1)"},)
MODEL = model(
    reads("bronze.raw", Read.AFFECTED, by=BY),
    files("rates.csv", Read.ALL, name="rates", format="csv"),
    target=target(partitions=("day",)),
    checks=(check(CheckKind.RANGE, "positive", of="amount", min=0),),
)


def test_what_is_kept_comes_back_by_its_fingerprint(tmp_path: Path) -> None:
    store = CodeStore(tmp_path / "_code")
    store.write(MODEL, rendered("f1"))
    found = store.read("f1")
    assert found == code_of(MODEL, rendered("f1"))
    assert found["columns"] == {"id": "string", "day": "date", "amount": "bigint"}
    assert found["sources"]["raw"] == {"origin": "bronze.raw", "read": "affected", "by": [dict(BY[0])]}
    assert found["checks"]["positive"]["args"] == {"min": 0}
    assert [path.name for path in store.folder.iterdir()] == ["f1.json"]


def test_what_is_kept_never_changes(tmp_path: Path) -> None:
    store = CodeStore(tmp_path)
    store.write(MODEL, rendered("f1"))
    store.write(model(target=target("gold.other")), rendered("f1"))
    assert store.read("f1") == code_of(MODEL, rendered("f1"))


@pytest.mark.parametrize("text", [None, "", "[]", "{torn"])
def test_what_is_gone_or_torn_is_not_known(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "f1.json").write_text(text)
    assert CodeStore(tmp_path).read("f1") is None
