"""What was measured on: the machine's size, and the versions that ran."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

from runner.engine.spark import jars, java


def describe() -> dict[str, object]:
    """Cores that may be used, memory, processor, and versions."""
    memory = int(_text("/proc/meminfo", r"MemTotal:\s+(\d+)") or 0)  # kB
    iceberg = next(jar.version for jar in jars.read() if jar.name.startswith("iceberg-spark"))
    return {
        "cores": len(os.sched_getaffinity(0)),
        "RAM": f"{memory / 1_000_000:.0f} GB",
        "CPU": _text("/proc/cpuinfo", r"model name\s*:\s*(.+)") or platform.machine(),
        "Python": platform.python_version(),
        "Java": java.find().version,
        "Spark": version("pyspark"),
        "Iceberg": iceberg,
    }


def load() -> float:
    """Processes that wanted a processor in the last minute: a quiet machine has less than one."""
    return os.getloadavg()[0]


def _text(path: str, pattern: str) -> str:
    match = re.search(pattern, Path(path).read_text(encoding="utf-8"))
    return match.group(1).strip() if match else ""
