"""Shell completion: the script for a shell, and the answer to what its function asks.

In: a line as the shell cut it, in variables of the environment. Out: words (``words`` finds the names), and
never a message: the shell would print it into the command line.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem, get_completion_class

#: The shells that click knows, and the variable by which their functions ask.
SHELLS = ("bash", "zsh", "fish")
ASKED = "_RUNNER_COMPLETE"
_PROGRAM = "runner"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_obj
def completion(_: object, *, shell: str) -> int:
    """Print the script that completes verbs, options and names in a shell.

    \b
    bash: eval "$(runner completion bash)" in ~/.bashrc
    zsh:  eval "$(runner completion zsh)" in ~/.zshrc, after compinit
    fish: runner completion fish > ~/.config/fish/completions/runner.fish
    """
    click.echo(script(shell))
    return 0


def script(shell: str) -> str:
    """What a shell evaluates to complete ``runner``."""
    found = get_completion_class(shell)
    assert found is not None
    made = found(click.Group(), {}, _PROGRAM, ASKED)
    # Not made.source(): for bash it starts another bash to tell its version.
    return made.source_template % made.source_vars()


def answer(cli: click.Command, instruction: str) -> None:
    """Print the words for ``bash_complete`` and the like; nothing where there are none."""
    shell, _, what = instruction.partition("_")
    kind = get_completion_class(shell)
    if kind is None:
        return
    if what == "source":
        sys.stdout.write(script(shell) + "\n")
        return
    try:
        completer = kind(cli, {}, _PROGRAM, ASKED)
        args, incomplete = completer.get_completion_args()
        cut = 0
        if shell == "bash":
            *args, incomplete = _rejoined([*args, incomplete])
            cut = incomplete.rfind(":") + 1
        found = completer.get_completions(args, incomplete)
        lines = [completer.format_completion(_from(item, cut)) for item in found]
    except Exception:  # noqa: BLE001 – a message here would end up in the middle of a command line
        return
    sys.stdout.write("\n".join(lines) + "\n")


def _rejoined(words: Sequence[str]) -> list[str]:
    """``tag``, ``:``, ``daily`` as the one word that they are: bash splits at colons."""
    found: list[str] = []
    for word in words:
        if found and (word == ":" or found[-1].endswith(":")):
            found[-1] += word
        else:
            found.append(word)
    return found


def _from(item: CompletionItem[str], cut: int) -> CompletionItem[str]:
    """The part of a word that bash puts behind the last colon."""
    return CompletionItem(item.value[cut:], item.type, item.help) if cut else item
