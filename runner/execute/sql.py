"""The SQL that the engine runs around an analyst's query: pure text, no Spark.

In: a model, the names of views, the columns that its query returns. Out: the queries that stage its
rows with checks, duplicates and tombstones found in the same pass, and that maintain its quarantine.

Columns that staging adds: ``_mask`` (bit i: row check i failed), ``_aside`` (set aside by a check of
severity quarantine), ``_gone`` (a tombstone: the key leaves the target), ``_was`` (partition tuples that
the target's row had), ``_copies`` (rows that share the key), ``_held`` (the key is in quarantine).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from runner.execute.masks import mask_sql, quarantine_bits
from runner.refs import literal, quote, typed_literal
from runner.spec import Check, Model, Severity

ADDED = ("_mask", "_aside", "_gone", "_was", "_copies", "_held", "_split", "_nth")


def names(columns: Iterable[str], alias: str = "") -> str:
    """``a.`x`, a.`y``` of columns."""
    prefix = f"{alias}." if alias else ""
    return ", ".join(prefix + quote(column) for column in columns)


def texts(columns: Iterable[str]) -> str:
    """A struct of columns as text: what is collected into Python, where not every date exists."""
    return f"struct({', '.join(f'CAST({quote(c)} AS STRING) AS {quote(c)}' for c in columns)})"


def same(columns: Iterable[str], left: str, right: str) -> str:
    """The null-safe equality of columns of two aliases."""
    return " AND ".join(f"{left}.{quote(c)} <=> {right}.{quote(c)}" for c in columns)


@dataclass(frozen=True)
class Staging:
    """How one model's rows are staged.

    ``returned``: columns of the query, name → type. ``checks``: the row checks, bit by bit. ``old_keys``:
    a view of keys (and ``_was``) that leave unless they are produced now; ``groups``: a view of touched
    groups by ``group_columns``; ``held``: a view of the quarantine's keys. Each may be absent.
    """

    model: Model
    returned: Mapping[str, str]
    checks: Sequence[Check]
    rows: str = "__rows"
    old_keys: str | None = None
    groups: str | None = None
    group_columns: Sequence[str] = ()
    held: str | None = None
    left_alone: str = ""  # a predicate over the target's columns: such rows are not touched

    @property
    def key(self) -> tuple[str, ...]:
        return self.model.target.key

    @property
    def helpers(self) -> tuple[str, ...]:
        """Columns of the query that the target does not declare: for drop, dedupe and checks."""
        declared = self.model.target.column_names
        return tuple(c for c in self.returned if c not in declared)

    @property
    def columns(self) -> tuple[str, ...]:
        return self.model.target.column_names + self.helpers

    @property
    def types(self) -> dict[str, str]:
        """The staged type of every column."""
        return dict(self.returned) | {c.name: c.type for c in self.model.target.columns}

    def order(self) -> str:
        """A total order of the rows of one key: the declared one, else by all columns."""
        return names(self.model.dedupe.order if self.model.dedupe else self.columns)

    def counts_read(self) -> dict[str, str]:
        """Aggregates over the query's rows as they come."""
        found = {"read": "count(1)"}
        if self.model.drop:
            found["dropped"] = f"count_if(coalesce({self.model.drop.when}, false))"
        return found

    def sql(self) -> str:
        """The query that is staged."""
        ctes = [f"checked AS ({self._checked()})", f"marked AS ({self._marked()})"]
        last = "marked"
        if self.model.dedupe:
            ctes.append("firsts AS (SELECT * FROM marked WHERE _nth = 1)")
            last = "firsts"
        ctes.append(f"staged AS ({self._with_tombstones(last)})")
        last = "staged"
        if self.held:
            ctes.append(
                "known AS (SELECT s.*, (h._in_quarantine IS NOT NULL AND NOT s._aside) AS _held"
                f" FROM staged AS s LEFT JOIN {self.held} AS h ON {same(self.key, 's', 'h')})"
            )
            last = "known"
        return "WITH " + ",\n".join(ctes) + f"\nSELECT * FROM {last}"

    def _checked(self) -> str:
        target = self.model.target
        typed = [f"CAST(r.{quote(c.name)} AS {c.type}) AS {quote(c.name)}" for c in target.columns]
        typed += [f"r.{quote(c)}" for c in self.helpers]
        only = (
            f" LEFT SEMI JOIN {self.groups} AS g ON {same(self.group_columns, 'r', 'g')}"
            if self.groups
            else ""
        )
        tests = [f"NOT coalesce({self.model.drop.when}, false)"] if self.model.drop else []
        tests += [f"NOT {self.left_alone}"] if self.left_alone else []
        kept = f" WHERE {' AND '.join(tests)}" if tests else ""
        return (
            f"SELECT *, {mask_sql(self.checks)} AS _mask"
            f" FROM (SELECT {', '.join(typed)} FROM {self.rows} AS r{only}){kept}"
        )

    def _marked(self) -> str:
        aside = f"(_mask & {quarantine_bits(self.checks)}L) <> 0"
        window = f"PARTITION BY {names(self.key)}, {aside}"
        added = [f"{aside} AS _aside"]
        if self.model.dedupe:
            order = names(self.model.dedupe.order)
            added.append(f"row_number() OVER ({window} ORDER BY {order}) AS _nth")
            added.append("1L AS _copies")
        else:
            added.append(f"count(1) OVER ({window}) AS _copies")
        target = self.model.target
        if target.partitions_fixed and target.partitions:
            parts = f"struct({names(target.partitions)})"
            added.append(f"(min({parts}) OVER ({window}) <> max({parts}) OVER ({window})) AS _split")
        else:
            added.append("false AS _split")
        return f"SELECT *, {', '.join(added)} FROM checked"

    def _with_tombstones(self, rows: str) -> str:
        columns = self.columns
        kept = [f"n.{quote(c)}" for c in columns if c not in self.key]
        flags = "n._mask, n._copies, n._split"
        if not self.old_keys:
            return (
                f"SELECT {names(columns, 'n')}, {flags}, n._aside, false AS _gone,"
                f" CAST(NULL AS STRING) AS _was FROM {rows} AS n"
            )
        keys = [f"coalesce(n.{quote(c)}, o.{quote(c)}) AS {quote(c)}" for c in self.key]
        return (
            f"SELECT {', '.join(keys + kept)}, coalesce(n._mask, 0L) AS _mask,"
            f" coalesce(n._copies, 1L) AS _copies, coalesce(n._split, false) AS _split,"
            f" coalesce(n._aside, false) AS _aside, (n._mask IS NULL) AS _gone, o._was"
            # A row set aside does not hold its key's place in the target: it never meets the old key.
            f" FROM {rows} AS n FULL OUTER JOIN {self.old_keys} AS o"
            f" ON {same(self.key, 'n', 'o')} AND NOT n._aside"
        )

    def counts_staged(self) -> dict[str, str]:
        """Aggregates over the staged rows: what the gate and the MERGE need to know."""
        found = {
            "kept": "count_if(NOT _gone AND NOT _aside)",
            "aside": "count_if(_aside)",
            "tombstones": "count_if(_gone)",
            "duplicates": "count_if(_copies > 1 AND NOT _aside)",
            "split": "count_if(_split AND NOT _aside)",
        }
        for bit, check in enumerate(self.checks):
            # A row that is set aside closes no gate and warns nobody else.
            among_kept = "" if check.severity is Severity.QUARANTINE else " AND NOT _aside"
            found[f"check_{bit}"] = f"count_if((_mask & {1 << bit}L) <> 0{among_kept})"
            if check.counts_rows:
                found[f"rows_{bit}"] = f"count_if(NOT _gone AND ({check.where}))"
        if self.model.target.partitions:
            parts = texts(self.model.target.partitions)
            found["parts"] = f"collect_set(CASE WHEN NOT _gone AND NOT _aside THEN {parts} END)"
            if self.old_keys:
                found["was"] = "collect_set(_was)"
        if self.held:
            found["leaving"] = "count_if(_held)"
        if late := self.model.late:
            behind = f"CASE WHEN NOT _gone AND NOT _aside THEN {quote(late.column)} END"
            found["late_min"] = f"CAST(min({behind}) AS STRING)"
            found["late_max"] = f"CAST(max({behind}) AS STRING)"
            if self.model.streams:
                seconds = int(late.after.total_seconds())
                bound = f"{quote(late.received)} - make_dt_interval(0, 0, 0, {seconds})"
                found["late"] = f"count_if({behind} < {bound})"
        for i, check in enumerate(timed(self.model)):
            found[f"newest_{i}"] = newest_sql(check, "NOT _gone AND NOT _aside")
        return found

    def failed_checks(self) -> str:
        """The names of the checks a staged row failed, as an array."""
        parts = ", ".join(
            f"CASE WHEN (_mask & {1 << bit}L) <> 0 THEN {literal(check.name)} END"
            for bit, check in enumerate(self.checks)
        )
        return f"array_compact(array({parts}))"


def timed(model: Model) -> tuple[Check, ...]:
    """The freshness checks that look at a column."""
    return tuple(check for check in model.freshness_checks if "column" in check.args)


def newest_sql(check: Check, among: str = "true") -> str:
    """The highest value of a freshness check's column over the rows that it looks at, as text."""
    looked_at = f"{among} AND ({check.where})" if check.where else among
    column = quote(str(check.args["column"]))
    return f"CAST(max(CASE WHEN {looked_at} THEN {column} END) AS STRING)"


def old_keys_sql(model: Model, sources: Sequence[str]) -> str:
    """Keys that leave unless produced now, one row a key: ``_was`` = its old partition tuples.

    ``sources``: queries or views that have the key and the partition columns.
    """
    target = model.target
    extra = [c for c in target.partitions if c not in target.key]
    columns = names((*target.key, *extra))
    union = " UNION ALL ".join(f"SELECT {columns} FROM {source}" for source in sources)
    was = f"collect_set({texts(target.partitions)})" if target.partitions else "CAST(NULL AS STRING)"
    return f"SELECT {names(target.key)}, {was} AS _was FROM ({union}) GROUP BY {names(target.key)}"


def groups_sql(by: Sequence[Sequence[Mapping[str, str]]], changed: Sequence[Sequence[str]]) -> str:
    """The distinct touched groups of all ``affected`` inputs.

    ``by``: for each input its mappings; ``changed``: for each input the views of its changed rows (new
    rows and old images). A row gives one group for every mapping.
    """
    columns = list(by[0][0])
    parts = []
    for mappings, views in zip(by, changed, strict=True):
        structs = ", ".join(
            "named_struct(" + ", ".join(f"{literal(c)}, {mapping[c]}" for c in columns) + ")"
            for mapping in mappings
        )
        parts += [f"SELECT inline(array({structs})) FROM {view}" for view in views]
    return f"SELECT DISTINCT {names(columns)} FROM ({' UNION ALL '.join(parts)})"


def members_sql(source: str, columns: Sequence[str], by: Sequence[Mapping[str, str]], groups: str) -> str:
    """The rows of ``source`` that belong to a touched group, once each.

    Groups are distinct, so a row meets at most one by each mapping, and the left joins keep the number
    of rows as it is; null-safe, since a group may be NULL.
    """
    if len(by) == 1:
        on = " AND ".join(f"r.{quote(f'_g0_{i}')} <=> g.{quote(c)}" for i, c in enumerate(by[0]))
        join = f"LEFT SEMI JOIN {groups} AS g ON {on}"
        return f"SELECT {names(columns)} FROM ({_with_groups(source, by)}) AS r {join}"
    joins, found = [], []
    for m, mapping in enumerate(by):
        on = " AND ".join(f"r.{quote(f'_g{m}_{i}')} <=> g{m}.{quote(c)}" for i, c in enumerate(mapping))
        joins.append(f"LEFT JOIN (SELECT *, true AS _touched FROM {groups}) AS g{m} ON {on}")
        found.append(f"g{m}._touched")
    return (
        f"SELECT {names(columns, 'r')} FROM ({_with_groups(source, by)}) AS r {' '.join(joins)}"
        f" WHERE coalesce({', '.join(found)}, false)"
    )


def _with_groups(source: str, by: Sequence[Mapping[str, str]]) -> str:
    extra = ", ".join(
        f"({sql}) AS {quote(f'_g{m}_{i}')}"
        for m, mapping in enumerate(by)
        for i, sql in enumerate(mapping.values())
    )
    return f"SELECT *, {extra} FROM {source}"


Value = str | None  # as Spark prints it


def partition_predicate(alias: str, columns: Mapping[str, str], tuples: Iterable[Sequence[Value]]) -> str:
    """A literal predicate that covers the tuples: one IN list under each value of the first column.

    ``columns``: name → type, in the order of the tuples. Empty text where there is nothing to restrict
    by. NULL is asked for by name: ``IN`` never finds it.
    """
    found = sorted({tuple(t) for t in tuples}, key=repr)
    if not columns:
        return ""
    if not found:
        return "false"
    prefix = f"{alias}." if alias else ""
    (first, type_), *others = columns.items()
    if not others or len(found) > 500:
        each = enumerate(columns.items())
        return " AND ".join(among(f"{prefix}{quote(c)}", of, [t[i] for t in found]) for i, (c, of) in each)
    branches = []
    for value in dict.fromkeys(t[0] for t in found):
        rest = partition_predicate(alias, dict(others), [t[1:] for t in found if t[0] == value])
        branches.append(f"({among(f'{prefix}{quote(first)}', type_, [value])} AND {rest})")
    return f"({' OR '.join(branches)})"


def among(expression: str, type_: str, values: Iterable[Value]) -> str:
    """The predicate that an expression has one of the values, NULL included; false for none."""
    listed = set(values)
    literals = [typed_literal(v, type_) for v in sorted(v for v in listed if v is not None)]
    tests = []
    if literals and type_ == "string":
        # Not IN: Iceberg 1.11 fails on an IN list of strings where a partition's value is NULL.
        tests += [f"{expression} = {text}" for text in literals]
    elif literals:
        tests.append(f"{expression} IN ({', '.join(literals)})")
    if None in listed:
        tests.append(f"{expression} IS NULL")
    if len(tests) == 1:
        return tests[0]
    return f"({' OR '.join(tests)})" if tests else "false"


def late_sql(view: str, column: str, order: Sequence[str], after_seconds: int, seen: str | None) -> str:
    """How many rows lie more than ``after_seconds`` before the highest ``column`` of earlier arrivals.

    ``seen``: the highest value of earlier runs, ISO. Reads two narrow columns of the staged rows.
    """
    earlier = f"ORDER BY {names(order)} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
    before = f"max({quote(column)}) OVER ({earlier})"
    highest = f"greatest({before}, TIMESTAMP'{seen}')" if seen else before
    return (
        f"SELECT count_if({quote(column)} < _seen - make_dt_interval(0, 0, 0, {after_seconds})) AS late"
        f" FROM (SELECT {quote(column)}, {highest} AS _seen FROM {view} WHERE NOT _gone AND NOT _aside)"
    )


def quarantine_sql(
    staging: Staging,
    *,
    staged: str,
    target: str,
    quarantine: str,
    run_id: str,
    rebuild: bool,
    unused: Mapping[str, str] | None = None,
) -> str:
    """The MERGE that maintains a quarantine like its target.

    A key that passes now, or whose source row is gone, leaves; a key that failed enters, unless it
    passed as well; replays add nothing. ``staged`` is a view of the staged rows; ``target`` and
    ``quarantine`` are table names. ``unused``: columns (name → type) that the quarantine has from earlier
    code and nothing fills any more.
    """
    model = staging.model
    key, unused = staging.key, unused or {}
    columns = (*staging.columns, *unused)
    filled = [quote(c) for c in staging.columns]
    empty = {c: f"CAST(NULL AS {of}) AS {quote(c)}" for c, of in {**staging.types, **unused}.items()}
    values = ", ".join([*filled, *(empty[c] for c in unused)])
    nulls = ", ".join(quote(c) if c in key else empty[c] for c in columns)
    passing = f"SELECT {names(key)} FROM {staged} WHERE NOT _aside AND NOT _gone"
    if not model.replayable:
        # Rows that are read once: a key that passed in an earlier run has passed for good.
        failed = f"(SELECT DISTINCT {names(key)} FROM {staged} WHERE _aside)"
        passing += f" UNION ALL SELECT {names(key, 't')} FROM {target} AS t"
        passing += f" LEFT SEMI JOIN {failed} AS f ON {same(key, 't', 'f')}"
    entering = (
        f"SELECT * FROM (SELECT {values}, {staging.failed_checks()} AS failed_checks,"
        f" {literal(run_id)} AS run_id, true AS _aside,"
        f" row_number() OVER (PARTITION BY {names(key)} ORDER BY {staging.order()}) AS _nth"
        f" FROM {staged} WHERE _aside) AS e"
        f" LEFT ANTI JOIN ({passing}) AS p ON {same(key, 'e', 'p')} WHERE _nth = 1"
    )
    leaving = (
        f"SELECT {nulls}, CAST(NULL AS ARRAY<STRING>) AS failed_checks,"
        f" {literal(run_id)} AS run_id, false AS _aside"
        f" FROM (SELECT DISTINCT {names(key)} FROM {staged} WHERE NOT _aside) AS l"
        f" LEFT ANTI JOIN ({entering}) AS e ON {same(key, 'l', 'e')}"
    )
    entered = f"SELECT {names(columns)}, failed_checks, run_id, _aside FROM ({entering})"
    update = ""
    if model.replayable:
        differs = f"NOT ({same([*(c for c in columns if c not in key), 'failed_checks'], 'q', 's')})"
        update = f" WHEN MATCHED AND {differs} THEN UPDATE SET *"
    gone = " WHEN NOT MATCHED BY SOURCE THEN DELETE" if rebuild else ""
    return (
        f"MERGE INTO {quarantine} AS q USING ({entered} UNION ALL {leaving}) AS s ON {same(key, 'q', 's')}"
        f" WHEN MATCHED AND NOT s._aside THEN DELETE{update}"
        f" WHEN NOT MATCHED AND s._aside THEN INSERT *{gone}"
    )
