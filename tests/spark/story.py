"""A lake's second month as a seeded sequence: deliveries, edits, maintenance, rollbacks and races.

Each step does one thing that was dealt to it and mostly a delivery beside it; then the project runs. The
deck holds every kind equally often, so a few seeds see each of them several times.
"""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from producer.generator.generate import lines as generated_lines
from runner import ledger
from runner.engine.spark.diff import load_table
from runner.engine.spark.engine import SparkEngine
from runner.errors import ProjectError
from runner.refs import TableRef
from runner.rollback import steps_of_run, steps_to
from tests.lab import EAGER, GOLD, Lab

BRONZE, SILVER = "bronze.raw_events", "silver.cleaned_events"
TABLES = (BRONZE, SILVER, *GOLD)

#: What happens, by name; each is a method of :class:`Story`.
KINDS = (
    "deliver",
    "update_bronze",
    "move_days",
    "delete_bronze",
    "vanish_groups",
    "edit_silver",
    "edit_gold",
    "edit_reference",
    "compact",
    "expire",
    "retain",
    "roll_back_run",
    "roll_back_bronze",
    "race_compaction",
    "race_tag",
    "race_source",
)


class Story:
    """One seeded sequence on one lake. ``edge``: the day before which bronze's rows left by retention."""

    def __init__(self, lab: Lab, seed: int, *, steps: int) -> None:
        self.lab = lab
        self.random = random.Random(seed)
        self.pool = list(generated_lines(events=max(900, 45 * steps), days=4, seed=seed))
        self.random.shuffle(self.pool)
        self.sent: list[str] = []
        self.again: list[str] = []  # of those sent, what may be delivered again
        self.files = 0
        self.edits = 0
        self.edge = ""
        self.done: Counter[str] = Counter()
        self.hook: Callable[[TableRef], None] | None = None

    # deliveries and changes by hand

    def deliver(self) -> None:
        """A random slice of new events, some of them twice, some of them sent before."""
        size = self.random.randrange(20, 80)
        batch, self.pool = self.pool[:size], self.pool[size:]
        batch += self.random.choices(batch, k=5) if batch else []
        batch += self.random.sample(self.again, min(5, len(self.again)))
        self.random.shuffle(batch)
        self.files += 1
        self.lab.drop(f"part-{self.files:03}.ndjson", batch)
        self.sent += batch
        self.again += batch

    def update_bronze(self) -> None:
        """Other cells in rows of bronze: among them the domain (another region, another group)."""
        domain = self.random.choice(["en.wikipedia.org", "ja.wikipedia.org", "commons.wikimedia.org"])
        self.lab.sql(
            f"UPDATE {BRONZE} SET domain = '{domain}', title = concat('moved ', title)"
            f" WHERE abs(hash(event_id, {self.random.randrange(1000)})) % 15 = 0"
        )

    def move_days(self) -> None:
        """Rows that change their day: they leave partitions and groups, and come to others.

        Bronze declares that an event never changes its day, so what was sent is not sent again.
        """
        self.again.clear()
        self.lab.sql(
            f"UPDATE {BRONZE} SET event_timestamp = event_timestamp + INTERVAL 1 DAY,"
            " event_date = date_add(event_date, 1)"
            f" WHERE abs(hash(event_id, {self.random.randrange(1000)})) % 20 = 0"
        )

    def delete_bronze(self) -> None:
        salt = self.random.randrange(1000)
        self.lab.sql(f"DELETE FROM {BRONZE} WHERE abs(hash(event_id, {salt})) % 10 = 0")

    def vanish_groups(self) -> None:
        """All rows of some users."""
        self.lab.sql(f"DELETE FROM {BRONZE} WHERE hash(user) % 4 = {self.random.randrange(4)}")

    # edits of models and reference data

    def edit_silver(self) -> None:
        self.edits += 1
        self.lab.overrides = {**self.lab.overrides, "large_deletion": -1000 - self.edits}

    def edit_gold(self) -> None:
        self.edits += 1
        self.lab.overrides = {
            **self.lab.overrides,
            "high_velocity": 2 + self.edits,
            "rising": 20 + self.edits,
        }

    def edit_reference(self) -> None:
        """A domain gets another region, or a region at all."""
        path = self.lab.root / "sql" / "reference" / "domain_regions.csv"
        header, *rows = path.read_text(encoding="utf-8").splitlines()
        domain = self.random.choice(["en.wikipedia.org", "www.wikidata.org", "commons.wikimedia.org"])
        region = self.random.choice(["africa", "oceania", "europe"])
        rows = [row for row in rows if not row.startswith(f"{domain},")]
        self.edits += 1
        path.write_text(
            "\n".join([header, *rows, f"{domain},{region}{self.edits},true", ""]), encoding="utf-8"
        )

    # what keeps a lake

    def compact(self) -> None:
        for name in self.random.sample(TABLES, k=2):
            self._compact(TableRef.parse(name))

    def _compact(self, table: TableRef) -> None:
        state = self.lab.lake.catalog.table(table)
        if state and state.head():
            options = {"rewrite-all": "true"}
            engine = self.lab.engine()
            assert isinstance(engine, SparkEngine)
            actions = engine.spark._jvm.org.apache.iceberg.spark.actions.SparkActions  # type: ignore[union-attr]
            java = load_table(engine.spark, table.sql(engine.catalog))
            action = actions.get(engine.spark._jsparkSession).rewriteDataFiles(java).binPack()
            for key, value in options.items():
                action.option(key, value)
            for key, value in ledger.carry(state).items():
                action.snapshotProperty(key, value)
            action.execute()

    def expire(self) -> None:
        """Whatever is old goes; now and then also what a consumer needs, which must rebuild then."""
        self.lab.maintain(settings=EAGER)
        if self.random.random() < 0.3:
            state = self.lab.lake.catalog.table(TableRef.parse(BRONZE))
            assert state is not None
            carrier = ledger.position_snapshot(state)
            spare = {*state.branches.values(), carrier.id if carrier else 0}
            self.lab.keeper().expire(state.ref, [i for i in state.snapshots if i not in spare])

    def retain(self) -> bool:
        """The first day that bronze still has leaves it."""
        days = sorted(
            {str(r["d"]) for r in self.lab.sql(f"SELECT DISTINCT event_date AS d FROM {BRONZE}") if r["d"]}
        )
        if len(days) < 3:
            return False
        edge = days[1]
        now = dt.datetime.fromisoformat(f"{edge}T12:00:00+00:00") + dt.timedelta(days=90)
        done = self.lab.maintain(settings=EAGER, now=now)
        if done[BRONZE].rows_removed:
            self.edge = max(self.edge, edge)
        return bool(done[BRONZE].rows_removed)

    def roll_back_run(self) -> bool:
        """Every table of the last run, and what came after it."""
        run = self.lab.run_id
        if any(r["status"] == "success" for r in self.lab.results().values()):
            self.again.clear()  # its files are read again, and hand-made changes of theirs are undone
            try:
                return bool(self.lab.roll_back(lambda catalog: steps_of_run(catalog, run), force=True))
            except ProjectError as error:
                # What it would go back to was expired: nothing else may stand in the way.
                if not {fault.code for fault in error.faults} <= {"snapshot-expired", "unknown-run"}:
                    raise
        return False

    def roll_back_bronze(self) -> bool:
        """Bronze alone, one commit back: its readers see the difference."""
        state = self.lab.lake.catalog.table(TableRef.parse(BRONZE))
        head = state.head() if state else None
        if state and head and head.parent in state.snapshots and state.snapshots[head.parent].rows:
            parent = head.parent
            self.again.clear()
            return bool(self.lab.roll_back(lambda catalog: steps_to(catalog, parent, None), force=True))
        return False

    # races: something happens to a table at the moment of its publication

    def race_compaction(self) -> None:
        self.hook = self._compact

    def race_tag(self) -> None:
        def tag(table: TableRef) -> None:
            engine = self.lab.engine()
            assert isinstance(engine, SparkEngine)
            java = load_table(engine.spark, table.sql(engine.catalog))
            if java.currentSnapshot() is not None:
                name = f"kept_{self.random.randrange(10**9)}"
                java.manageSnapshots().createTag(name, java.currentSnapshot().snapshotId()).commit()
            self.lab.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('note' = '{self.random.random()}')")

        self.hook = tag

    def race_source(self) -> None:
        """Bronze loses rows while a reader of it, or of what it makes, publishes."""
        self.hook = lambda _: self.delete_bronze()

    # the run

    def step(self, kind: str) -> str:
        """Do ``kind``, mostly a delivery beside it, and run until nothing is left to do; what was done.

        ``done`` counts what had an effect: a rollback of nothing is none, nor a race that met nobody.
        """
        while not self.sent or self.files < 2:  # a lake with something to lose
            self.deliver()
            self._run()
        chosen = [kind]
        racing = kind.startswith("race_")  # without something to publish there is nobody to race
        if kind != "deliver" and (racing or self.random.random() < 0.7):
            # A rollback undoes the last run, so it comes before anything else; and what is delivered before
            # days are moved would be sent again after them.
            after = kind.startswith("roll_back") or kind == "move_days"
            chosen.insert(1 if after else self.random.randrange(2), "deliver")
        for name in chosen:
            if getattr(self, name)() is not False and not name.startswith("race_"):
                self.done[name] += 1
        raced = self.hook
        with self._racing():
            self._run()
            if raced and self.hook is None:
                self.done[kind] += 1
        if "race_source" in chosen:
            self._run()
        return " + ".join(chosen)

    def _run(self) -> None:
        assert self.lab.run(allow_deletes=True) == 0, [str(f) for e in self.lab.events for f in e.faults]

    @contextmanager
    def _racing(self) -> Iterator[None]:
        """The hook strikes once, just before a publication."""
        engine = self.lab.engine()
        publish, skip = engine.fast_forward, self.random.randrange(3)

        def strike_first(table: TableRef, branch: str, *onto: str, drop: bool = False) -> bool:
            nonlocal skip
            hook, skip = (self.hook, skip - 1) if skip else (self.hook, 0)
            if hook and skip == 0:
                self.hook = None
                hook(table)
            return publish(table, branch, *onto, drop=drop)

        engine.fast_forward = strike_first  # type: ignore[method-assign]
        try:
            yield
        finally:
            self.hook = None
            engine.fast_forward = publish  # type: ignore[method-assign]


def deal(seeds: Sequence[int], steps: int) -> dict[int, list[str]]:
    """What each step of each seed does: every kind as often as every other, in an order of its own."""
    deck: list[str] = []
    chance = random.Random(sum(seeds))
    while len(deck) < len(seeds) * steps:
        round_ = list(KINDS)
        chance.shuffle(round_)
        deck += round_
    return {seed: deck[i * steps : (i + 1) * steps] for i, seed in enumerate(seeds)}
