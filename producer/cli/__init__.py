"""The command line of the producer: arguments go in, one call is made, text and an exit code come out.

Whatever is heavy is imported by the command that needs it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from producer.cli.dlq import dlq
from producer.cli.generate import generate
from producer.cli.replay import replay
from producer.cli.run import run
from producer.cli.topics import topics
from producer.errors import ProducerError, shown


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "PRODUCER"},
)
def cli() -> None:
    """Bring Wikimedia events into the lake.

    Every option is a variable of the environment, too: PRODUCER_RUN_BROKERS is --brokers of `run`.
    """


for command in (run, replay, dlq, topics, generate):
    cli.add_command(command)


def invoke(argv: Sequence[str]) -> int:
    """Run a command line; its exit code. Faults are told on stderr, what, why and the fix."""
    try:
        return int(cli.main(list(argv), prog_name="producer", standalone_mode=False) or 0)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ProducerError as error:
        click.echo(str(error.fault), err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("confluent_kafka", "requests", "sseclient", "prometheus_client", "urllib3"):
            click.echo(
                f"{missing} is not installed [no-library]\n  fix: pip install 'medallion-runner[kafka]'",
                err=True,
            )
            return 2
        return _bug(error)
    except Exception as error:  # noqa: BLE001 – the last resort: what nobody foresaw is said to be a bug
        return _bug(error)


def _bug(error: Exception) -> int:
    import traceback

    last = traceback.extract_tb(error.__traceback__)[-1]
    click.echo(
        f"{type(error).__name__}: {shown(error)} [bug]\n  why: this is a bug of the producer"
        f" ({os.path.basename(last.filename)}:{last.lineno})\n"
        "  fix: report it with what PRODUCER_TRACEBACK=1 shows beside it",
        err=True,
    )
    if os.environ.get("PRODUCER_TRACEBACK"):
        traceback.print_exception(error)
    return 1


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The entry point ``producer``."""
    sys.exit(invoke(sys.argv[1:] if argv is None else argv))
