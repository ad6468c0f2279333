"""Words of a command line name models, as dbt's do."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import ProjectError, fail
from runner.graph import ancestors, descendants, order, parents
from runner.selectors import NOWHERE, Elsewhere, select
from runner.spec import Pipeline, Project
from tests.dags import acyclic, ids, project

CHAIN: dict[str, list[str]] = {
    "raw": [],
    "clean": ["raw"],
    "stats": ["clean"],
    "risk": ["clean", "lists"],
    "lists": [],
}
WHERE = {"raw": "bronze", "clean": "silver", "stats": "gold", "risk": "gold", "lists": "bronze"}
TAGS = {"raw": ("nightly",), "stats": ("dashboard", "nightly")}


def chain() -> Project:
    found = project(CHAIN, WHERE)
    dressed = tuple(
        Pipeline(
            p.name,
            p.place,
            tuple(
                replace(
                    m, tags=TAGS.get(m.name, ()), sql=f"sql/{p.name}/{m.name}.sql", owner=f"{p.name}-team"
                )
                for m in p.models
            ),
        )
        for p in found.pipelines
    )
    return replace(found, pipelines=dressed)


def chosen(
    *words: str, exclude: Collection[str] = (), pipelines: Collection[str] = (), **given: object
) -> list[str]:
    elsewhere = given.get("elsewhere", NOWHERE)
    assert isinstance(elsewhere, Elsewhere)
    return ids(
        select(chain(), pipelines=list(pipelines), words=words, exclude=list(exclude), elsewhere=elsewhere)
    )


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], ["raw", "lists", "clean", "stats", "risk"]),
        (["risk", "raw"], ["raw", "risk"]),
        (["silver.clean"], ["clean"]),
        (["ns_gold.risk"], ["risk"]),
        (["gold.*"], ["stats", "risk"]),
        (["+clean"], ["raw", "clean"]),
        (["clean+"], ["clean", "stats", "risk"]),
        (["+stats+", "stats"], ["raw", "clean", "stats"]),
        (["1+stats"], ["clean", "stats"]),
        (["0+stats"], ["stats"]),
        (["raw+1"], ["raw", "clean"]),
        (["@clean"], ["raw", "lists", "clean", "stats", "risk"]),
        (["@raw,layer:bronze"], ["raw", "lists"]),
        (["tag:nightly"], ["raw", "stats"]),
        (["tag:nightly,layer:gold"], ["stats"]),
        (["tag:dashboard,layer:bronze"], []),
        (["+tag:dashboard"], ["raw", "clean", "stats"]),
        (["path:sql/gold"], ["stats", "risk"]),
        (["path:sql/gold/risk.sql"], ["risk"]),
        (["path:sql/*/r*.sql"], ["raw", "risk"]),
        (["layer:ns_silver"], ["clean"]),
        (["source:ns_bronze.raw"], ["clean"]),
        (["source:ns_bronze.raw+"], ["clean", "stats", "risk"]),
        (["owner:gold-team"], ["stats", "risk"]),
    ],
)
def test_words_name_models(words: list[str], wanted: list[str]) -> None:
    assert chosen(*words) == wanted


def test_a_pipeline_is_a_scope_and_several_are_their_union() -> None:
    assert chosen(pipelines=["gold"]) == ["stats", "risk"]
    assert chosen("clean+", pipelines=["gold"]) == ["stats", "risk"]
    assert chosen(pipelines=["gold", "silver"]) == ["clean", "stats", "risk"]


def test_what_is_excluded_goes_last() -> None:
    assert chosen("clean+", exclude=["risk"]) == ["clean", "stats"]
    assert chosen(exclude=["tag:nightly", "clean"]) == ["lists", "risk"]
    assert chosen("raw", exclude=["+stats"]) == []


def elsewhere() -> Elsewhere:
    def states() -> Mapping[str, str]:
        return {"silver.clean": "modified", "gold.risk": "new", "bronze.raw": "unmodified"}

    def results() -> Mapping[str, Collection[str]]:
        return {"silver.clean": {"error"}, "gold.stats": {"skipped"}, "bronze.raw": {"success", "warn"}}

    return Elsewhere(states, results)


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("state:modified", ["clean"]),
        ("state:modified+", ["clean", "stats", "risk"]),
        ("state:new", ["risk"]),
        ("state:unmodified", ["raw"]),
        ("result:error+", ["clean", "stats", "risk"]),
        ("result:warn", ["raw"]),
        ("result:skipped,layer:gold", ["stats"]),
        ("result:gated", []),
    ],
)
def test_another_state_and_the_last_run_are_asked(word: str, wanted: list[str]) -> None:
    assert chosen(word, elsewhere=elsewhere()) == wanted


def test_nothing_elsewhere_is_asked_for_words_that_do_not_need_it() -> None:
    def never() -> Mapping[str, str]:
        raise AssertionError

    assert chosen("raw+", elsewhere=Elsewhere(never, never)) == ["raw", "clean", "stats", "risk"]


def test_what_is_missing_elsewhere_is_told_once() -> None:
    def missing() -> Mapping[str, str]:
        raise fail("no-state", None, "there is no state")

    with pytest.raises(ProjectError) as error:
        chosen("state:new", "state:modified", elsewhere=Elsewhere(missing, missing))
    assert [f.code for f in error.value.faults] == ["no-state"]


@pytest.mark.parametrize(
    ("pipelines", "words", "code", "fix"),
    [
        (["glod"], [], "unknown-pipeline", "did you mean 'gold'?"),
        ([], ["claen"], "unknown-model", "did you mean 'clean'?"),
        ([], ["+silver.claen"], "unknown-model", "did you mean 'silver.clean'?"),
        (["gold"], ["raw"], "not-in-pipeline", "leave out --pipeline, or name the right one"),
        ([], ["tags:nightly"], "unknown-selector", "did you mean 'tag'?"),
        ([], ["tag:nightyl"], "unmatched-selector", "did you mean 'nightly'?"),
        ([], ["state:modfied"], "unmatched-selector", "did you mean 'modified'?"),
        ([], ["result:eror"], "unmatched-selector", "did you mean 'error'?"),
        ([], ["@raw+"], "bad-selector", "write @raw, or +raw+"),
        ([], ["tag:"], "bad-selector", "write, for example, +a, a+, 2+a, @a or tag:nightly,layer:gold"),
        ([], ["raw,"], "bad-selector", "write, for example, +a, a+, 2+a, @a or tag:nightly,layer:gold"),
    ],
)
def test_words_that_nothing_answers_to(pipelines: list[str], words: list[str], code: str, fix: str) -> None:
    with pytest.raises(ProjectError) as error:
        chosen(*words, pipelines=pipelines)
    assert [(f.code, f.fix) for f in error.value.faults] == [(code, fix)]


def test_unknown_words_of_both_options_are_told_together() -> None:
    with pytest.raises(ProjectError) as error:
        chosen("claen", exclude=["statz"])
    assert [f.what for f in error.value.faults] == [
        "--select: nothing is named 'claen'",
        "--exclude: nothing is named 'statz'",
    ]


def test_a_comma_never_leaves_the_pipeline_silently() -> None:
    # An intersection may be empty; a name that is elsewhere is a mistake.
    assert chosen("raw,tag:nightly", pipelines=["gold"]) == []


@settings(max_examples=60, deadline=None)
@given(edges=acyclic(), data=st.data())
def test_operators_are_the_graph(edges: dict[str, list[str]], data: st.DataObject) -> None:
    found = project(edges)
    by_name = {m.name: m for m in found.models}
    name = data.draw(st.sampled_from(sorted(edges)))
    model = by_name[name]
    above, below = set(ids(ancestors(found, model))), set(ids(descendants(found, model)))
    around = {name, *below} | {a for b in below for a in ids(ancestors(found, by_name[b]))} | above
    answers = {
        name: {name},
        f"+{name}": {name} | above,
        f"{name}+": {name} | below,
        f"+{name}+": {name} | above | below,
        f"@{name}": around,
        f"1+{name}": {name, *ids(parents(found, model))},
        f"{name}+1": {name} | {m.name for m in found.models if name in ids(parents(found, m))},
    }
    one, other = (data.draw(st.sampled_from(sorted(answers))) for _ in range(2))
    ordered = ids(order(found))

    def picked(*words: str, exclude: Collection[str] = ()) -> list[str]:
        return ids(select(found, words=words, exclude=list(exclude)))

    assert picked(one) == [n for n in ordered if n in answers[one]]
    assert picked(one, other) == [n for n in ordered if n in answers[one] | answers[other]]
    assert picked(f"{one},{other}") == [n for n in ordered if n in answers[one] & answers[other]]
    assert picked(one, exclude=[other]) == [n for n in ordered if n in answers[one] - answers[other]]
