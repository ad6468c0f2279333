"""Events for a processor second: the producer beside the loop that examples show, on the same stream."""

from __future__ import annotations

import gzip
import json
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

from bench.harness import ROOT, SideFailed, interleave, median, python, ratio
from bench.outcome import Aim, Block, Options, Outcome
from producer.generator.generate import lines

CAPTURE = ROOT.parent / "shared" / "data" / "recentchange-2021-08-27.sse.gz"
TIMES, QUICK_TIMES = 30, 3
LIMIT = 1 / 1.5

HOW = (
    "The capture `{origin}` ({events:,} events, served {times} times by a process of its own, each event an"
    " HTTP chunk) to Kafka: `producer run`'s own parts beside the usual loop (sseclient on the response,"
    " `json.loads`, `json.dumps`, `produce`, `poll`). Both have sseclient-py in the path, the same client,"
    " idempotence and compression, and send to librdkafka's mock broker, which runs within the process and"
    " counts for both. Processor seconds of the loop, without imports; each round is a pair."
)


def run(options: Options) -> Outcome:
    """Both sides in interleaved rounds."""
    times = QUICK_TIMES if options.quick else TIMES
    blocks = options.work / "stream"
    stream, origin = _stream()
    blocks.write_bytes(stream)
    server = subprocess.Popen(
        python("-m", "bench.stream_server", blocks, str(times)), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        found = interleave(
            {
                "producer": lambda index: _side("ours", url, options.work),
                "usual loop": lambda index: _side("usual", url, options.work),
            },
            options.rounds,
        )
    finally:
        server.kill()
        server.wait()
    each = {name: [1e6 * one["cpu"] / one["events"] for one in runs] for name, runs in found.items()}
    rows = [
        [
            name,
            round(median([one["events"] / one["cpu"] for one in runs])),
            median(each[name]),
            round(max(one["memory"] for one in runs) / 1e6),
        ]
        for name, runs in found.items()
    ]
    return Outcome(
        "producer",
        HOW.format(origin=origin, events=stream.count(b"\ndata: "), times=times),
        [Block("Processor time", ["side", "events/CPU s", "µs/event", "MB"], rows)],
        [Aim("processor seconds, producer ÷ usual loop", ratio(each["producer"], each["usual loop"]), LIMIT)],
        dict(found),
    )


def _stream() -> tuple[bytes, str]:
    """The capture, or where it is absent generated events in its form."""
    if CAPTURE.is_file():
        return gzip.decompress(CAPTURE.read_bytes()).removeprefix(b":ok\n\n").strip(
            b"\n"
        ) + b"\n\n", CAPTURE.name
    position = '[{"topic":"eqiad.mediawiki.recentchange","partition":0,"timestamp":1790812800001}]'
    made = (
        f"event: message\nid: {position}\ndata: {line}\n\n"
        for line in lines(events=2_000, start=date(2026, 10, 1))
    )
    return "".join(made).encode(), "generated events"


def _side(side: str, url: str, work: Path) -> dict[str, Any]:
    done = subprocess.run(
        python("-m", "bench.stream_side", side, url), cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SideFailed(f"{side} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
