"""Whatever a person may declare is read as it was written, and the schema for editors says the same."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.errors import Place
from runner.load import load_project
from runner.load.schema import FILE, pipeline_schema, schema_text
from runner.refs import TableRef
from runner.spec import (
    Check,
    CheckKind,
    Column,
    Dedupe,
    Drop,
    FilesInput,
    KafkaInput,
    Late,
    Model,
    Pipeline,
    Read,
    Retention,
    Severity,
    Source,
    TableInput,
    Target,
    Threshold,
)
from tests.projects import bare, dump, write

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = jsonschema.Draft202012Validator(pipeline_schema())
HERE = Place("x.yml", 1, 1)

# --- what a person may declare -------------------------------------------------------------------

words = st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True)
#: Text that YAML has its own ideas about, and text from strangers.
texts = st.one_of(
    st.sampled_from(
        [
            "no",
            "yes",
            "on",
            "1",
            "1e3",
            "null",
            "~",
            "2026-01-01",
            "12:30:45",
            "a: b",
            "- x",
            "#",
            "'",
            '"',
            "x\ny",
            "",
        ]
    ),
    st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="{}"), max_size=12),
)
types = st.sampled_from(
    ["string", "int", "bigint", "double", "boolean", "date", "timestamp", "decimal(10,2)", "array<string>"]
)
durations = st.builds(dt.timedelta, seconds=st.integers(0, 10**6 - 1))
thresholds = st.one_of(
    st.builds(Threshold, count=st.integers(0, 10**9)),
    st.builds(Threshold, percent=st.sampled_from([0.0, 0.5, 10.0, 99.25, 100.0])),
)


def checks_of(column: str, kind: str) -> st.SearchStrategy[Check]:
    severity = st.sampled_from(Severity)
    values: dict[str, st.SearchStrategy[Any]] = {
        "string": texts, "int": st.integers(-9, 9), "bigint": st.integers(-9, 9), "boolean": st.booleans(),
        "double": st.floats(-9, 9).map(lambda f: round(f, 3)), "decimal(10,2)": st.integers(-9, 9),
        "date": st.just("2026-01-01"), "timestamp": st.just("2026-01-01"),
    }  # fmt: skip
    kinds = [st.tuples(st.just(CheckKind.NOT_NULL), st.just({}), severity)]
    kinds.append(
        st.tuples(
            st.just(CheckKind.UNIQUE),
            st.just({"columns": [column]}),
            st.sampled_from([Severity.WARN, Severity.ERROR]),
        )
    )
    if kind in values:
        args = st.lists(values[kind], min_size=1, max_size=3).map(lambda v: {"values": v})
        kinds.append(st.tuples(st.just(CheckKind.ACCEPTED_VALUES), args, severity))
    if kind in ("int", "bigint"):
        kinds.append(
            st.tuples(
                st.just(CheckKind.RANGE),
                st.sampled_from([{"min": 1}, {"max": 5}, {"min": -1, "max": 5}]),
                severity,
            )
        )
    if kind == "string":
        kinds.append(st.tuples(st.just(CheckKind.REGEX), st.fixed_dictionaries({"pattern": texts}), severity))
    return st.builds(
        lambda k, above, about: Check(k[0], "", HERE, column, k[1], k[2], above, about),
        st.one_of(kinds),
        thresholds,
        texts,
    )


@st.composite
def models(draw: st.DrawFn, name: str, pipeline: str) -> Model:
    names = draw(st.lists(words, min_size=1, max_size=5, unique=True))
    columns = []
    for column in names:
        kind = draw(types) if column != names[0] else "string"
        found = draw(st.lists(checks_of(column, kind), max_size=2))
        found = [
            Check(
                c.kind,
                f"{column}_{i}",
                HERE,
                column,
                c.args,
                # Rows without a key cannot be set aside.
                Severity.ERROR if c.kind is CheckKind.NOT_NULL and column == names[0] else c.severity,
                c.fail_above,
                c.description,
            )
            for i, c in enumerate(found)
        ]
        columns.append(Column(column, kind, HERE, draw(texts), tuple(found)))
    keyable = [c.name for c in columns if c.type not in ("double", "array<string>")]
    partitions = tuple(draw(st.lists(st.sampled_from(keyable), max_size=2, unique=True)))
    origin, read = draw(
        st.one_of(
            st.tuples(
                st.just(TableInput(TableRef("elsewhere", "t"))),
                st.sampled_from([Read.ALL, Read.CHANGES, Read.AFFECTED]),
            ),
            st.tuples(
                st.builds(FilesInput, texts, st.sampled_from(["text", "csv", "json", "parquet"])),
                st.sampled_from([Read.ALL, Read.CHANGES]),
            ),
            st.tuples(st.builds(KafkaInput, texts), st.just(Read.STREAM)),
        )
    )
    history = read is not Read.AFFECTED and draw(st.booleans())
    by = (
        tuple({names[0]: sql} for sql in draw(st.lists(texts, min_size=1, max_size=3)))
        if read is Read.AFFECTED
        else ()
    )
    model_checks = draw(
        st.lists(st.sampled_from([CheckKind.ROW_COUNT, CheckKind.EXPRESSION, CheckKind.UNIQUE]), max_size=3)
    )
    arguments = {
        CheckKind.ROW_COUNT: {"min": 1, "max": 9},
        CheckKind.EXPRESSION: {"sql": "a > 1"},
        CheckKind.UNIQUE: {"columns": [names[0]]},
    }
    times = [c.name for c in columns if c.type in ("date", "timestamp")]
    days = [c.name for c in columns if c.type == "date" and c.name in partitions]
    table_checks = model_checks or any(
        c.kind is CheckKind.UNIQUE for column in columns for c in column.checks
    )
    return Model(
        name=name,
        pipeline=pipeline,
        place=HERE,
        sql="sql/m.sql",
        sources=(Source(draw(words), origin, read, HERE, by),),
        target=Target(
            table=TableRef(pipeline, name),
            key=(names[0],),
            columns=tuple(columns),
            place=HERE,
            partitions=partitions,
            partitions_fixed=bool(partitions) and draw(st.booleans()),
            format_version=draw(st.sampled_from([2, 3])),
            publish="branch" if table_checks else draw(st.sampled_from(["branch", "direct"])),
            max_deleted=draw(thresholds),
            retention=draw(st.none() | st.builds(Retention, st.sampled_from(days), durations))
            if days
            else None,
            maintenance=draw(
                st.sampled_from(
                    [
                        {},
                        {
                            "compact": {"target_file_size": "256MB"},
                            "expire": {"older_than": dt.timedelta(days=7), "keep": 10},
                        },
                    ]
                )
            ),
        ),
        description=draw(texts),
        tags=tuple(draw(st.lists(texts, max_size=2))),
        owner=draw(texts),
        on_change=draw(st.sampled_from(["rebuild", "keep"])),
        history=history,
        drop=draw(st.none() | st.builds(Drop, words, texts, st.just(HERE))),
        dedupe=draw(
            st.none() | st.builds(Dedupe, st.lists(words, min_size=1, max_size=2).map(tuple), st.just(HERE))
        ),
        late=draw(
            st.none()
            | st.builds(
                Late,
                st.sampled_from(["a_helper", *times]),
                durations,
                st.just(HERE),
                st.sampled_from(["a_helper", *times]),
            )
        ),
        checks=tuple(
            Check(kind, f"of_model_{i}", HERE, None, arguments[kind]) for i, kind in enumerate(model_checks)
        ),
    )


@st.composite
def pipelines(draw: st.DrawFn) -> Pipeline:
    variables = draw(
        st.dictionaries(words, st.one_of(texts, st.integers(), st.booleans(), st.none()), max_size=3)
    )
    found = [draw(models(f"m{i}", "p")) for i in range(draw(st.integers(1, 2)))]
    return Pipeline("p", HERE, tuple(found), draw(texts), draw(texts), variables)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(pipeline=pipelines())
def test_what_is_written_is_what_is_read(pipeline: Pipeline, tmp_path: Path) -> None:
    text = dump(pipeline)
    write(tmp_path, {"pipelines/p.yml": text, "sql/m.sql": "-- not read here\n"})

    (loaded,) = load_project(tmp_path).pipelines

    wanted = bare(pipeline)
    for model in wanted["models"]:
        model["vars"] = wanted["vars"]
        if not next(m for m in pipeline.models if m.name == model["name"]).replayable:
            model["on_change"] = "rebuild"  # not said, since it could not be
    assert bare(loaded) == wanted
    # The schema for editors accepts what the reader accepts.
    SCHEMA.validate(yaml.safe_load(text))


def test_the_committed_schema_is_the_generated_one() -> None:
    assert (ROOT / FILE).read_text(encoding="utf-8") == schema_text(), "run: python -m runner.load.schema"
    jsonschema.Draft202012Validator.check_schema(pipeline_schema())


@pytest.mark.parametrize(
    "broken",
    [
        "nam: x",
        "owner: 5",
        "on_change: never",
        "tags: {a: b}",
        "checks: [nonsense]",
        "expectations: x",
        "history: 3",
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(broken: str) -> None:
    (pipeline,) = [p for p in load_project(ROOT).pipelines if p.name == "silver"]
    document = yaml.safe_load(dump(pipeline))
    document["models"][0] |= yaml.safe_load(broken)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, pipeline_schema())


# --- the shipped project --------------------------------------------------------------------------


def test_the_shipped_project_is_sound_and_matches_its_schema() -> None:
    project = load_project(ROOT)
    assert [p.name for p in project.pipelines] == ["bronze", "gold", "silver"]
    schema = json.loads((ROOT / FILE).read_text(encoding="utf-8"))
    for pipeline in project.pipelines:
        jsonschema.validate(yaml.safe_load((ROOT / "pipelines" / f"{pipeline.name}.yml").read_text()), schema)
