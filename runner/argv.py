"""What click does not do by itself: ``run`` as the default verb, lists after ``-s``, messages of our kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from runner.errors import Fault, ProjectError, did_you_mean, fail

#: Options that take several words: ``-s a b`` is ``-s a -s b``.
_LISTS = ("-s", "--select", "--exclude", "-p", "--pipeline")
#: In a context's ``meta``: the option whose list the words so far end in, for completion.
LISTING = "runner.listing"


class Verbs(click.Group):
    """``runner -p silver`` is ``runner run -p silver``; who writes an unknown verb is told the near one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        first = args[0] if args else "" if ctx.resilient_parsing else "-"
        if first.startswith("-") and first not in ("--help", "-h", "--version"):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.commands:
            if ctx.resilient_parsing:  # completion: the verb is not written to its end
                return None, None, []
            raise fail(
                "unknown-verb",
                None,
                f"there is no command 'runner {args[0]}'",
                why=f"commands are {', '.join(sorted(self.commands))}",
                fix=_only_near(args[0], self.commands) or "see `runner --help`",
            )
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Verbs; and the options of ``run``, which need none."""
        found = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):
            run = self.commands["run"]
            with run.make_context("run", [], parent=ctx, resilient_parsing=True) as inner:
                found += run.shell_complete(inner, incomplete)
        return list({item.value: item for item in found}.values())


class Subverbs(click.Group):
    """A verb with verbs of its own; without one, its help."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args or ([] if ctx.resilient_parsing else ["--help"]))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.commands:
            if ctx.resilient_parsing:
                return None, None, []
            raise fail(
                "unknown-verb",
                None,
                f"there is no command '{ctx.command_path} {args[0]}'",
                why=f"commands are {', '.join(sorted(self.commands))}",
                fix=_only_near(args[0], self.commands) or f"see `{ctx.command_path} --help`",
            )
        return super().resolve_command(ctx, args)


class Verb(click.Command):
    """A verb; ``-s a b`` is ``-s a -s b``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if any(p.name == "select" for p in self.params):
            args, ctx.meta[LISTING] = _spread(args)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = (
                error.ctx or ctx
            )  # click's parser does not say of which verb an option lacks its value
            raise

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Options, and further words after ``-s a``."""
        found = super().shell_complete(ctx, incomplete)
        if not found and (listing := ctx.meta.get(LISTING)):
            return next(p for p in self.params if listing in p.opts).shell_complete(ctx, incomplete)
        return found


def _spread(args: Sequence[str]) -> tuple[list[str], str]:
    """The words with ``-s`` before each name, and the option whose list they end in."""
    found: list[str] = []
    listing = ""
    for arg in args:
        if listing and not arg.startswith("-"):
            found += [] if found[-1] == listing else [listing]
            found.append(arg)
            continue
        listing = arg if arg in _LISTS else ""
        found.append(arg)
    return found, listing


def usage_error(error: click.UsageError) -> ProjectError:
    """A click error as ours: what is wrong, and what to write."""
    verb = error.ctx.command_path if error.ctx else "runner"
    see = f"see `{verb} --help`"
    match error:
        case click.NoSuchOption():
            known = (
                [name for p in error.ctx.command.params for name in (*p.opts, *p.secondary_opts)]
                if error.ctx
                else []
            )
            name = error.option_name
            return fail(
                "unknown-option",
                None,
                f"`{verb}` has no option '{name}'",
                why=f"options are {', '.join(sorted(n for n in known if n.startswith('--')))}",
                fix=_only_near(name, known) or see,
            )
        case click.MissingParameter():
            shown = error.param.human_readable_name.upper() if error.param else ""
            return fail(
                "missing-argument",
                None,
                f"`{verb}` wants {shown}",
                why="it has no default",
                fix=f"write `{verb} {shown}`",
            )
        case click.BadParameter():
            shown = error.param.opts[-1] if error.param else verb
            return fail(
                "bad-argument", None, f"{shown}: {_said(error.message)}", why=_wanted(error.param), fix=see
            )
    text = _sentence(error.format_message())
    fix = see
    if "unexpected extra argument" in text:
        fix = f"the verb comes first (`runner ls --target local`), names of models after -s; {see}"
    return fail("bad-arguments", None, f"`{verb}`: {text}", why="it cannot be told what is meant", fix=fix)


def variables(texts: Sequence[str]) -> dict[str, Any]:
    """``--vars 'a: 1'``, each a YAML mapping; later ones win. ProjectError for anything else."""
    from runner.load.nodes import Entries, Unreadable, parse_text
    from runner.load.reader import PLAIN, WrongAt, free_value

    found: dict[str, Any] = {}
    faults: list[Fault] = []
    for text in texts:
        try:
            node = parse_text(text, "--vars", faults)
            if not isinstance(node, Entries):
                faults.append(
                    Fault(
                        "bad-vars",
                        None,
                        f"--vars: '{text}' is not a mapping",
                        "variables have names and values",
                        "write --vars 'name: value' (a blank after the colon)",
                    )
                )
                continue
            found |= {key.text: free_value(value) for key, value in node.entries}
        except Unreadable as error:
            faults.append(error.fault)
        except WrongAt as error:
            faults.append(
                Fault("bad-vars", error.place, error.wrong.what, error.wrong.why or PLAIN, error.wrong.fix)
            )
    if faults:
        raise ProjectError(tuple(faults))
    return found


def names(texts: Sequence[str]) -> tuple[str, ...]:
    """The words of all ``-s``."""
    return tuple(word for text in texts for word in text.split())


def _only_near(word: str, known: Any) -> str:
    hint = did_you_mean(word, known)
    return hint if hint.startswith("did") else ""


def _said(message: str) -> str:
    return _sentence(message).replace("integer range", "whole number").replace("float range", "number")


def _wanted(param: click.Parameter | None) -> str:
    match param.type if param else None:
        case click.Choice(choices=choices):
            return f"it is to be one of {', '.join(map(str, choices))}"
        case click.IntRange(min=least):
            return f"it is to be a whole number, {least} or more"
        case click.FloatRange(min=least):
            return f"it is to be a number, {least} or more"
    return "it is to be a value that the option takes"


def _sentence(text: str) -> str:
    text = text.strip().rstrip(".")
    return text[:1].lower() + text[1:]
