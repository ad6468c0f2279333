"""How a stream is conducted: triggers, brokers that go and come, ends, the lock, the journal.

The engine is a fake and the topic is on paper: nothing here says anything about rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from runner.errors import Busy, Fault, Place, ProjectError, RunFailed, fail
from runner.ledger import position
from runner.lineage import compile_project
from runner.lock import target_lock
from runner.refs import TableRef
from runner.stream import STREAM_LOCK, Ending, StreamOptions, not_a_stream, stream
from tests.paper import PaperTopics
from tests.projects import write
from tests.world import BROKEN, World

SPEC = """
pipeline: shop
vars: {items: x}
models:
  - name: items
    sql: sql/items.sql
    sources: {events: {kafka: {topic: raw-events}, read: stream}}
    target:
      table: shop.items
      key: [id]
      columns: {id: {type: string}, amount: {type: bigint}}
  - name: stock
    sql: sql/stock.sql
    sources: {items: {table: shop.items, read: changes}}
    target:
      table: shop.stock
      key: [id]
      columns: {id: {type: string}, amount: {type: bigint}}
"""
ITEMS = TableRef("shop", "items")


class Brokers(PaperTopics):
    """One topic of one partition. ``grow``: what happens before the brokers are asked again, call by call."""

    def __init__(self) -> None:
        super().__init__()
        self.topics["raw-events"] = {0: (0, 3)}
        self.asked = 0
        self.script: Callable[[int], None] = lambda asked: None

    def extents(self, topic: str, place: Place) -> dict[int, tuple[int, int]]:
        self.asked += 1
        self.script(self.asked)
        return super().extents(topic, place)

    def come(self, records: int) -> None:
        first, end = self.topics["raw-events"][0]
        self.topics["raw-events"] = {0: (first, end + records)}


AWAY = Busy(Fault("brokers-unreachable", None, "no broker of x:1 answers"))


class Waits(Ending):
    """Waits that take no time; ``waited``: how long each would have been."""

    def __init__(self, most: int = 50) -> None:
        super().__init__()
        self.waited: list[float] = []
        self._most = most

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        if len(self.waited) >= self._most:
            raise AssertionError("the stream does not end")


class Shop(World):
    """A world whose items come from a topic."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.brokers = Brokers()
        self.ending = Waits()
        self.told: list[tuple[str, str]] = []

    def follow(self, **options: Any) -> int:
        models = [m for m in self.project.models if m.streams]
        return stream(
            self.project,
            models,
            StreamOptions(artifacts=self.folder / "target", **options),
            self.tell_me,
            self.ending,
            rendered=compile_project(self.project, models),
            topics=self.brokers,
            start_engine=self.start,
        )

    def tell_me(self, kind: str, table: str, text: str, values: Mapping[str, Any]) -> None:
        self.told.append((kind, text))

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.told]

    def offsets(self) -> Any:
        found = position(self.lake.catalog.table(ITEMS))
        return found and found.inputs["events"].offsets

    @property
    def results(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "target" / "stream_results.json").read_text())
        return found


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    merge = (
        "MERGE INTO {{{{ target }}}} AS t\nUSING (\n    SELECT {id} AS id, CAST(1 AS BIGINT) AS amount"
        " FROM {{{{ source('{source}') }}}}\n) AS s\nON t.id = s.id\nWHEN NOT MATCHED THEN INSERT *\n"
    )
    files = {
        "pipelines/shop.yml": SPEC,
        "profiles.yml": "default: local\ntargets: {local: {type: local}}\n",
        "sql/items.sql": merge.format(id="value", source="events"),
        "sql/stock.sql": merge.format(id="id", source="items").replace(
            "WHEN NOT", "WHEN MATCHED AND {{ changed('t', 's') }} THEN UPDATE SET *\nWHEN NOT"
        ),
    }
    return Shop(write(tmp_path / "project", files), tmp_path)


def test_batches_follow_each_other_until_the_end_is_asked(shop: Shop) -> None:
    def script(asked: int) -> None:
        if asked == 3:
            shop.brokers.come(4)
        if asked == 5:
            shop.ending.ask()

    shop.brokers.script = script
    assert shop.follow(trigger=30) == 0
    assert shop.kinds() == ["start", "batch", "idle", "start", "batch", "idle", "idle", "end"]
    assert shop.offsets() == {"raw-events": {"0": 7}}
    assert shop.started == 1
    assert all(29 < seconds <= 30 for seconds in shop.ending.waited)


def test_each_batch_reads_from_where_the_target_ends(shop: Shop) -> None:
    shop.brokers.script = lambda asked: shop.brokers.come(2) if asked == 2 else None
    shop.follow(batches=2)
    read = [call["offsets"] for call in shop.engine.asked("bind_topic")]
    assert read == [{0: (0, 3)}, {0: (3, 5)}]


def test_what_is_over_the_limit_comes_at_once(shop: Shop) -> None:
    shop.brokers.topics["raw-events"] = {0: (0, 10)}
    assert shop.follow(max_records=4, batches=3) == 0
    read = [call["offsets"] for call in shop.engine.asked("bind_topic")]
    assert read == [{0: (0, 4)}, {0: (4, 8)}, {0: (8, 10)}]
    assert shop.ending.waited == []


def test_without_brokers_at_the_start_it_ends(shop: Shop) -> None:
    shop.brokers.script = _away(1)
    with pytest.raises(Busy) as error:
        shop.follow()
    assert error.value.fault.code == "brokers-unreachable"


def test_a_long_outage_ends_no_stream_and_is_told_once(shop: Shop) -> None:
    def script(asked: int) -> None:
        _away(*range(2, 40))(asked)
        if asked == 40:
            shop.brokers.come(5)

    shop.brokers.script = script
    assert shop.follow(batches=2) == 0
    assert [text for kind, text in shop.told if kind == "waiting"] == [
        "no broker of x:1 answers; tried again"
    ]
    assert shop.offsets() == {"raw-events": {"0": 8}}


def test_a_failure_that_does_not_pass_ends_it_and_is_recorded(shop: Shop) -> None:
    shop.tell("stage", "items", BROKEN)
    with pytest.raises(RunFailed):
        shop.follow()
    assert shop.ending.waited == []
    assert [r["status"] for r in shop.results["results"]] == ["error"]
    assert shop.offsets() is None


def test_a_batch_that_fails_for_want_of_brokers_is_done_again(shop: Shop) -> None:
    failures = [RunFailed(BROKEN.fault, retryable=True)] * 2
    usual = shop.engine.answers["stage"]
    shop.engine.answers["stage"] = lambda **given: _raise(failures.pop()) if failures else usual
    assert shop.follow(batches=1) == 0
    assert shop.kinds() == ["start", "waiting", "start", "start", "batch", "end"]
    assert shop.offsets() == {"raw-events": {"0": 3}}


def test_a_failure_that_never_passes_ends_it_after_all(shop: Shop) -> None:
    shop.engine.answers["stage"] = lambda **given: _raise(RunFailed(BROKEN.fault, retryable=True))
    with pytest.raises(RunFailed):
        shop.follow()
    assert len(shop.ending.waited) < 30


def test_brokers_that_have_just_come_back_may_not_know_the_topic_yet(shop: Shop) -> None:
    missing = fail("no-topic", None, "there is no topic 'raw-events' at x:1")
    shop.brokers.script = lambda asked: _raise(missing) if asked in (2, 3) else None
    assert shop.follow(max_records=2, batches=2) == 0
    assert shop.kinds().count("waiting") == 1
    # Where no broker has answered before, the name is wrong.
    shop.brokers.script = lambda asked: _raise(missing)
    with pytest.raises(ProjectError):
        shop.follow()


def test_between_attempts_there_is_a_pause_even_without_a_trigger(shop: Shop) -> None:
    shop.brokers.script = _away(2, 3, 4)
    shop.follow(trigger=0, max_records=2, batches=2)
    assert [seconds for seconds in shop.ending.waited if seconds > 0] == [2.0, 4.0, 8.0]


def test_a_second_stream_of_a_target_is_refused_and_a_batch_is_not(shop: Shop) -> None:
    locks = shop.lake.warehouse / "_locks"
    with (
        target_lock(locks, ITEMS, timeout=0, run_id="other", purpose=STREAM_LOCK),
        pytest.raises(Busy) as error,
    ):
        shop.follow()
    assert error.value.exit_code == 75
    assert "run other" in error.value.fault.what
    assert shop.brokers.asked == 0
    held: list[bool] = []

    def script(asked: int) -> None:
        # Between batches the target is anybody's: here, in one, it is not.
        with pytest.raises(Busy), target_lock(locks, ITEMS, timeout=0, run_id="batch"):
            pass
        held.append(True)

    shop.brokers.script = script
    assert shop.follow(batches=1) == 0
    with target_lock(locks, ITEMS, timeout=0, run_id="batch"):
        assert held == [True]


def test_the_journal_holds_what_all_batches_did(shop: Shop) -> None:
    shop.brokers.script = lambda asked: shop.brokers.come(2) if asked > 1 else None
    shop.follow(batches=3)
    (result,) = shop.results["results"]
    assert result["mode"] == "stream"
    assert result["status"] == "success"
    assert result["adapter_response"]["rows_inserted"] == 3 * shop.rows
    # What a run leaves to be done again is another file's.
    assert not (shop.folder / "target" / "run_results.json").exists()


def test_records_that_went_unread_end_it_with_the_way_out(shop: Shop) -> None:
    shop.follow(batches=1)
    shop.brokers.topics["raw-events"] = {0: (9, 12)}
    with pytest.raises(RunFailed) as error:
        shop.follow(batches=1)
    assert error.value.fault.code == "records-lost"
    assert "--skip-lost-records" in error.value.fault.fix
    assert shop.follow(batches=1, skip_lost=True) == 0
    assert shop.offsets() == {"raw-events": {"0": 12}}


def test_written_directly_rows_are_set_aside_before_the_commit_that_says_they_were_read(shop: Shop) -> None:
    path = shop.root / "pipelines" / "shop.yml"
    text = path.read_text().replace(
        "table: shop.items\n      key", "table: shop.items\n      publish: direct\n      key", 1
    )
    path.write_text(text.replace("bigint}}", "bigint, checks: [{not_null: {severity: quarantine}}]}}", 1))
    direct = Shop(shop.root, shop.folder)
    direct.engine.answers["stage"] = {"kept": 2, "aside": 1, "read": 3, "check_0": 1}
    assert direct.follow(batches=1) == 0
    written = [str(call["sql"]).split(" AS ")[0] for call in direct.engine.asked("commit")]
    assert written == ["MERGE INTO `lake`.`shop`.`items__quarantine`", "MERGE INTO `lake`.`shop`.`items`"]
    assert direct.offsets() == {"raw-events": {"0": 3}}


def test_models_that_read_no_topic_are_refused_by_name(shop: Shop) -> None:
    with pytest.raises(ProjectError) as error:
        not_a_stream(shop.project.models, shop.project.profile)
    assert [f.code for f in error.value.faults] == ["not-a-stream"]
    assert "shop.stock" in error.value.faults[0].what
    with pytest.raises(ProjectError):
        not_a_stream((), shop.project.profile)


def _away(*calls: int) -> Callable[[int], None]:
    def script(asked: int) -> None:
        if asked in calls:
            raise AWAY

    return script


def _raise(error: Exception) -> None:
    raise error
