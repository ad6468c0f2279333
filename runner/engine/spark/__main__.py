"""Prepares this machine, as a command: ``python -m runner.engine.spark [check]``.

Looks for Java, fetches the jars and makes the archive of loaded classes; ``check`` looks for Java alone
and works with nothing installed.
"""

from __future__ import annotations

import sys

from runner.engine.spark import jars, java
from runner.errors import RunnerError


def main(arguments: list[str]) -> int:
    """The exit code: the error's, where Java or a jar cannot be had."""
    try:
        java.find()
        if arguments != ["check"]:
            jars.ensure("lake")
    except RunnerError as error:
        _say(str(error))
        return error.exit_code
    if arguments != ["check"]:
        _make_archive()
    return 0


def _make_archive() -> None:
    from runner.engine.spark.warm import warm

    try:
        reason = None if warm() else "the JVM wrote none"
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not keep anybody from working
        reason = str(error)
    if reason:
        _say(f"No archive of Spark's classes was made, so sessions start slower: {reason}")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
