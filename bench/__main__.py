"""``python -m bench [NAME…]``: run benchmarks, keep every figure as JSON, and fill docs/performance.md."""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
import tempfile
from pathlib import Path

from bench import machine, render
from bench.harness import ROOT, SideFailed, prepare
from bench.outcome import Options, Outcome
from bench.peer import NoPeer
from bench.tables import Unequal

NAMES = (
    "overhead",
    "increment",
    "history",
    "nothing",
    "cold",
    "stream",
    "latency",
    "producer",
    "dbt-parse",
    "dbt-run",
)
DOCUMENT = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "bench" / "results"


def main() -> int:
    """The exit code: 1 where a side failed or the sides' tables differ. A missed aim is a result."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"{', '.join(NAMES)}; all of them without")
    parser.add_argument("--rounds", type=int, help="runs of each side (5; with --quick 1)")
    parser.add_argument(
        "--quick", action="store_true", help="small inputs; docs/performance.md stays as it is"
    )
    parser.add_argument("--threads", type=int, default=1, help="models at a time, in dbt-run (1)")
    parser.add_argument("--work", type=Path, help="where lakes are made (a temporary folder, removed)")
    given = parser.parse_args()
    if unknown := sorted(set(given.names) - set(NAMES)):
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    rounds = given.rounds or (1 if given.quick else 5)
    prepare()
    about = machine.describe()
    print(render.facts(about))
    code = 0
    for name in given.names or NAMES:
        work = Path(tempfile.mkdtemp(prefix=f"bench-{name}-", dir=given.work)).resolve()
        load = machine.load()
        print(f"\n{name}: {rounds} rounds, load {load:.1f}", flush=True)
        try:
            outcome: Outcome = importlib.import_module(f"bench.{name.replace('-', '_')}").run(
                Options(rounds, given.quick, work, given.threads)
            )
        except (NoPeer, SideFailed, Unequal) as error:
            print(f"{name} failed: {error}", file=sys.stderr)
            code = 1
            continue
        finally:
            if given.work is None:
                shutil.rmtree(work)
        text = outcome.markdown(about, rounds, load)
        print(text)
        outcome.save(RESULTS, about, load)
        if not given.quick:
            DOCUMENT.write_text(
                render.put(DOCUMENT.read_text(encoding="utf-8"), name, text), encoding="utf-8"
            )
    return code


if __name__ == "__main__":
    sys.exit(main())
