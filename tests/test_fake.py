"""The fake engine can stand where the real one does, and answers what it was told."""

from __future__ import annotations

import inspect

import pytest

from runner.engine import Conflict, Engine
from runner.engine.fake import Call, FakeEngine, InTurn
from runner.refs import TableRef

METHODS = [name for name, member in vars(Engine).items() if inspect.isfunction(member) and name[0] != "_"]
ORDERS = TableRef("silver", "orders")


@pytest.mark.parametrize("method", METHODS)
def test_it_has_every_method_of_the_port_with_its_signature(method: str) -> None:
    assert inspect.signature(getattr(FakeEngine, method)) == inspect.signature(getattr(Engine, method))


def test_it_records_what_it_is_asked_in_order() -> None:
    engine = FakeEngine()
    engine.drop_branch(ORDERS, "audit_r1")
    engine.close()
    assert engine.calls == [
        Call("drop_branch", {"table": ORDERS, "branch": "audit_r1"}),
        Call("close", {}),
    ]
    assert engine.methods == ["drop_branch", "close"]
    assert engine.asked("drop_branch") == [{"table": ORDERS, "branch": "audit_r1"}]


def test_it_answers_with_values_with_functions_and_with_errors() -> None:
    engine = FakeEngine(
        {"schema": {"id": "string"}, "rows": lambda sql: [{"sql": sql}], "commit": Conflict()}
    )
    assert engine.schema("v") == {"id": "string"}
    assert engine.rows("SELECT 1") == [{"sql": "SELECT 1"}]
    with pytest.raises(Conflict):
        engine.commit("MERGE", {})


def test_answers_in_turn_end_with_the_last_one() -> None:
    engine = FakeEngine({"fast_forward": InTurn(False, lambda table, branch: branch == "b", True)})
    assert [engine.fast_forward(ORDERS, "a") for _ in range(4)] == [False, False, True, True]
