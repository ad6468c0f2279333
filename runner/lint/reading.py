"""Rules of what a run reads: partitions that nothing constrains, so that whole tables are read in every run.

Which predicates the engine adds is ``execute``'s to decide (docs/architecture.md, "Pruning stays exact");
these are the cases in which it has nothing to add.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from runner.errors import Fault
from runner.lineage.query import parse_query
from runner.lineage.snippets import columns_of
from runner.lint.look import Look, conditions_of, said
from runner.render import TARGET_VIEW
from runner.spec import Check, CheckKind, Read, Source, Target


def reading_faults(at: Look) -> Iterator[Fault]:
    """All rules of what one model reads."""
    yield from _merge(at)
    for source in at.model.sources:
        if source.read is Read.AFFECTED:
            yield from _groups(at, source)
        if source.read is Read.ALL and at.model.incremental:
            yield from _whole(at, source)
    for check in at.model.table_checks:
        yield from _check(at, check)
    yield from _athena(at.model.target)


def _merge(at: Look) -> Iterator[Fault]:
    """Old partitions are known from old images, from the target's rows, by the key, or are fixed."""
    model, target = at.model, at.model.target
    looked_up = model.replayable and model.on_change == "rebuild"
    if not target.partitions or target.partitions_fixed or looked_up or model.incremental is None:
        return
    if not set(target.partitions) & set(target.key):
        yield said(
            "unpruned-merge",
            target.place,
            f"{target.table} is partitioned by ({', '.join(target.partitions)}), and in which partition the"
            " old row of a key lies is not known",
            why="so the MERGE of every run reads the whole table",
            fix="write `partitions_fixed: true` where a key never changes its partition, or put"
            f" {target.partitions[0]} into the key",
        )


def _groups(at: Look, source: Source) -> Iterator[Fault]:
    target, parts = at.model.target, at.partitions(source)
    told = [column for column in source.by[0] if column in target.partitions] if source.by else []
    if not told and (target.partitions or parts):
        whole = [str(target.table)] * bool(target.partitions) + [f"'{source.name}'"] * bool(parts)
        yield said(
            "unpruned-groups",
            source.place,
            f"`by` of '{source.name}' names no column that {target.table} is partitioned by",
            why=f"the rows of touched groups may lie anywhere: every run reads all of {' and '.join(whole)}",
            fix="let the key, `by` and `partitions:` share a column"
            + (f" that is computed from {' or '.join(parts)}" if parts else ""),
        )
        return
    for i, mapping in enumerate(source.by if parts else ()):
        if not any(columns_of(mapping[c]) and columns_of(mapping[c]) <= set(parts) for c in told):
            yield said(
                "unpruned-groups",
                source.by_places[i][told[0]] if source.by_places else source.place,
                f"{' and '.join(told)} of '{source.name}' comes from more than its partitions"
                f" ({', '.join(parts)})",
                why=f"rows of touched groups may lie in any of them: every run reads all of '{source.name}'",
                fix=f"compute {told[0]} from {' or '.join(parts)} alone",
            )


def _whole(at: Look, source: Source) -> Iterator[Fault]:
    parts = at.partitions(source)
    if parts and not {part.lower() for part in parts} & at.conditions:
        yield said(
            "whole-table-read",
            source.place,
            f"'{source.name}' is read whole in every run, and no condition of the query names its partitions"
            f" ({', '.join(parts)})",
        )


def _check(at: Look, check: Check) -> Iterator[Fault]:
    parts = {part.lower() for part in at.model.target.partitions}
    if not parts or check.scheduled:
        return
    match check.kind:
        case CheckKind.SQL:
            rendered = at.rendered.expectations[check.name].rendered
            query = parse_query(rendered, lambda _: check.place)
            if isinstance(query, Fault) or not any(
                t.name.lower() == TARGET_VIEW for t in query.tree.find_all(exp.Table)
            ):
                return
            looked = conditions_of(query.tree)
            whole = "its query has no condition on"
        case CheckKind.UNIQUE if check.columns and set(check.columns) != set(at.model.target.key):
            looked = _named(check.where)
            whole = "columns other than the key are looked for in all of"
        case CheckKind.ROW_COUNT if check.where:
            looked = _named(check.where)
            whole = "`where` names none of"
        case _:
            return
    if not looked & parts:
        names = ", ".join(at.model.target.partitions)
        yield said(
            "whole-table-check",
            check.place,
            f"the check '{check.name}' reads all of {at.model.target.table} in every run: {whole} its"
            f" partitions ({names})",
        )


def _named(predicate: str) -> frozenset[str]:
    return frozenset(name.lower() for name in columns_of(predicate)) if predicate else frozenset()


def _athena(target: Target) -> Iterator[Fault]:
    if "athena" in target.readers and target.format_version != 2:
        yield said(
            "athena-format",
            target.place,
            f"{target.table} has format v{target.format_version}, and Athena is to read it",
        )
