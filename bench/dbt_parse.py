"""What starts no JVM, beside dbt: ``--help``; a project checked and compiled cold, unchanged, edited."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.fleet import Fleet, fleet, write_dbt, write_events, write_ours
from bench.harness import ROOT, Measured, interleave, measure, median, python, ratio
from bench.outcome import Aim, Block, Options, Outcome
from bench.peer import dbt, environment, session

HELP, COLD, UNCHANGED, MEMORY = 1 / 20, 1 / 10, 1 / 15, 1 / 4
HOW = (
    "The same {models:,} models, written for both from one description (`bench/fleet.py`): {layers}"
    " layers, ten or eleven documented columns and two column tests each, and filters, joins and sums of"
    " earlier layers. `runner lint` then `runner compile` beside `dbt parse` (dbt-core 1.11.16,"
    " dbt-spark 1.11.0): cold is without `target/` on both sides, unchanged is the same again (dbt"
    " parses partially then, the runner finds its answers in `target/cache/`), edited is the same after"
    " a line was added to one model. Memory is that of all processes of a side together, sampled every"
    " 10 ms, at {large:,} models, cold, the larger of our two."
)


@dataclass(frozen=True)
class Sides:
    """The two projects of one fleet."""

    ours: Path
    theirs: Path
    edited: str
    log: Path

    def cold(self) -> None:
        for project in (self.ours, self.theirs):
            shutil.rmtree(project / "target", ignore_errors=True)

    def edit(self, number: int) -> None:
        """A comment more in one model of each."""
        for path in (self.ours / "sql" / self.edited, self.theirs / "models" / self.edited):
            path.write_text(path.read_text(encoding="utf-8") + f"-- {number}\n", encoding="utf-8")

    def runner(self, *arguments: str) -> Measured:
        return measure(
            python("-m", "runner", *arguments, "-q"),
            log=self.log,
            cwd=self.ours,
            env={"PYTHONPATH": str(ROOT)},
        )

    def dbt(self, *arguments: str) -> Measured:
        return measure(
            dbt(*arguments, "--quiet"), log=self.log, cwd=self.theirs, env=environment(self.theirs)
        )


def run(options: Options) -> Outcome:
    """Seconds, memory and JVMs of both."""
    models, large = (20, 40) if options.quick else (1000, 5000)
    sides = _write(options.work / "fleet", found := fleet(models))
    helped = interleave(
        {
            "runner --help": lambda _: measure(python("-m", "runner", "--help"), log=sides.log),
            "dbt --help": lambda _: measure(
                dbt("--help"), log=sides.log, cwd=sides.theirs, env=environment(sides.theirs)
            ),
        },
        options.rounds,
    )
    states: dict[str, Callable[[int], None]] = {
        "cold": lambda _: sides.cold(),
        "unchanged": lambda _: None,
        "edited": sides.edit,
    }
    commands: dict[str, Callable[[], Measured]] = {
        "runner lint": lambda: sides.runner("lint"),
        "runner compile": lambda: sides.runner("compile"),
        "dbt parse": lambda: sides.dbt("parse"),
    }
    runs: dict[str, dict[str, list[Measured]]] = {state: {} for state in states}
    for index in range(options.rounds):
        for state, bring_about in states.items():
            bring_about(index)
            for name, once in commands.items():
                runs[state].setdefault(name, []).append(once())
    big = _write(options.work / "large", fleet(large))
    memory = {
        "runner lint": big.runner("lint"),
        "runner compile": big.runner("compile"),
        "dbt parse": big.dbt("parse"),
    }
    return _outcome(found, large, helped, runs, memory)


def _write(folder: Path, of: Fleet) -> Sides:
    events = write_events(folder / "events.ndjson", events=100)
    last = of.nodes[-1]
    return Sides(
        write_ours(folder / "ours", of, events=events),
        write_dbt(folder / "dbt", of, events=events, threads=1, settings=session(folder, folder)),
        f"layer_{last.layer:02d}/{last.name}.sql",
        folder / "sides.log",
    )


def _outcome(
    of: Fleet,
    large: int,
    helped: dict[str, list[Measured]],
    runs: dict[str, dict[str, list[Measured]]],
    memory: dict[str, Measured],
) -> Outcome:
    def seconds(measured: list[Measured]) -> list[float]:
        return [m.seconds for m in measured]

    rows: list[list[object]] = []
    shares: dict[str, float] = {}
    for state, by_side in runs.items():
        both = [
            a + b
            for a, b in zip(seconds(by_side["runner lint"]), seconds(by_side["runner compile"]), strict=True)
        ]
        parse = seconds(by_side["dbt parse"])
        shares[state] = ratio(both, parse)
        for name, measured in by_side.items():
            rows.append([state, name, *_figures(measured), ratio(seconds(measured), parse)])
        cpu = [a.cpu + b.cpu for a, b in zip(by_side["runner lint"], by_side["runner compile"], strict=True)]
        rows.append([state, "lint + compile", median(both), median(cpu), 0, shares[state]])
    ours, theirs = helped["runner --help"], helped["dbt --help"]
    help_share = ratio(seconds(ours), seconds(theirs))
    for name, measured in helped.items():
        rows.append(["", name, *_figures(measured), ratio(seconds(measured), seconds(theirs))])
    held = max(memory["runner lint"].memory, memory["runner compile"].memory)
    everything = [
        *ours,
        *(m for state in runs.values() for n, side in state.items() if "dbt" not in n for m in side),
    ]
    jvms = sum(m.jvms for m in [*everything, memory["runner lint"], memory["runner compile"]])
    layers = len({node.layer for node in of.nodes})
    return Outcome(
        "dbt-parse",
        HOW.format(models=len(of.nodes), layers=layers, large=large),
        [
            Block("Seconds", ["state", "command", "seconds", "CPU seconds", "JVMs", "÷ dbt"], rows),
            Block(
                f"{large:,} models, cold",
                ["command", "seconds", "peak memory, MB"],
                [[name, m.seconds, m.memory // 1_000_000] for name, m in memory.items()],
            ),
        ],
        [
            Aim("--help ÷ dbt's", help_share, round(HELP, 3)),
            Aim("lint + compile ÷ dbt parse, cold", shares["cold"], COLD),
            Aim("lint + compile ÷ dbt parse, unchanged", shares["unchanged"], round(UNCHANGED, 3)),
            Aim(f"peak memory ÷ dbt's, {large:,} models", held / memory["dbt parse"].memory, MEMORY),
            Aim("JVMs started by the runner", jvms, 0),
        ],
        {
            "help": {name: [vars(m) for m in side] for name, side in helped.items()},
            "runs": {s: {n: [vars(m) for m in side] for n, side in by.items()} for s, by in runs.items()},
            "memory": {name: vars(m) for name, m in memory.items()},
        },
    )


def _figures(measured: list[Measured]) -> list[object]:
    return [
        median([m.seconds for m in measured]),
        median([m.cpu for m in measured]),
        max(m.jvms for m in measured),
    ]
