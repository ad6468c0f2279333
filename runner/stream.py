"""Conduct a stream: micro-batches of topics, one after another, until it is asked to end.

In: models that read topics. Out: the exit code; a word on each batch. A micro-batch is a run of one model
like any other (:mod:`runner.node`): what it reads is planned from the position in the target, so that a
stream that is started anew, rolled back under, or run beside a batch is no case of its own.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runner import __version__
from runner.branch import refuse_tag
from runner.catalog import MAIN
from runner.engine import Engine
from runner.errors import Fault, GateClosed, ProjectError, RunnerError, fail, worst
from runner.inputs import Pins
from runner.lake import Lake
from runner.lock import target_lock
from runner.node import Shared, failed_node, run_node
from runner.ops import History
from runner.plan import ModelPlan
from runner.record import Journal, NodeResult, new_run_id, open_journal
from runner.render import Rendered
from runner.run import describe, faults_of
from runner.schedule import Stop
from runner.sessions import Sessions, engine_died, start_spark
from runner.spec import Model, Profile, Project
from runner.topics import Brokers, Topics

#: What the lock of a stream is named by, beside the lock of its target, which each batch takes.
STREAM_LOCK = "stream"
#: Batches that may fail in a row for a reason that passes, before the stream gives up.
_PATIENCE = 20
#: Seconds between two of them, at most.
_LONGEST_WAIT = 30.0
_AWAY, _NO_TOPIC = "brokers-unreachable", "no-topic"

#: ``kind`` (start, batch, idle, waiting, stale, end), the model's table, text, and values for programs.
Tell = Callable[[str, str, str, Mapping[str, Any]], None]


@dataclass(frozen=True)
class StreamOptions:
    """``trigger``: seconds from the start of a batch to the start of the next; ``max_records``: of a batch
    and model; ``batches``: end after so many (None: never); ``skip_lost``: go on where records went unread.
    """

    trigger: float = 30.0
    max_records: int | None = None
    batches: int | None = None
    skip_lost: bool = False
    lock_timeout: float = 0.0
    artifacts: Path | None = None
    branch: str = MAIN
    args: Mapping[str, Any] = field(default_factory=dict)


class Ending:
    """Whether a stream is to end after the batch that runs; waits are cut short by it."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def ask(self) -> None:
        self._event.set()

    @property
    def asked(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> None:
        """Until it is asked, or so many seconds."""
        self._event.wait(max(0.0, seconds))


def stream(
    project: Project,
    models: Sequence[Model],
    options: StreamOptions,
    tell: Tell,
    ending: Ending,
    *,
    rendered: Mapping[str, Rendered],
    topics: Topics | None = None,
    start_engine: Callable[[], Engine] | None = None,
) -> int:
    """Run micro-batches of ``models``, which all read topics, until ``ending`` is asked; the exit code.

    Raises ProjectError where a model cannot run at all, and Busy where another stream has a target, or no
    broker answers at the start; later the stream waits for brokers, however long they are away.
    """
    lake = Lake.of(project, options.branch)
    refuse_tag(lake)
    artifacts = options.artifacts or project.root / "target"
    now = dt.datetime.now(dt.UTC)
    run_id = new_run_id(now)
    sessions = Sessions(start_engine or (lambda: start_spark(project, lake, artifacts, long=True)))
    shared = Shared(
        project=project,
        lake=lake,
        pins=Pins(lake.catalog, {}),
        engine=sessions,
        stop=Stop(),
        run_id=run_id,
        now=now,
        code_version=__version__,
        full_refresh=False,
        allow_deletes=False,
        topics=topics or Brokers(project.profile.kafka, project.profile.place),
        limit=options.max_records,
        skip_lost=options.skip_lost,
    )

    def warn(detail: str) -> None:
        tell("waiting", "ops", detail, {})

    with ExitStack() as held, History(lake, run_id, warn) as history:
        for model in models:
            held.enter_context(
                target_lock(
                    lake.locks,
                    model.target.table,
                    timeout=options.lock_timeout,
                    run_id=run_id,
                    purpose=STREAM_LOCK,
                )
            )
        journal = open_journal(
            artifacts / "stream_results.json",
            run_id,
            now,
            project,
            rendered,
            models,
            branch=options.branch,
            args=options.args,
            keep=history.keep,
        )
        conductor = _Conductor(models, rendered, options, shared, sessions, journal, tell, ending)
        try:
            return conductor.run()
        finally:
            if sessions.first is not None and not sessions.died():
                history.write(sessions.first)


@dataclass
class _Conductor:
    """The loop over triggers. ``totals``: of each model since the stream began."""

    models: Sequence[Model]
    rendered: Mapping[str, Rendered]
    options: StreamOptions
    shared: Shared
    sessions: Sessions
    journal: Journal
    tell: Tell
    ending: Ending
    totals: dict[str, NodeResult] = field(default_factory=dict)
    batches: int = 0
    failures: int = 0
    waiting_for: str = ""
    reached: bool = False  # whether brokers have answered once

    def run(self) -> int:
        """Batches until the end is asked; the exit code."""
        codes = [0]
        while not self.ending.asked:
            began = time.monotonic()
            at_once = False
            for model in self.models:
                try:
                    done = self._batch(model)
                except RunnerError as error:
                    if not self._passes(error, model):
                        raise
                    at_once = True  # it has waited
                    continue
                if done.faults:
                    codes.append(GateClosed.exit_code)
                    self.tell("stale", done.table, "; ".join(f.what for f in done.faults), {})
                at_once |= done.counts.get("records_behind", 0) > 0
            if self.options.batches is not None and self.batches >= self.options.batches:
                break
            if not at_once:
                self.ending.wait(began + self.options.trigger - time.monotonic())
        for total in self.totals.values():
            self.tell("end", total.table, self._total(total), dict(total.counts))
        return worst(codes)

    def _batch(self, model: Model) -> NodeResult:
        """One micro-batch of one model, under its target's lock. Raises the errors of the stages."""
        now = dt.datetime.now(dt.UTC)
        shared = replace(
            self.shared, pins=Pins(self.shared.lake.catalog, {}), run_id=new_run_id(now), now=now
        )
        started = time.monotonic()

        def announce(plan: ModelPlan) -> None:
            text = ", ".join(read.summary() for read in plan.topics)
            self.tell("start", str(model.target.table), text, {"run_id": shared.run_id})

        try:
            with target_lock(
                shared.lake.locks,
                model.target.table,
                timeout=max(self.options.trigger, self.options.lock_timeout),
                run_id=shared.run_id,
            ):
                done = run_node(model, self.rendered[model.id], shared, announce)
        except RunnerError as error:
            self._record(failed_node(model, error, time.monotonic() - started, faults_of(error, model)))
            raise
        self.failures, self.waiting_for, self.reached = 0, "", True
        if done.status == "nothing":
            self.tell("idle", done.table, "nothing new", {})
            return done
        self.batches += 1
        self._record(done)
        self.tell(
            "batch",
            done.table,
            f"{describe(done)} | {done.seconds:.1f}s",
            {
                **done.counts,
                "seconds": round(done.seconds, 3),
                "run_id": shared.run_id,
                "number": self.batches,
            },
        )
        return done

    def _record(self, done: NodeResult) -> None:
        """Add a batch to the model's totals, on disk."""
        before = self.totals.get(done.model)
        counts = dict(before.counts) if before else {}
        for name, number in done.counts.items():
            counts[name] = number if name == "records_behind" else counts.get(name, 0) + number
        seconds = done.seconds + (before.seconds if before else 0.0)
        status = "success" if done.status == "nothing" else done.status
        total = replace(done, status=status, counts=counts, seconds=seconds, mode="stream")
        self.totals[done.model] = total
        self.journal.put(total)

    def _passes(self, error: RunnerError, model: Model) -> bool:
        """Whether a batch that failed is tried again, after a wait; whoever watches is told once."""
        if how := self.sessions.died():
            raise engine_died(model, how) from error
        (fault, *_) = faults_of(error, model)
        away = fault.code == _AWAY
        # A broker that has just come back may not know yet what topics there are.
        back = fault.code == _NO_TOPIC and self.reached
        if not (error.retryable or back) or (away and not self.reached):
            return False
        self.failures += 1
        if self.failures >= _PATIENCE and not away:
            return False
        if self.waiting_for != fault.code:
            self.waiting_for = fault.code
            self.tell("waiting", str(model.target.table), f"{fault.what}; tried again", {})
        self.ending.wait(min(_LONGEST_WAIT, 2.0**self.failures))
        return True

    def _total(self, total: NodeResult) -> str:
        batches = f"{self.batches:,} batch{'es' * (self.batches != 1)}"
        return f"{batches} | {describe(total)}" if total.counts else batches


def not_a_stream(models: Sequence[Model], profile: Profile) -> None:
    """Raises ProjectError where a model reads no topic, or none is there that does."""
    fix = "name a target in which the source is a topic, such as --target live, or select other models"
    if not models:
        raise fail(
            "not-a-stream",
            profile.place,
            f"in the target '{profile.name}' no model reads a topic",
            why="`runner stream` runs models with `read: stream`",
            fix=fix,
        )
    wrong = [m for m in models if not m.streams]
    if wrong:
        raise ProjectError(
            tuple(
                Fault(
                    "not-a-stream",
                    m.place,
                    f"{m.id} reads no topic in the target '{profile.name}'",
                    "`runner stream` runs models with `read: stream`; others follow with `runner run`",
                    fix,
                )
                for m in wrong
            )
        )
