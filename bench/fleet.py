"""A project of any size, described once from a seed and written twice: as the runner's and as dbt's.

In: the number of models. Out: :class:`Fleet`, and the files of both projects. The models stand in layers,
filter, join or sum up those of earlier ones, and have ten or eleven documented columns and two tests each.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from producer.generator.generate import lines

#: The namespace of all tables, on every side.
SCHEMA = "fleet"
BASE = "events"
#: Models of a layer; a layer is one YAML file on both sides.
LAYER = 100

_ROW = {
    "event_id": ("string", "The id of the event."),
    "event_date": ("date", "UTC day of the event."),
    "event_hour": ("int", "UTC hour of the event."),
    "domain": ("string", "The host of the wiki."),
    "event_type": ("string", "What happened: edit, new, log, categorize or external."),
    "title": ("string", "The title of the page."),
    "user_name": ("string", "Who did it, as sent."),
    "is_bot": ("boolean", "Flagged as a bot."),
    "length_delta": ("bigint", "Bytes gained or lost."),
    "weight": ("bigint", "What the event counts for."),
}
_SUM = {
    "event_date": ("date", "UTC day of the events."),
    "domain": ("string", "The host of the wiki."),
    "events": ("bigint", "Events of the day."),
    "edits": ("bigint", "Of them edits."),
    "bots": ("bigint", "Of them by bots."),
    "users": ("bigint", "Different users."),
    "delta": ("bigint", "Sum of the bytes gained and lost."),
    "largest": ("bigint", "The greatest gain of one event."),
    "smallest": ("bigint", "The greatest loss of one event."),
    "first_hour": ("int", "The hour of the first event."),
    "last_hour": ("int", "The hour of the last event."),
}
_TYPES = ("edit", "new", "log", "categorize", "external")


@dataclass(frozen=True)
class Node:
    """One model. ``query``: its SELECT, with ``{a}`` for the input of that name; ``inputs``: name → the model
    that is read and how (``all``, ``changes``, ``affected``)."""

    name: str
    layer: int
    kind: str
    query: str
    inputs: Mapping[str, tuple[str, str]]

    @property
    def sums(self) -> bool:
        """Whether a row is a day of a domain; an event otherwise."""
        return self.kind in ("sum", "combine")

    @property
    def key(self) -> tuple[str, ...]:
        return ("event_date", "domain") if self.sums else ("event_id",)

    @property
    def columns(self) -> Mapping[str, tuple[str, str]]:
        return _SUM if self.sums else _ROW

    @property
    def tested(self) -> tuple[str, str]:
        """The columns that must not be NULL."""
        return ("event_date", "events") if self.sums else ("event_id", "domain")


@dataclass(frozen=True)
class Fleet:
    """``nodes`` in an order in which each comes after what it reads."""

    nodes: tuple[Node, ...]

    def layers(self) -> Iterable[tuple[str, list[Node]]]:
        """The layers by name: ``layer_00`` …"""
        for layer in sorted({node.layer for node in self.nodes}):
            yield f"layer_{layer:02d}", [node for node in self.nodes if node.layer == layer]


def fleet(models: int, *, layers: int | None = None, seed: int = 1) -> Fleet:
    """``models`` of them, in 5 ``layers`` or more: :data:`LAYER` models in each."""
    dice = random.Random(seed)
    depth = layers or max(5, -(-models // LAYER))
    nodes = [Node(BASE, 0, "base", _BASE_QUERY, {"events": ("", "changes")})]
    rows: list[str] = [BASE]
    sums: list[str] = []
    for layer in range(depth):
        new: list[Node] = []
        end = models * (layer + 1) // depth
        for number in range(len(nodes), end):
            kind = dice.choice(_KINDS if sums else ("filter", "sum"))
            new.append(_node(f"{kind}_{number:04d}", layer, kind, rows, sums, dice))
        nodes += new
        rows += [node.name for node in new if not node.sums]
        sums += [node.name for node in new if node.sums]
    return Fleet(tuple(nodes))


_KINDS = ("filter", "join", "sum", "combine")
_BASE_QUERY = """\
SELECT
    get_json_object(e.value, '$.meta.id') AS event_id,
    CAST(get_json_object(e.value, '$.meta.dt') AS DATE) AS event_date,
    hour(CAST(get_json_object(e.value, '$.meta.dt') AS TIMESTAMP)) AS event_hour,
    get_json_object(e.value, '$.meta.domain') AS domain,
    get_json_object(e.value, '$.type') AS event_type,
    get_json_object(e.value, '$.title') AS title,
    get_json_object(e.value, '$.user') AS user_name,
    coalesce(CAST(get_json_object(e.value, '$.bot') AS BOOLEAN), false) AS is_bot,
    coalesce(
        CAST(get_json_object(e.value, '$.length.new') AS BIGINT)
        - CAST(get_json_object(e.value, '$.length.old') AS BIGINT), 0
    ) AS length_delta,
    CAST(1 AS BIGINT) AS weight
FROM {events} AS e"""


def _node(name: str, layer: int, kind: str, rows: list[str], sums: list[str], dice: random.Random) -> Node:
    match kind:
        case "filter":
            inputs = {"a": (dice.choice(rows), "changes")}
            query = f"""\
SELECT
    a.event_id, a.event_date, a.event_hour, a.domain, a.event_type, a.title,
    lower(a.user_name) AS user_name, a.is_bot, a.length_delta,
    a.weight + {dice.randint(1, 9)} AS weight
FROM {{a}} AS a
WHERE a.event_type <> '{dice.choice(_TYPES)}' OR a.length_delta > {dice.randint(-500, 500)}"""
        case "join":
            inputs = {"a": (dice.choice(rows), "changes"), "b": (dice.choice(sums), "all")}
            query = f"""\
SELECT
    a.event_id, a.event_date, a.event_hour, a.domain, a.event_type, a.title, a.user_name, a.is_bot,
    a.length_delta - coalesce(b.{dice.choice(["smallest", "largest"])}, 0) AS length_delta,
    a.weight * coalesce(b.{dice.choice(["events", "edits", "bots"])}, 1) % 1000003 AS weight
FROM {{a}} AS a
LEFT JOIN {{b}} AS b ON b.event_date = a.event_date AND b.domain = a.domain"""
        case "sum":
            inputs = {"a": (dice.choice(rows), "affected")}
            query = f"""\
SELECT
    a.event_date, a.domain,
    count(*) AS events,
    count_if(a.event_type = '{dice.choice(_TYPES)}') AS edits,
    count_if(a.is_bot) AS bots,
    count(DISTINCT a.user_name) AS users,
    sum(a.length_delta) AS delta, max(a.length_delta) AS largest, min(a.length_delta) AS smallest,
    min(a.event_hour) AS first_hour, max(a.event_hour) AS last_hour
FROM {{a}} AS a
GROUP BY a.event_date, a.domain"""
        case _:
            inputs = {"a": (dice.choice(sums), "affected"), "b": (dice.choice(sums), "affected")}
            query = f"""\
SELECT
    a.event_date, a.domain,
    a.events, a.edits + coalesce(b.edits, 0) AS edits, a.bots, greatest(a.users, b.users) AS users,
    a.delta - coalesce(b.delta, 0) AS delta, a.largest, a.smallest - {dice.randint(1, 9)} AS smallest,
    least(a.first_hour, b.first_hour) AS first_hour, greatest(a.last_hour, b.last_hour) AS last_hour
FROM {{a}} AS a
LEFT JOIN {{b}} AS b ON b.event_date = a.event_date AND b.domain = a.domain"""
    return Node(name, layer, kind, query, inputs)


def write_events(path: Path, *, events: int) -> Path:
    """Lines with an id and a host each, no id twice: nothing to set aside or to drop."""
    seen: set[str] = set()
    kept: list[str] = []
    for line in lines(events=events * 2, seed=5):
        try:
            meta = json.loads(line)["meta"]
            id, domain, when = meta["id"], meta["domain"], meta["dt"]
        except (ValueError, KeyError, TypeError):
            continue
        if id and domain and when and domain != "canary" and id not in seen:
            seen.add(id)
            kept.append(line)
        if len(kept) == events:
            break
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
    return path


def write_ours(root: Path, of: Fleet, *, events: Path) -> Path:
    """The runner's project in ``root``."""
    for layer, nodes in of.layers():
        header = f"pipeline: {layer}\ndescription: Models of one layer.\n"
        if any(node.kind == "base" for node in nodes):
            header += f"vars: {{events: {_text(str(events))}}}\n"
        models = "".join(_our_model(node, layer) for node in nodes)
        _put(root / "pipelines" / f"{layer}.yml", f"{header}models:\n{models}")
        for node in nodes:
            _put(root / "sql" / layer / f"{node.name}.sql", our_sql(node))
    return root


def our_sql(node: Node) -> str:
    """The MERGE of a model, as an analyst writes it for the runner."""
    query = node.query.format(**{name: f"{{{{ source('{name}') }}}}" for name in node.inputs})
    on = " AND ".join(f"t.{column} = s.{column}" for column in node.key)
    update = "" if node.kind == "base" else "WHEN MATCHED AND {{ changed('t', 's') }} THEN UPDATE SET *\n"
    return (
        f"MERGE INTO {{{{ target }}}} AS t\nUSING (\n{_indent(query)}\n) AS s\nON {on}\n{update}"
        "WHEN NOT MATCHED THEN INSERT *\n"
    )


def _our_model(node: Node, layer: str) -> str:
    inputs = []
    for name, (table, read) in node.inputs.items():
        of = f"table: {SCHEMA}.{table}" if table else "files: {path: \"{{ var('events') }}\", format: text}"
        by = ", by: {event_date: event_date, domain: domain}" if read == "affected" else ""
        inputs.append(f"      {name}: {{{of}, read: {read}{by}}}\n")
    columns = "".join(
        f"        {name}: {{type: {kind}, description: {_text(description)}"
        f"{', checks: [not_null]' if name in node.tested else ''}}}\n"
        for name, (kind, description) in node.columns.items()
    )
    return (
        f"  - name: {node.name}\n    description: A {node.kind} of the fleet.\n"
        f"    sql: sql/{layer}/{node.name}.sql\n    sources:\n{''.join(inputs)}"
        f"    target:\n      table: {SCHEMA}.{node.name}\n      key: [{', '.join(node.key)}]\n"
        f"      columns:\n{columns}"
    )


def write_dbt(root: Path, of: Fleet, *, events: Path, threads: int, settings: Mapping[str, str]) -> Path:
    """dbt's project and its profile in ``root``; ``settings``: those of its Spark session."""
    project = {
        "name": SCHEMA,
        "version": "1.0.0",
        "profile": SCHEMA,
        "model-paths": ["models"],
        "vars": {"events": str(events)},
        "models": {
            "+materialized": "incremental",
            "+incremental_strategy": "merge",
            "+file_format": "iceberg",
        },
        "flags": {"send_anonymous_usage_stats": False, "use_colors": False},
    }
    local = {
        "type": "spark",
        "method": "session",
        "host": "NA",
        "schema": SCHEMA,
        "threads": threads,
        "server_side_parameters": dict(settings),
    }
    # JSON is YAML, and quotes whatever needs quotes.
    _put(root / "dbt_project.yml", json.dumps(project, indent=1))
    _put(
        root / "profiles.yml",
        json.dumps({SCHEMA: {"target": "local", "outputs": {"local": local}}}, indent=1),
    )
    for layer, nodes in of.layers():
        models = "".join(_dbt_model(node) for node in nodes)
        _put(root / "models" / layer / "models.yml", f"version: 2\nmodels:\n{models}")
        for node in nodes:
            _put(root / "models" / layer / f"{node.name}.sql", dbt_sql(node))
    return root


def dbt_sql(node: Node) -> str:
    """The same query as a model of dbt's."""
    names = {
        name: f"{{{{ ref('{table}') }}}}" if table else "text.`{{ var('events') }}`"
        for name, (table, _) in node.inputs.items()
    }
    key = ", ".join(f"'{column}'" for column in node.key)
    return f"{{{{ config(unique_key=[{key}]) }}}}\n{node.query.format(**names)}\n"


def _dbt_model(node: Node) -> str:
    columns = "".join(
        f"      - name: {name}\n        description: {_text(description)}\n"
        + ("        data_tests: [not_null]\n" if name in node.tested else "")
        for name, (_, description) in node.columns.items()
    )
    return f"  - name: {node.name}\n    description: A {node.kind} of the fleet.\n    columns:\n{columns}"


def _text(value: str) -> str:
    return json.dumps(value)


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.split("\n"))


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def statements(of: Fleet, *, events: Path) -> list[dict[str, Any]]:
    """What a script runs: by table its DDL and its MERGE, in order."""
    found = []
    for node in of.nodes:
        names = {
            name: f"{SCHEMA}.{table}" if table else f"text.`{events}`"
            for name, (table, _) in node.inputs.items()
        }
        columns = ", ".join(f"{name} {kind}" for name, (kind, _) in node.columns.items())
        on = " AND ".join(f"t.{column} = s.{column}" for column in node.key)
        table, query = f"{SCHEMA}.{node.name}", node.query.format(**names)
        found.append(
            {
                "table": table,
                "create": f"CREATE TABLE IF NOT EXISTS {table} ({columns}) USING iceberg",
                "merge": f"MERGE INTO {table} AS t USING ({query}) AS s ON {on}"
                " WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *",
            }
        )
    return found
