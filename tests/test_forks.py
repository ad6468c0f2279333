"""Work in several processes: the same results as in one, errors included."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from runner import forks
from runner.forks import spread


@pytest.fixture(autouse=True)
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks, "_cores", lambda: 3)


def test_parts_come_back_in_order() -> None:
    found = spread(lambda part: (os.getpid(), list(part)), range(10), least=2)
    assert [number for _, part in found for number in part] == list(range(10))
    assert len({pid for pid, _ in found}) == len(found) == 3


def test_a_short_list_is_one_part_here() -> None:
    assert spread(lambda part: (os.getpid(), len(part)), range(7), least=4) == [(os.getpid(), 7)]
    assert spread(len, [], least=4) == [0]


def test_an_error_in_a_part_is_raised_here() -> None:
    def work(part: Sequence[int]) -> int:
        if 9 in part:
            raise ValueError(f"not {max(part)}")
        return sum(part)

    with pytest.raises(ValueError, match="not 9"):
        spread(work, range(10), least=2)


def test_a_part_whose_process_is_killed_is_done_here() -> None:
    mine = os.getpid()

    def work(part: Sequence[int]) -> int:
        if os.getpid() != mine:
            os._exit(9)
        return sum(part)

    assert sum(spread(work, range(10), least=2)) == 45
