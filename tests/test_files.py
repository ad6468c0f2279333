"""Input files: which are there, which are new, and the manifests of those consumed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.errors import ProjectError
from runner.files import (
    InputFile,
    Listing,
    ManifestStore,
    consume,
    content_digest,
    digest,
    list_files,
    unconsumed,
    write_atomically,
)
from tests.nouns import HERE, consumed


def put(path: Path, text: str = "x\n", *, at: int = 1000) -> Path:
    """A file with a modification time in seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    os.utime(path, (at, at))
    return path


def listed(root: Path, path: str) -> list[str]:
    """The files that a path names, relative to the root."""
    return [os.path.relpath(f.path, root) for f in list_files(path, root=root, place=HERE).files]


def fault(error: pytest.ExceptionInfo[ProjectError]) -> str:
    return error.value.faults[0].code


# --- listing -------------------------------------------------------------------------------------


def test_a_file_is_listed_with_size_and_modification_time_in_milliseconds(tmp_path: Path) -> None:
    path = put(tmp_path / "a.json", "12345")
    os.utime(path, ns=(0, 1_700_000_000_123_999_999))
    assert list_files("a.json", root=tmp_path, place=HERE).files == (
        InputFile(1_700_000_000_123, str(path), 5),
    )


def test_a_file_that_is_named_outright_is_read_whatever_its_name(tmp_path: Path) -> None:
    for name in (".hidden", "_private", "a[1].json", "a*b", "{x}"):
        put(tmp_path / name)
        assert listed(tmp_path, name) == [name]
        assert list_files(name, root=tmp_path, place=HERE).hidden == ()


def test_an_absolute_path_and_the_home_folder_are_taken_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "home" / "a.json")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    elsewhere = tmp_path / "elsewhere"
    for path in (str(tmp_path / "home" / "a.json"), "~/a.json"):
        found = list_files(path, root=elsewhere, place=HERE).files
        assert [f.path for f in found] == [str(tmp_path / "home" / "a.json")]


def test_a_folder_is_read_with_its_subfolders(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a.json")
    put(tmp_path / "in" / "2026" / "01" / "b.json")
    put(tmp_path / "out" / "c.json")
    assert sorted(listed(tmp_path, "in")) == ["in/2026/01/b.json", "in/a.json"]


def test_hidden_names_of_a_folder_are_passed_over_and_reported(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a.json")
    put(tmp_path / "in" / ".a.json.tmp")
    put(tmp_path / "in" / "sub" / "_SUCCESS")
    put(tmp_path / "in" / "_temporary" / "0" / "b.json")
    listing = list_files("in", root=tmp_path, place=HERE)
    assert [Path(f.path).name for f in listing.files] == ["a.json"]
    assert [os.path.relpath(name, tmp_path / "in") for name in listing.hidden] == [
        ".a.json.tmp",
        "_temporary",
        "sub/_SUCCESS",
    ]


def test_a_link_to_a_folder_is_passed_over_and_reported(tmp_path: Path) -> None:
    put(tmp_path / "archive" / "a.json")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "archive").symlink_to(tmp_path / "archive")
    listing = list_files("in", root=tmp_path, place=HERE)
    assert listing == Listing((), (str(tmp_path / "in" / "archive"),))


def test_a_glob_names_the_files_that_match(tmp_path: Path) -> None:
    for name in ("a.json", "b.json", "c.csv", "sub/d.json"):
        put(tmp_path / name)
    assert listed(tmp_path, "*.json") == ["a.json", "b.json"]
    assert sorted(listed(tmp_path, "**/*.json")) == ["a.json", "b.json", "sub/d.json"]
    assert listed(tmp_path, "*.parquet") == []


def test_a_file_that_a_glob_finds_twice_is_read_once(tmp_path: Path) -> None:
    put(tmp_path / "a" / "b" / "c.json")
    assert listed(tmp_path, "a/**/**") == ["a/b/c.json"]


def test_files_are_in_order_of_modification_time_then_of_their_path(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a", at=3000)
    put(tmp_path / "in" / "c", at=1000)
    put(tmp_path / "in" / "b", at=1000)
    assert listed(tmp_path, "in") == ["in/b", "in/c", "in/a"]


def test_a_path_that_leads_nowhere_is_a_fault_that_says_where_it_leads(tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as error:
        list_files("data/evnets", root=tmp_path, place=HERE)
    assert fault(error) == "input-not-found"
    assert str(tmp_path / "data" / "evnets") in str(error.value)
    assert error.value.faults[0].place == HERE


def test_a_link_that_leads_nowhere_is_a_fault_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.json").symlink_to(tmp_path / "gone")
    with pytest.raises(ProjectError) as error:
        list_files("in", root=tmp_path, place=HERE)
    assert fault(error) == "input-unreadable"
    assert "a.json" in str(error.value)


def test_a_folder_that_may_not_be_read_is_a_fault_and_not_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "in" / "locked" / "a.json")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ProjectError) as error:
        list_files("in", root=tmp_path, place=HERE)
    assert fault(error) == "input-unreadable"
    assert "Permission denied" in str(error.value)


# --- what is new ---------------------------------------------------------------------------------


def test_files_that_are_not_consumed_yet_are_new_in_order_of_arrival(tmp_path: Path) -> None:
    put(tmp_path / "in" / "b", at=1000)
    put(tmp_path / "in" / "a", at=2000)
    known = {c.path: c for c in consume(list_files("in/b", root=tmp_path, place=HERE).files)}
    put(tmp_path / "in" / "late-but-older", at=500)

    fresh = unconsumed(list_files("in", root=tmp_path, place=HERE), known, HERE)

    assert [Path(f.path).name for f in fresh] == ["late-but-older", "a"]


def test_a_consumed_file_that_was_only_touched_is_not_new(tmp_path: Path) -> None:
    path = put(tmp_path / "a", "same")
    known = {c.path: c for c in consume(list_files("a", root=tmp_path, place=HERE).files)}
    os.utime(path, (5000, 5000))
    assert unconsumed(list_files("a", root=tmp_path, place=HERE), known, HERE) == ()


@pytest.mark.parametrize("text", ["longer than before", "SAME"])
def test_a_consumed_file_whose_content_changed_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    put(tmp_path / "a", "same")
    put(tmp_path / "b", "other")
    known = {c.path: c for c in consume(list_files(".", root=tmp_path, place=HERE).files)}
    put(tmp_path / "a", text, at=5000)
    with pytest.raises(ProjectError) as error:
        unconsumed(list_files(".", root=tmp_path, place=HERE), known, HERE)
    assert [f.code for f in error.value.faults] == ["consumed-file-changed"]
    assert str(tmp_path / "a") in error.value.faults[0].what


def test_a_consumed_file_that_is_gone_is_no_error(tmp_path: Path) -> None:
    put(tmp_path / "in" / "b")
    known = {"/gone": consumed("/gone")}
    fresh = unconsumed(list_files("in", root=tmp_path, place=HERE), known, HERE)
    assert [Path(f.path).name for f in fresh] == ["b"]


def test_the_digest_of_a_whole_input_follows_contents_and_not_times(tmp_path: Path) -> None:
    put(tmp_path / "a", "1", at=1000)
    put(tmp_path / "b", "2", at=2000)

    def now() -> str:
        return content_digest(list_files(".", root=tmp_path, place=HERE).files)

    before = now()
    os.utime(tmp_path / "a", (9000, 9000))
    assert now() == before
    put(tmp_path / "a", "3")
    assert now() != before
    put(tmp_path / "a", "1")
    put(tmp_path / "c", "")
    assert now() != before


def test_a_digest_is_the_sha_256_of_the_bytes(tmp_path: Path) -> None:
    path = put(tmp_path / "a", "abc")
    assert digest(str(path)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# --- manifests -----------------------------------------------------------------------------------


def test_a_manifest_comes_back_by_its_name(tmp_path: Path) -> None:
    store = ManifestStore(tmp_path / "_manifests")
    files = [consumed("/in/ü.json", size=7), consumed("/in/a b", sha256="f" * 64)]
    assert store.read(store.write(files)) == {f.path: f for f in files}


def test_a_file_whose_name_is_not_utf_8_is_remembered_too(tmp_path: Path) -> None:
    store = ManifestStore(tmp_path)
    path = os.fsdecode(b"/in/caf\xe9.json")
    assert store.read(store.write([consumed(path)])) == {path: consumed(path)}


def test_a_manifest_is_named_by_its_content_alone(tmp_path: Path) -> None:
    store = ManifestStore(tmp_path)
    a, b = consumed("/in/a"), consumed("/in/b")
    assert store.write([a, b]) == store.write([b, a])
    assert store.write([a]) != store.write([a, b])
    assert store.write([a]) != store.write([consumed("/in/a", sha256="1" * 64)])
    assert len(list(tmp_path.iterdir())) == 3


def test_a_manifest_is_never_written_again(tmp_path: Path) -> None:
    store = ManifestStore(tmp_path)
    name = store.write([consumed("/in/a")])
    before = (tmp_path / name).stat()
    os.utime(tmp_path / name, (1, 1))
    store.write([consumed("/in/a")])
    after = (tmp_path / name).stat()
    assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)
    assert store.remove_unnamed((), older_than=2) == 0, "it is about to be named by a commit"


def test_manifests_that_no_commit_names_are_removed_when_they_are_old(tmp_path: Path) -> None:
    store = ManifestStore(tmp_path)
    named, old, young = (store.write([consumed(path)]) for path in ("/in/a", "/in/b", "/in/c"))
    for name in (named, old):
        os.utime(tmp_path / name, (1, 1))
    assert store.remove_unnamed({named}, older_than=2) == 1
    assert {p.name for p in tmp_path.iterdir()} == {named, young}


def test_a_crash_while_writing_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "deep" / "run_results.json"
    write_atomically(path, "old")

    def crash(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, "new and longer")
    monkeypatch.undo()
    assert path.read_text() == "old"
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert [p.name for p in path.parent.iterdir()] == ["run_results.json"]
