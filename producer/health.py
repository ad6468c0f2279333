"""Whether it lives, is ready, and what it counts: a conductor goes in, answers and metric lines come out."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from producer.errors import Misconfigured

if TYPE_CHECKING:
    from producer.conduct import Conductor

#: Seconds without a turn of the loop after which it counts as hung: longer than one slow connect.
HUNG = 90.0
#: Seconds without an acknowledgement, while records wait for one, after which it is not ready.
STALE = 30.0


class Health:
    """What the probes ask. ``clock`` is the conductor's."""

    def __init__(self, conductor: Conductor, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._conductor, self._clock = conductor, clock

    def alive(self) -> str:
        """Empty when the loop goes round, else why not."""
        since = self._clock() - self._conductor.alive
        return f"the loop has not turned for {since:.0f} s" if since > HUNG else ""

    def ready(self) -> str:
        """Empty when events flow, else why not."""
        conductor = self._conductor
        if conductor.pipeline.breaker.open:
            return "breaker open: most events are malformed"
        if not conductor.connected:
            return "not connected to the stream"
        since = self._clock() - conductor.acknowledged
        return f"Kafka has acknowledged nothing for {since:.0f} s" if since > STALE else self.alive()

    def figures(self) -> dict[str, tuple[str, float]]:
        """Every figure by name, with ``counter`` or ``gauge``."""
        conductor, counts = self._conductor, self._conductor.pipeline.counts
        names = ("received", "bytes", "sent", "malformed", "heartbeats", "filtered", "refused")
        more = ("connections", "disconnects", "openings")
        found: dict[str, tuple[str, float]] = {
            n: ("counter", float(getattr(counts, n))) for n in names + more
        }
        found["acknowledged"] = ("counter", float(counts.acknowledged))
        found["unacknowledged"] = ("gauge", float(counts.unacknowledged))
        found["lag_seconds"] = ("gauge", round(time.time() - counts.newest, 3) if counts.newest else 0.0)
        found["connected"] = ("gauge", float(conductor.connected))
        found["ready"] = ("gauge", float(not self.ready()))
        return found


def exposition(health: Health, reasons: dict[str, int]) -> bytes:
    """The figures in the text format of Prometheus."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    class Figures:
        def collect(self) -> Iterator[Any]:
            for name, (kind, value) in health.figures().items():
                family = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
                yield family(f"producer_{name}", f"{name.replace('_', ' ')}", value=value)
            dead = CounterMetricFamily("producer_dead_letters", "dead letters by reason", labels=["reason"])
            for reason, count in reasons.items():
                dead.add_metric([reason], count)
            yield dead

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures())
    return generate_latest(registry)


class EmbeddedMetrics:
    """Lines in CloudWatch's embedded metric format; counters as what was added since the last line."""

    def __init__(self, health: Health, *, namespace: str, stream: str) -> None:
        self._health, self._namespace, self._stream = health, namespace, stream
        self._before: dict[str, float] = {}

    def line(self) -> str:
        values: dict[str, float] = {}
        for name, (kind, value) in self._health.figures().items():
            values[name] = value - self._before.get(name, 0.0) if kind == "counter" else value
            if kind == "counter":
                self._before[name] = value
        units = {name: "Seconds" if name == "lag_seconds" else "Bytes" if name == "bytes" else "Count"
                 for name in values}  # fmt: skip
        directive = {
            "Namespace": self._namespace,
            "Dimensions": [["stream"]],
            "Metrics": [{"Name": name, "Unit": unit} for name, unit in units.items()],
        }
        aws = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
        return json.dumps({"_aws": aws, "stream": self._stream, **values})


def serve(health: Health, address: str, reasons: Callable[[], dict[str, int]]) -> ThreadingHTTPServer:
    """Answer ``/livez``, ``/readyz`` and ``/metrics`` at ``HOST:PORT`` in a thread, until it is shut down."""

    class Answers(BaseHTTPRequestHandler):
        server_version, sys_version = "producer", ""
        timeout = 10  # a client that says nothing does not keep its thread

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._answer(200, exposition(health, reasons()))
            elif path in ("/livez", "/readyz"):
                why = health.alive() if path == "/livez" else health.ready()
                self._answer(503 if why else 200, ((why or "ok") + "\n").encode())
            else:
                self._answer(404, b"there are /livez, /readyz and /metrics\n")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Probes are not worth a line."""

    host, _, port = address.rpartition(":")
    try:
        server = ThreadingHTTPServer((host.strip("[]") or "127.0.0.1", int(port)), Answers)
    except (OSError, ValueError, OverflowError) as error:
        raise Misconfigured(
            "bad-address",
            f"--http {address} cannot be served: {error}",
            fix="write HOST:PORT with a free port",
        ) from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
