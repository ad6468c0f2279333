"""The forms in which a check may be written → records of the kind, its arguments and its options.

``not_null`` · ``{range: {min: 1}}`` · ``{regex: '…', severity: warn}`` · ``{unique: [a, b]}``: what a
check needs stands in its own mapping, its options there or beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.errors import Place, did_you_mean
from runner.load.keys import CHECK_FORMS, CHECK_OPTIONS, CheckForm, Key
from runner.load.nodes import Entries, Items, Node, Scalar

if TYPE_CHECKING:
    from runner.load.reader import Reader, Record


@dataclass(frozen=True)
class CheckRecord:
    """A check as it is written. ``values``: its arguments and options."""

    kind: str
    values: Record
    place: Place


_SCOPE = {True: "it looks at whole rows or the whole table", False: "it looks at one column"}


def read_checks(reader: Reader, node: Node, label: str, *, of_column: bool) -> Iterator[CheckRecord]:
    """The checks of a column or a model."""
    if not isinstance(node, Items):
        reader.fault(
            "wrong-type",
            node.place,
            f"`{label}` is no list of checks",
            "a column or model may have several",
            "write [not_null] or one check a line with '- '",
        )
        return
    for item in node.items:
        if found := _read_check(reader, item, of_column=of_column):
            yield found


def _read_check(reader: Reader, node: Node, *, of_column: bool) -> CheckRecord | None:
    kinds = {
        name: form for name, form in CHECK_FORMS.items() if (form.of_column if of_column else form.of_model)
    }
    if isinstance(node, Scalar):
        form = _form(reader, node.text, node.place, kinds, of_column=of_column)
        return _complete(reader, node.text, form, {}, node.place) if form else None
    if not isinstance(node, Entries) or not node.entries:
        reader.fault(
            "wrong-type",
            node.place,
            "this is not a check",
            "a check is its kind, or a mapping with one kind",
            f"write one of {', '.join(kinds)}",
        )
        return None
    beside = [(key, value) for key, value in node.entries if key.text in CHECK_OPTIONS]
    named = [(key, value) for key, value in node.entries if key.text not in CHECK_OPTIONS]
    if len(named) != 1:
        place = named[1][0].place if named else node.place
        what = " and ".join(f"'{key.text}'" for key, _ in named) or "no kind"
        reader.fault(
            "wrong-check",
            place,
            f"this check has {what}",
            "a check has one kind; its options are " + ", ".join(CHECK_OPTIONS),
            _near(named[1][0].text, CHECK_OPTIONS) if named else f"write one of {', '.join(kinds)}",
        )
        return None
    (key, value), *_ = named
    form = _form(reader, key.text, key.place, kinds, of_column=of_column)
    if form is None:
        return None
    inside = _inside(reader, key.text, form, value)
    if inside is None:
        return None
    for option, given in beside:
        if option.text in inside:
            reader.fault(
                "duplicate-key",
                option.place,
                f"'{option.text}' is written inside the check and beside it",
                "only one can hold",
                "remove one of them",
            )
        inside[option.text] = (option.place, given)
    return _complete(reader, key.text, form, inside, key.place)


def _form(
    reader: Reader, kind: str, place: Place, kinds: Mapping[str, CheckForm], *, of_column: bool
) -> CheckForm | None:
    if kind in kinds:
        return kinds[kind]
    if kind in CHECK_FORMS:
        where = "a model" if of_column else "a column"
        reader.fault(
            "wrong-check",
            place,
            f"'{kind}' is a check of {where}",
            _SCOPE[of_column],
            "move it to `checks:` of the " + ("model" if of_column else "column that it looks at"),
        )
    else:
        reader.fault(
            "unknown-check",
            place,
            f"there is no check '{kind}'",
            f"checks are {', '.join(kinds)}",
            _near(kind, kinds),
        )
    return None


def _inside(reader: Reader, kind: str, form: CheckForm, value: Node) -> dict[str, tuple[Place, Node]] | None:
    """The entries of a check's own mapping; a short form becomes its one entry."""
    if isinstance(value, Entries):
        return {key.text: (key.place, item) for key, item in value.entries}
    if isinstance(value, Scalar) and value.plain and not value.text and not _needed(form.args):
        return {}
    if form.short:
        return {form.short: (value.place, value)}
    fix = (
        f"write `{kind}: {{{', '.join(f'{name}: …' for name in form.args)}}}`"
        if form.args
        else f"write `{kind}` alone"
    )
    reader.fault("wrong-type", value.place, f"`{kind}` takes a mapping", "its values need names", fix)
    return None


def _needed(args: Mapping[str, Key]) -> bool:
    return any(key.required for key in args.values())


def _complete(
    reader: Reader, kind: str, form: CheckForm, inside: Mapping[str, tuple[Place, Node]], place: Place
) -> CheckRecord | None:
    entries = tuple((Scalar(name, False, at), node) for name, (at, node) in inside.items())
    known = {**form.args, **CHECK_OPTIONS}
    values = reader.keyed(Entries(entries, place), known, f"{kind} check")
    limits = [name for name in form.args if name not in ("column", "columns")]
    if limits and not _needed(form.args) and not any(name in values.key_places for name in limits):
        reader.fault(
            "missing-key",
            place,
            f"this {kind} check limits nothing",
            "it could not fail",
            f"write {' or '.join(limits)}",
        )
        return None
    if any(key.required and name not in values for name, key in form.args.items()):
        return None
    if not form.one_row and values.get("severity") == "quarantine":
        reader.fault(
            "wrong-severity",
            values.place_of("severity"),
            f"a {kind} check cannot quarantine",
            "only a predicate over one row says which row to set aside",
            "use severity warn or error",
        )
    return CheckRecord(kind, values, place)


def _near(word: str, known: Iterable[str]) -> str:
    hint = did_you_mean(word, known)
    return hint if hint.startswith("did") else f"write {' or '.join(known)}"
