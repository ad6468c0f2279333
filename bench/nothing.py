"""The commonest run of a schedule: nothing is new."""

from __future__ import annotations

from bench.days import build, history
from bench.harness import interleave, measure, median, python
from bench.outcome import Aim, Block, Options, Outcome

LIMIT = 1.0

HOW = (
    "`runner run` over all five models when nothing is new, on a lake of {days} days with {events:,}"
    " events: process start to exit. JVMs among the process's descendants are looked for every 10 ms."
)


def run(options: Options) -> Outcome:
    """Seconds and JVMs."""
    days, events = (3, 600) if options.quick else (30, 30_000)
    log = options.work / "nothing.log"
    lake, folder = options.work / "lake", options.work / "events"
    build(lake, history(folder, days=days, events=events), log=log)
    command = python("-m", "runner", "run", "--lake", lake, "--vars", f"events: {folder}")
    runs = interleave({"runner": lambda _: measure(command, log=log)}, options.rounds)["runner"]
    seconds, jvms = [m.seconds for m in runs], max(m.jvms for m in runs)
    rows = [["runner run", median(seconds), max(seconds), median([m.cpu for m in runs]), jvms]]
    return Outcome(
        "nothing",
        HOW.format(days=days, events=events),
        [Block("Nothing new", ["command", "seconds", "slowest", "CPU seconds", "JVMs"], rows)],
        [Aim("seconds, slowest round", max(seconds), LIMIT), Aim("JVMs started", jvms, 0)],
        {"runs": [vars(m) for m in runs]},
    )
