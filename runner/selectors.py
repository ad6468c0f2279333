"""Which models a command line names: dbt's selectors over a project's models.

In: the words of ``--select`` and ``--exclude``, and what is known of another state. Out: models in the order
in which they run. ProjectError for words that nothing answers to, with what was meant.

A word is a union member; within it ``,`` intersects. A term is a name (of a model, ``pipeline.model`` or a
table; ``*`` stands for anything), or ``method:value``, with ``+`` before it for what it reads, after it for
its readers (``2+a``: two steps), or ``@`` before it for its readers and everything that those read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from runner.errors import Fault, ProjectError, did_you_mean
from runner.graph import order, parents
from runner.spec import FilesInput, KafkaInput, Model, Project, TableInput

_TERM = re.compile(
    r"(?P<at>@)?(?:(?P<up_depth>\d*)(?P<up>\+))?(?:(?P<method>[a-z_]+):)?(?P<value>.*?)"
    r"(?:(?P<down>\+)(?P<down_depth>\d*))?"
)
#: The ends of a model that ``result:`` tells apart. ``warn``: a check warned; ``stale``: a freshness check
#: failed; ``unfinished``: the run ended before the model did.
RESULTS = ("success", "nothing", "error", "gated", "skipped", "busy", "warn", "stale", "unfinished")
STATES = ("modified", "new", "unmodified")
_WILD = "*"


@dataclass(frozen=True)
class Elsewhere:
    """What selectors know beyond the project, asked for when a word needs it.

    ``states``: model id → one of :data:`STATES`, against another state; ``results``: model id →
    those of :data:`RESULTS` that the last run left. Both raise ProjectError where there is nothing to
    compare with.
    """

    states: Callable[[], Mapping[str, str]]
    results: Callable[[], Mapping[str, Collection[str]]]


def _nothing() -> Mapping[str, str]:
    return {}


NOWHERE = Elsewhere(_nothing, _nothing)


def select(
    project: Project,
    *,
    pipelines: Sequence[str] = (),
    words: Sequence[str] = (),
    exclude: Sequence[str] = (),
    elsewhere: Elsewhere = NOWHERE,
) -> tuple[Model, ...]:
    """The models that a command line names, in order; all of them without a word."""
    known = [p.name for p in project.pipelines]
    faults = [_no_pipeline(name, known) for name in pipelines if name not in known]
    ordered = order(project)
    scope = [m for m in ordered if not pipelines or m.pipeline in pipelines]
    selection = _Selection(project, ordered, elsewhere)
    inside = frozenset(m.id for m in scope)
    chosen = set() if words else set(inside)
    for word in words:
        found = selection.word(word, "--select")
        is_name = "," not in word and ":" not in word
        if is_name and found and not found & inside and not faults:
            faults.append(_not_inside(word, pipelines, selection.pipelines_of(found)))
        chosen |= found & inside
    for word in exclude:
        chosen -= selection.word(word, "--exclude")
    faults += selection.faults
    if faults:
        raise ProjectError(tuple(faults))
    return tuple(m for m in scope if m.id in chosen)


@dataclass
class _Selection:
    """The answers to words over one project; ``faults``: what could not be answered."""

    project: Project
    models: Sequence[Model]
    elsewhere: Elsewhere
    faults: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._up = {m.id: frozenset(p.id for p in parents(self.project, m)) for m in self.models}
        self._down: dict[str, set[str]] = {m.id: set() for m in self.models}
        for child, reads in self._up.items():
            for parent in reads:
                self._down[parent].add(child)

    def word(self, word: str, option: str) -> frozenset[str]:
        """Ids of the models that satisfy every term of a word."""
        found = [self._term(term, word, option) for term in word.split(",")]
        return frozenset.intersection(*found)

    def pipelines_of(self, ids: Collection[str]) -> list[str]:
        return sorted({m.pipeline for m in self.models if m.id in ids})

    def _term(self, term: str, word: str, option: str) -> frozenset[str]:
        match = _TERM.fullmatch(term)
        if match is None or not match["value"]:
            self._fail("bad-selector", f"{option}: '{word}' is not a selector",
                       "a term is NAME or METHOD:VALUE, with + or @ around it; a comma stands between two",
                       "write, for example, +a, a+, 2+a, @a or tag:nightly,layer:gold")  # fmt: skip
            return frozenset()
        if match["at"] and (match["up"] or match["down"]):
            self._fail("bad-selector", f"{option}: '{term}' has both @ and +",
                       "@a is a, its readers, and everything that those read: there is nothing left to add",
                       f"write @{match['value']}, or +{match['value']}+")  # fmt: skip
            return frozenset()
        found = self._matched(match["method"], match["value"], option)
        result = set(found)
        if match["at"]:
            result |= self._walk(self._walk(found, self._down, None), self._up, None)
        if match["up"]:
            result |= self._walk(found, self._up, _depth(match["up_depth"]))
        if match["down"]:
            result |= self._walk(found, self._down, _depth(match["down_depth"]))
        return frozenset(result)

    def _matched(self, method: str | None, value: str, option: str) -> frozenset[str]:
        if method is None:
            return self._named(value, option)
        if method not in _METHODS:
            self._fail("unknown-selector", f"{option}: there is no selector '{method}:'",
                       f"selectors are {', '.join(f'{m}:' for m in _METHODS)}",
                       did_you_mean(method, _METHODS))  # fmt: skip
            return frozenset()
        if method == "state":
            return self._told(
                value, STATES, option, lambda: {k: (v,) for k, v in self.elsewhere.states().items()}
            )
        if method == "result":
            return self._told(value, RESULTS, option, self.elsewhere.results)
        bears, what = _METHODS[method]
        found = frozenset(m.id for m in self.models if any(_like(b, value, method) for b in bears(m)))
        if not found:
            known = sorted({b for m in self.models for b in bears(m)})
            self._fail("unmatched-selector", f"{option}: no model has {what} '{value}'",
                       f"known are {', '.join(known)}" if 0 < len(known) <= 12 else "",
                       did_you_mean(value, known) or "see `runner ls --output json`")  # fmt: skip
        return found

    def _named(self, value: str, option: str) -> frozenset[str]:
        found = frozenset(m.id for m in self.models if any(_like(n, value, "name") for n in _names(m)))
        if not found:
            known = {name for m in self.models for name in _names(m)}
            hint = did_you_mean(value, known)
            if not hint.startswith("did"):
                hint = did_you_mean(value, {m.name for m in self.models})
            self._fail("unknown-model", f"{option}: nothing is named '{value}'",
                       "a name is a model's, pipeline.model, or its table", hint)  # fmt: skip
        return found

    def _told(
        self,
        value: str,
        values: Sequence[str],
        option: str,
        ask: Callable[[], Mapping[str, Collection[str]]],
    ) -> frozenset[str]:
        if value not in values:
            self._fail("unmatched-selector", f"{option}: there is no '{value}' to select by",
                       f"it is to be one of {', '.join(values)}", did_you_mean(value, values))  # fmt: skip
            return frozenset()
        try:
            told = ask()
        except ProjectError as error:
            self.faults += [f for f in error.faults if f not in self.faults]
            return frozenset()
        return frozenset(m.id for m in self.models if value in told.get(m.id, ()))

    def _walk(
        self, start: Iterable[str], edges: Mapping[str, Collection[str]], depth: int | None
    ) -> set[str]:
        """What ``edges`` lead to from ``start`` in at most ``depth`` steps, with ``start``."""
        reached = set(start)
        border = set(reached)
        while border and depth != 0:
            border = {to for id in border for to in edges[id]} - reached
            reached |= border
            depth = None if depth is None else depth - 1
        return reached

    def _fail(self, code: str, what: str, why: str, fix: str) -> None:
        self.faults.append(Fault(code, None, what, why, fix))


def _depth(digits: str) -> int | None:
    return int(digits) if digits else None


def _names(model: Model) -> tuple[str, ...]:
    return (model.name, model.id, str(model.target.table))


def _like(name: str, value: str, method: str) -> bool:
    """Whether a name is what was written: equal, matched by ``*``, or a path below a named folder."""
    if _WILD in value:
        return fnmatchcase(name, value)
    if method == "path":
        return name == value or name.startswith(value.rstrip("/") + "/")
    return name == value


def _sources(model: Model) -> tuple[str, ...]:
    found: list[str] = []
    for source in model.sources:
        found.append(source.name)
        match source.origin:
            case TableInput(table):
                found.append(str(table))
            case FilesInput(path=path):
                found.append(str(path))
            case KafkaInput(topic):
                found.append(topic)
    return tuple(found)


_METHODS: Mapping[str, tuple[Callable[[Model], Collection[str]], str]] = {
    "tag": (lambda m: m.tags, "the tag"),
    "path": (lambda m: (m.sql, m.place.file), "a file at"),
    "layer": (lambda m: (m.pipeline, m.target.table.namespace), "the layer"),
    "source": (_sources, "a source"),
    "owner": (lambda m: (m.owner,) if m.owner else (), "the owner"),
    "state": (lambda m: (), ""),
    "result": (lambda m: (), ""),
}


def _no_pipeline(name: str, known: Sequence[str]) -> Fault:
    return Fault(
        "unknown-pipeline",
        None,
        f"--pipeline: there is no pipeline '{name}'",
        "a pipeline is a file pipelines/NAME.yml",
        did_you_mean(name, known),
    )


def _not_inside(word: str, pipelines: Sequence[str], where: Sequence[str]) -> Fault:
    wanted = " or ".join(f"'{name}'" for name in pipelines)
    return Fault(
        "not-in-pipeline",
        None,
        f"--select: '{word}' is not in the pipeline {wanted}",
        f"it is in {', '.join(where)}",
        "leave out --pipeline, or name the right one",
    )
