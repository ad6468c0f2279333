"""Options that verbs share, folded into one :class:`Ask`: where to work, on which models, how loudly."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.argv import names, variables
from runner.cli import words
from runner.console import Console
from runner.errors import ProjectError, fail

if TYPE_CHECKING:
    from runner.compiled import Answer
    from runner.findings import Report
    from runner.load import Loaded
    from runner.render import Rendered
    from runner.spec import Model, Project

_PLACE = (
    click.option(
        "--target", metavar="NAME", help="The target of profiles.yml.", shell_complete=words.targets
    ),
    click.option(
        "--lake",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="The lake's folder, in place of the profile's warehouse.",
    ),
    click.option(
        "--vars", "vars", multiple=True, metavar="YAML", help="Variables: 'name: value'. Repeatable."
    ),
)
_SELECTION = (
    click.option(
        "-p",
        "--pipeline",
        "pipelines",
        multiple=True,
        metavar="NAME…",
        help="Pipelines; all of them without.",
        shell_complete=words.pipelines,
    ),
    click.option(
        "-s",
        "--select",
        multiple=True,
        metavar="WORD…",
        help="Models: name, pipeline.name or table; +a with what it reads, a+ with its readers, 2+a with two"
        " steps of them, @a with its readers and all they read; tag:, path:, layer:, source:, owner:,"
        " state:, result:; a comma intersects.",
        shell_complete=words.models,
    ),
    click.option(
        "--exclude",
        multiple=True,
        metavar="WORD…",
        help="All but these models.",
        shell_complete=words.models,
    ),
    click.option(
        "--state",
        metavar="DIR|git:REF",
        help="What `state:` compares with: a folder with manifest.json, or a commit.",
    ),
)
_QUIET = click.option("-q", "--quiet", is_flag=True, help="Say only what went wrong.")
_LOG_FORMAT = click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: one object a line.",
)


_ELSEWHERE = ("state:", "result:")
#: What several verbs ask for beside these, each in its own place among their options.
THREADS = click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="How many models run side by side.",
)
AS_OBJECTS = click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: one object a line.",
)
NO_CACHE = click.option(
    "--no-cache",
    is_flag=True,
    help="Look at every file again; neither use nor keep answers in target/cache/.",
)
SKIP_LOST = click.option(
    "--skip-lost-records",
    is_flag=True,
    help="Go on where records of a topic went before they were read; without it that is an error.",
)
LOCK_TIMEOUT = click.option(
    "--lock-timeout",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for another writer.",
)


def _branch_name(context: click.Context, option: click.Parameter, value: str | None) -> str:
    if context.resilient_parsing:  # completion, which need not wait for the import
        return str(value)
    from runner.branch import require_name

    return require_name(value)


BRANCH = click.option(
    "--branch",
    metavar="NAME",
    callback=_branch_name,
    help="A development branch; tables without one of that name are read on main.",
)
ALLOW_SCHEMA_CHANGE = click.option(
    "--allow-schema-change",
    is_flag=True,
    help="Change columns for a branch although readers of main see it at once.",
)


@dataclass(frozen=True)
class Ask:
    """What the shared options say; those of the selection are empty for verbs without them."""

    console: Console
    target: str | None = None
    lake: Path | None = None
    vars: Sequence[str] = ()
    pipelines: Sequence[str] = ()
    select: Sequence[str] = ()
    exclude: Sequence[str] = ()
    state: str | None = None

    @property
    def narrowed(self) -> bool:
        """Whether some models are asked for, and not all."""
        return bool(self.pipelines or self.select or self.exclude)

    def place(self) -> dict[str, Any]:
        """Where a command works and with which variables, as `retry` asks for it again."""
        lake = str(self.lake.absolute()) if self.lake else None
        return {"target": self.target, "lake": lake, "vars": list(self.vars)}

    def root(self) -> Path:
        """The project's folder, around the current one."""
        from runner.root import find_root

        root = find_root(Path.cwd())
        if root is None:
            raise fail(
                "no-project",
                None,
                f"there is no project in {Path.cwd()} or above it",
                why="a project is a folder with pipelines/ or profiles.yml",
                fix="change to the project's folder",
            )
        self.console.root = root
        return root

    def read(self) -> Loaded:
        """The project around the current folder, with its faults."""
        from runner.load import read_project

        root = self.root()
        return read_project(root, target=self.target, overrides=variables(self.vars), lake=self.lake)

    def project(self) -> Project:
        """The project; ProjectError with the faults of its YAML."""
        loaded = self.read()
        if loaded.faults:
            raise ProjectError(loaded.faults)
        return loaded.project

    def lake_project(self) -> Project:
        """A project whose lake is known, whatever is wrong with its models: tables can be looked at while
        a pipeline is being written."""
        loaded = self.read()
        about_lake = [f for f in loaded.faults if f.place is None or f.place.file == "profiles.yml"]
        if about_lake:
            raise ProjectError(about_lake)
        return loaded.project

    def models(self, project: Project) -> tuple[Model, ...]:
        """The selected models in the order in which they run."""
        from runner.selectors import Elsewhere, select

        def states() -> Mapping[str, str]:
            from runner import state  # compiles the project, twice

            given = variables(self.vars)
            return state.states(project, self.state, target=self.target, overrides=given)

        def results() -> Mapping[str, Collection[str]]:
            from runner import state

            return state.results(project, self.state)

        return select(
            project,
            pipelines=names(self.pipelines),
            words=names(self.select),
            exclude=names(self.exclude),
            elsewhere=Elsewhere(states, results),
        )

    def whole(self) -> Ask:
        """The same, of all models."""
        return dataclasses.replace(self, pipelines=(), select=(), exclude=(), state=None)

    def sql(self, *, cache: bool, describe: bool = False) -> Answer:
        """The SQL of the selected models; ProjectError with all faults at once.

        ``cache``: whether answers are kept and used; ``describe``: as for :func:`runner.compiled.compiled`.
        """
        from runner.compiled import compiled

        keep = cache and not self._asks_elsewhere
        return compiled(self.root(), self._question, self.read, self.models, describe=describe, keep=keep)

    def report(self, *, cache: bool) -> Report:
        """What lint says of the selected models; ``cache``: whether answers are kept and used."""
        from runner.linted import linted

        return linted(
            self.root(),
            self._question,
            self.read,
            self.models,
            narrowed=self.narrowed,
            keep=cache and not self._asks_elsewhere,
        )

    @property
    def _question(self) -> list[object]:
        """All that decides, beside the project's files, what is read and selected."""
        lake = str(self.lake.absolute()) if self.lake else None
        words = [names(self.pipelines), names(self.select), names(self.exclude)]
        return [self.target, lake, list(self.vars), os.path.expanduser("~"), words]

    @property
    def _asks_elsewhere(self) -> bool:
        """Whether words ask for other runs and other states: of these the project's files do not tell."""
        return any(word in text for text in (*self.select, *self.exclude) for word in _ELSEWHERE)

    def compiled(self) -> tuple[Project, tuple[Model, ...], dict[str, Rendered]]:
        """The project, the selected models and their statements; ProjectError with all faults at once."""
        from runner.lineage import compile_project

        loaded = self.read()
        if loaded.faults:
            compile_project(loaded.project, faults=loaded.faults, broken=loaded.broken)
        models = self.models(loaded.project)
        return loaded.project, models, dict(compile_project(loaded.project, models))


def asks(*, selection: bool = False, output: bool = False) -> Callable[[Callable[..., int]], Any]:
    """Give a command the shared options, as its first argument: ``command(ask, *, …own options)``.

    ``output``: it tells what it does, and can be quiet about it.
    """

    def decorate(command: Callable[..., int]) -> Any:
        @functools.wraps(command)
        def verb(
            console: Console,
            /,
            *,
            target: str | None,
            lake: Path | None,
            vars: Sequence[str],
            pipelines: Sequence[str] = (),
            select: Sequence[str] = (),
            exclude: Sequence[str] = (),
            state: str | None = None,
            quiet: bool = False,
            log_format: str = "text",
            **own: Any,
        ) -> int:
            console.quiet = quiet
            console.as_json |= log_format == "json"
            ask = Ask(console, target, lake, vars, pipelines, select, exclude, state)
            return command(ask, **own)

        given: Any = verb
        # click shows options in the reverse order of their application: shared ones, own, output.
        own_options, given.__click_params__ = getattr(command, "__click_params__", []), []
        for option in reversed((*((_QUIET,) if output else ()), _LOG_FORMAT)):
            given = option(given)
        given.__click_params__ += own_options
        for option in reversed((*(_SELECTION if selection else ()), *_PLACE)):
            given = option(given)
        return click.pass_obj(given)

    return decorate
