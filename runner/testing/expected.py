"""What a test expects: the record under ``expect`` → :class:`Expect`; names of checks must be there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from runner.errors import Place, did_you_mean
from runner.execute.masks import effective_checks
from runner.load.nodes import Entries, Items, Node, Scalar
from runner.load.reader import Record
from runner.spec import Model, Severity
from runner.testing.rows import RowReader
from runner.testing.spec import Expect, RawRow

#: What is looked at in every run, by the names that `runner check` has for it.
ALWAYS = ("key_unique", "key_in_one_partition")
FAILED = "failed_checks"


def read_expect(record: Record, place: Place, model: Model, rows: RowReader) -> Expect:
    """The expectation of one step."""
    target = {c.name: c.type for c in model.target.columns}
    names = [*(check.name for check in (*effective_checks(model), *model.table_checks)), *ALWAYS]
    if not record.key_places:
        rows.fault("empty-mapping", place, "`expect` is empty", "a test that expects nothing cannot fail",
                   "write `target:`, `quarantined:`, `counts:` or `fails:`")  # fmt: skip
    expected = None
    if "target" in record:
        expected = rows.rows(cast(Node, record.get("target")), target, str(model.target.table))
    elif "contains" in record:
        rows.fault("missing-key", record.place_of("contains"), "`contains` stands without `target`",
                   "the target may hold more rows than which?", "write the rows under `target:`")  # fmt: skip
    set_aside = None
    if "quarantined" in record:
        set_aside = _quarantined(cast(Node, record.get("quarantined")), model, rows)
    if "fails" in record and "counts" in record:
        rows.fault("one-of", record.place_of("counts"), "`counts` stands beside `fails`",
                   "where the gate closes nothing is published or counted", "remove one of them")  # fmt: skip
    counts = record.record("counts")
    return Expect(
        place=place,
        target=expected,
        contains=bool(record.get("contains", False)),
        quarantined=set_aside,
        counts={name: cast(int, at.value) for name, at in counts.values.items()} if counts else {},
        fails=_checks(record, "fails", names, rows),
        warns=_checks(record, "warns", names, rows) if "warns" in record else None,
    )


def _checks(record: Record, key: str, known: Sequence[str], rows: RowReader) -> tuple[str, ...]:
    for at in record.many(key):
        if at.value not in known:
            _unknown_check(str(at.value), at.place, known, rows)
    return record.texts(key)


def _quarantined(node: Node, model: Model, rows: RowReader) -> tuple[RawRow, ...]:
    asides = [c.name for c in effective_checks(model) if c.severity is Severity.QUARANTINE]
    if not asides:
        rows.fault("no-quarantine", node.place, f"{model.target.table} sets no row aside",
                   "none of its checks has the severity quarantine", "remove `quarantined:`")  # fmt: skip
    found = []
    for entries in rows.raw(node, "quarantined"):
        failed = entries.get(FAILED)
        if isinstance(failed, Scalar):
            failed = Items((failed,), failed.place)
        for item in failed.items if isinstance(failed, Items) else ():
            if isinstance(item, Scalar) and item.text not in asides:
                _unknown_check(item.text, item.place, asides, rows)
        found.append(_raw(entries, failed))
    return tuple(found)


def _raw(entries: Entries, failed: Node | None) -> RawRow:
    cells = {key.text: value for key, value in entries.entries}
    if failed is not None:
        cells[FAILED] = failed
    return RawRow(cells, entries.place)


def _unknown_check(name: str, place: Place, known: Sequence[str], rows: RowReader) -> None:
    rows.fault(
        "unknown-check",
        place,
        f"the model has no check '{name}'",
        "checks are named in its pipeline's file",
        did_you_mean(name, known),
    )
