"""The position between runs: whole or not at all, of one stream, held by one producer."""

from __future__ import annotations

from pathlib import Path

import pytest

from producer.errors import Misconfigured, ProducerError, Unavailable
from producer.state import FileState

STREAM = "https://stream.example.org/x"


def code(path: Path, stream: str = STREAM) -> str:
    with pytest.raises(ProducerError) as fault:
        FileState(path, stream=stream).load()
    return fault.value.fault.code


def test_it_is_kept_from_run_to_run(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.json"
    state = FileState(path, stream=STREAM)
    assert state.load() is None
    state.save("[1]")
    state.save("[2]")
    state.close()
    again = FileState(path, stream=STREAM)
    assert again.load() == "[2]"
    assert {one.name for one in path.parent.iterdir()} == {"state.json", "state.json.lock"}


def test_a_crash_while_writing_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    state = FileState(path, stream=STREAM)
    state.save("[1]")

    def crash(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("producer.state.os.fsync", crash)
    with pytest.raises(Unavailable, match="No space left"):
        state.save("[2]")
    assert state.load() == "[1]"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"position": "[1]"}', '{"position": 1, "stream": "x"}', "[" * 9_999,
             '{"position": "a\\nb", "stream": "x"}', "\udcff"],
)  # fmt: skip
def test_one_that_cannot_be_read_is_a_fault_and_no_fresh_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    assert code(path) == "state-broken"


def test_one_of_another_stream_is_a_fault(tmp_path: Path) -> None:
    state = FileState(tmp_path / "state.json", stream=STREAM)
    state.save("[1]")
    state.close()
    assert code(tmp_path / "state.json", "https://other.example.org/") == "state-of-another-stream"


def test_two_producers_do_not_share_it(tmp_path: Path) -> None:
    first = FileState(tmp_path / "state.json", stream=STREAM)
    with pytest.raises(Unavailable) as busy:
        FileState(tmp_path / "state.json", stream=STREAM)
    assert (busy.value.exit_code, busy.value.fault.code) == (75, "state-locked")
    first.close()
    FileState(tmp_path / "state.json", stream=STREAM).close()


def test_a_place_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Misconfigured, match="state-unusable"):
        FileState(tmp_path / "file" / "state.json", stream=STREAM)
