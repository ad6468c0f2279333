"""Stage 2: a model's .sql file → its statement, cut in parts, with a map back to the file, and a fingerprint.

No clock, no queries, no network: the same files and variables give the same text everywhere.
"""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.exceptions import SecurityError

from runner.accept import statement_faults
from runner.cut import cut
from runner.errors import Fault, Place, ProjectError, did_you_mean
from runner.fill import fill
from runner.macros import Macros, load_macros, place_of_tag, read_sql, template_fault, unknown_names
from runner.markers import Marked, SourceMap, mark, unmark
from runner.merge import Statement, changed_sql
from runner.spec import Check, CheckKind, FilesInput, Model, Project, Severity, Source, TableInput
from runner.template import MAX_OUTPUT, Budget, Refused, Sandbox
from runner.tokens import normal_words


@dataclass(frozen=True)
class Rendered:
    """A model's statement. ``places.at(line, col)``: where a position of ``text`` comes from.

    ``expectations``: the queries of its ``sql`` checks, by the check's name.
    """

    text: str
    statement: Statement
    fingerprint: str
    places: SourceMap
    expectations: Mapping[str, SourceMap] = field(default_factory=dict)


def view_name(source: str) -> str:
    """The view that ``{{ source('name') }}`` stands for."""
    return f"__{source}"


#: The view that ``{{ target }}`` stands for in the query of a ``sql`` check.
TARGET_VIEW = "__target"


def render(model: Model, project: Project, macros: Macros | None = None) -> Rendered:
    """The statement of ``model``; ProjectError with all faults of the template and its MERGE.

    ``macros``: those of the project, where they are loaded already.
    """
    known = load_macros(project.root) if macros is None else macros
    faults: list[Fault] = []
    expectations = {}
    for check in model.table_checks:
        if check.kind is CheckKind.SQL:
            try:
                expectations[check.name] = _expectation(model, check, project.root, known)
            except ProjectError as error:
                faults += error.faults
    try:
        source = read_sql(project.root / model.sql, model.sql)
        places = _Rendering(model, model.sql, source, known, _given(model)).run()
        statement = cut(places.rendered, places.at)
        faults += statement_faults(model, statement, places.at)
    except ProjectError as error:
        raise ProjectError((*faults, *error.faults)) from None
    if faults:
        raise ProjectError(tuple(faults))
    return Rendered(places.rendered, statement, fingerprint(model, statement), places, expectations)


def _expectation(model: Model, check: Check, root: Path, macros: Macros) -> SourceMap:
    """The query of a ``sql`` check, rendered."""
    path = str(check.args["path"])
    given = {**_given(model, only_tables=True), "target": TARGET_VIEW}
    del given["changed"]
    return _Rendering(model, path, read_sql(root / path, path), macros, given).run()


def fingerprint(model: Model, statement: Statement) -> str:
    """SHA-256 of what decides the target's rows: query, clauses, inputs, key, types, row checks.

    Blanks, comments, descriptions, tags and the names of checks are not in it; nor are the paths of
    files and topics, which are read once.
    """
    decides = {
        "using": normal_words(statement.using.text),
        "on": normal_words(statement.on.text),
        "clauses": [normal_words(clause.text.text) for clause in statement.clauses],
        "sources": {s.name: _source(s) for s in model.sources},
        "key": model.target.key,
        "partitions": model.target.partitions,
        "columns": [[c.name, c.type] for c in model.target.columns],
        "history": model.history,
        "drop": normal_words(model.drop.when) if model.drop else None,
        "dedupe": model.dedupe.order if model.dedupe else None,
        "checks": [_row_check(c) for c in model.row_checks],
    }
    text = json.dumps(decides, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _row_check(check: Check) -> list[object]:
    decides: list[object] = [check.kind, check.column, check.args, check.severity is Severity.QUARANTINE]
    return [*decides, normal_words(check.where)] if check.where else decides


def _source(source: Source) -> list[object]:
    by = [{column: normal_words(sql) for column, sql in mapping.items()} for mapping in source.by]
    match source.origin:
        case TableInput(table):
            return [str(table), source.read, by]
        case FilesInput(_, format):
            return [format, source.read, by]
    return ["kafka", source.read, by]


def _given(model: Model, *, only_tables: bool = False) -> dict[str, Callable[..., str] | object]:
    """What a template of ``model`` may name. ``only_tables``: its files and topics are no sources."""
    tables = [s.name for s in model.sources if isinstance(s.origin, TableInput)]
    sources = tables if only_tables else [s.name for s in model.sources]
    columns, key = model.target.column_names, model.target.key

    def source(name: str) -> str:
        if name not in sources:
            hint = did_you_mean(str(name), sources)
            if name in [s.name for s in model.sources]:
                raise Refused(
                    "not-a-table",
                    f"the source '{name}' of {model.id} is not a table",
                    "files and topics are read once, so a check cannot look at them again",
                    "read the table that they went into: {{ target }}",
                    word=str(name),
                )
            raise Refused(
                "unknown-source",
                f"{model.id} has no source '{name}'",
                f"sources are declared at {model.place}",
                hint or "declare it under `sources:`",
                word=str(name),
            )
        return view_name(name)

    def var(name: str) -> object:
        if name not in model.vars:
            hint = did_you_mean(str(name), model.vars)
            raise Refused(
                "unknown-var",
                f"there is no variable '{name}'",
                "variables are declared under `vars:` of the pipeline or the profile",
                hint if hint.startswith("did") else f"declare it: vars: {{{name}: …}}",
                word=str(name),
            )
        return _without_marks(model.vars[name], str(name))

    def changed(target: str, source: str) -> str:
        return changed_sql(columns, key, target, source)

    return {"target": str(model.target.table), "source": source, "var": var, "changed": changed}


class _Rendering:
    """One run of one template: ``source`` is the text of ``file``."""

    def __init__(
        self, model: Model, file: str, source: str, macros: Macros, given: Mapping[str, Any]
    ) -> None:
        self.model, self.file, self.text, self.macros, self.given = model, file, source, macros, given

    @cached_property
    def sandbox(self) -> Sandbox:
        return Sandbox(Budget())

    def run(self) -> SourceMap:
        return fill(self.text, self.file, self.given, Refused) or self._by_jinja()

    def _by_jinja(self) -> SourceMap:
        names = self.macros.bind(self.sandbox, self.given)
        try:
            marked = mark(self.text, self.sandbox)
            tree = self.sandbox.parse(marked.text, self.file, self.file)
            if faults := unknown_names(tree, self.text, self.file, [*names, "range"]):
                raise ProjectError(tuple(faults))
            return self._generate(tree, marked, names)
        except Refused as error:
            raise ProjectError((self._refused(error),)) from None
        except TemplateSyntaxError as error:
            raise ProjectError((template_fault(error, self.text, self.file),)) from None
        except UndefinedError as error:
            raise ProjectError(
                (
                    self._fault(
                        error,
                        "unknown-name",
                        f"the template uses a value that is not there: {error.message}",
                        "a missing value is an error here, never empty text",
                        "check the name, or give it a value",
                    ),
                )
            ) from None
        except SecurityError as error:
            raise ProjectError(
                (
                    self._fault(
                        error,
                        "template-attribute",
                        f"the template reaches too far: {error.message}",
                        "templates see text, numbers, lists and mappings",
                        "use a filter",
                    ),
                )
            ) from None
        except RecursionError as error:
            raise ProjectError(
                (
                    self._fault(
                        error,
                        "template-too-deep",
                        "the template calls itself without end",
                        "a macro that calls itself needs a case in which it does not",
                        "end the recursion with {% if %}",
                    ),
                )
            ) from None
        except (
            TemplateError,
            TypeError,
            ValueError,
            ZeroDivisionError,
            KeyError,
            OverflowError,
            AttributeError,
        ) as error:
            raise ProjectError(
                (
                    self._fault(
                        error,
                        "template-failed",
                        f"the template fails: {error}",
                        "an operation does not fit its values",
                        "check the values that it works with",
                    ),
                )
            ) from None

    def _generate(self, tree: nodes.Template, marked: Marked, names: Mapping[str, Any]) -> SourceMap:
        code = self.sandbox.compile(tree, self.file, self.file)
        template = self.sandbox.template_class.from_code(self.sandbox, code, self.sandbox.make_globals(None))
        pieces: list[str] = []
        size = 0
        for piece in template.generate(names):
            size += len(piece)
            # The marks have their share of it.
            if size > 2 * MAX_OUTPUT:
                raise Refused(
                    "template-too-large",
                    f"the statement is longer than {MAX_OUTPUT:,} characters",
                    "no statement is that long",
                    "loop over fewer things, or write the loop as SQL",
                )
            pieces.append(piece)
        return unmark("".join(pieces), marked, self.file)

    def _refused(self, error: Refused) -> Fault:
        if error.line:
            return template_fault(error, self.text, self.file)
        return self._fault(error, error.code, error.what, error.why, error.fix, error.word)

    def _fault(self, error: BaseException, code: str, what: str, why: str, fix: str, word: str = "") -> Fault:
        return Fault(code, self._place(error, word), what, why, fix)

    def _place(self, error: BaseException, word: str) -> Place:
        """The innermost line of a template in the traceback, be it of the model or of a macro."""
        sources = {self.file: self.text}
        sources |= {file.file: file.source for file in self.macros.files}
        frames = traceback.extract_tb(error.__traceback__)
        for frame in reversed(frames):
            if frame.filename in sources and frame.lineno:
                return place_of_tag(sources[frame.filename], frame.filename, frame.lineno, word)
        return Place(self.file, 1, 1)


def _without_marks(value: object, name: str) -> object:
    if isinstance(value, str) and any("\ue000" <= sign <= "\uf8ff" for sign in value):
        raise Refused(
            "bad-character",
            f"the variable '{name}' holds a private-use character",
            "it has no meaning that others share",
            "remove it from the value",
            word=name,
        )
    return value
