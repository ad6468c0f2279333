"""An engine for tests of the conductor: it records what it is asked and answers what it was told.

It understands no SQL and holds no rows, so it says nothing about results: those are tested on Spark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from runner.engine import Amount, Diff, Engine, Retained
from runner.errors import Place
from runner.files import InputFile
from runner.refs import TableRef

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """One method call; ``given`` holds its arguments by name."""

    method: str
    given: Mapping[str, Any]


class InTurn:
    """Answers of one method, one a call; the last one stays."""

    def __init__(self, *answers: object) -> None:
        self._left = list(answers)

    def next(self) -> object:
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]


class FakeEngine:
    """Implements :class:`runner.engine.Engine`.

    ``answers``: method → what it answers. An exception is raised, a function is called with the method's
    arguments by name, :class:`InTurn` holds one of these a call, anything else is returned. A method
    without an answer returns the plainest value of its type.
    """

    def __init__(self, answers: Mapping[str, object] | None = None, *, catalog: str = "lake") -> None:
        self.catalog = catalog
        self.calls: list[Call] = []
        self.answers: dict[str, object] = dict(answers or {})

    def asked(self, method: str) -> list[Mapping[str, Any]]:
        """The arguments of all calls of a method, in order."""
        return [call.given for call in self.calls if call.method == method]

    @property
    def methods(self) -> list[str]:
        """The names of the methods called, in order."""
        return [call.method for call in self.calls]

    def _ask(self, method: str, otherwise: T, **given: object) -> T:
        self.calls.append(Call(method, given))
        answer = self.answers.get(method, otherwise)
        if isinstance(answer, InTurn):
            answer = answer.next()
        if isinstance(answer, BaseException):
            raise answer
        return cast(T, answer(**given) if callable(answer) else answer)

    def bind_table(self, view: str, table: TableRef, snapshot: int | None, where: str = "") -> None:
        self._ask("bind_table", None, view=view, table=table, snapshot=snapshot, where=where)

    def bind_diff(
        self,
        new: str,
        old: str,
        table: TableRef,
        since: int,
        until: int,
        *,
        above: int | None = None,
        retained: Sequence[Retained] = (),
    ) -> Diff:
        nothing = Diff(new=False, old=False, files_scanned=0, files_total=0)
        return self._ask(
            "bind_diff", nothing, new=new, old=old, table=table, since=since, until=until, above=above
        )

    def bind_text(self, view: str, files: Sequence[InputFile], received_at: str) -> None:
        self._ask("bind_text", None, view=view, files=files, received_at=received_at)

    def bind_files(self, view: str, files: Sequence[InputFile], format: str) -> None:
        self._ask("bind_files", None, view=view, files=files, format=format)

    def define(
        self,
        view: str,
        sql: str,
        *,
        observe: Mapping[str, str] | None = None,
        at: Callable[[int, int], Place] | None = None,
    ) -> None:
        self._ask("define", None, view=view, sql=sql, observe=observe, at=at)

    def schema(self, view: str) -> dict[str, str]:
        return self._ask("schema", {}, view=view)

    def expect(self, amount: Amount) -> None:
        self._ask("expect", None, amount=amount)

    def stage(self, view: str, folder: str) -> dict[str, Any]:
        return self._ask("stage", {}, view=view, folder=folder)

    def read_staged(self, view: str, folder: str) -> None:
        self._ask("read_staged", None, view=view, folder=folder)

    def bind_partitions(self, view: str, table: TableRef, snapshot: int) -> dict[str, str]:
        return self._ask("bind_partitions", {}, view=view, table=table, snapshot=snapshot)

    def create_table(
        self,
        table: TableRef,
        columns: Mapping[str, str],
        *,
        partitions: Sequence[str] = (),
        comments: Mapping[str, str] | None = None,
        format_version: int = 3,
    ) -> None:
        self._ask(
            "create_table",
            None,
            table=table,
            columns=columns,
            partitions=partitions,
            comments=comments,
            format_version=format_version,
        )

    def alter_table(
        self,
        table: TableRef,
        *,
        add: Mapping[str, str],
        widen: Mapping[str, str],
        rename: Mapping[str, str] | None = None,
    ) -> None:
        self._ask("alter_table", None, table=table, add=add, widen=widen, rename=rename or {})

    def create_branch(self, table: TableRef, branch: str, snapshot: int | None) -> None:
        self._ask("create_branch", None, table=table, branch=branch, snapshot=snapshot)

    def drop_branch(self, table: TableRef, branch: str) -> None:
        self._ask("drop_branch", None, table=table, branch=branch)

    def fast_forward(self, table: TableRef, branch: str, onto: str = "main", *, drop: bool = False) -> bool:
        # Where it is main, nothing is said of it; a branch that stays is removed by whoever looks for some.
        given = {} if onto == "main" else {"onto": onto}
        return self._ask("fast_forward", True, table=table, branch=branch, **given)

    def replace_branch(self, table: TableRef, branch: str, by: str) -> None:
        self._ask("replace_branch", None, table=table, branch=branch, by=by)

    def drop_table(self, table: TableRef) -> None:
        self._ask("drop_table", None, table=table)

    def commit(self, sql: str, properties: Mapping[str, str]) -> None:
        self._ask("commit", None, sql=sql, properties=properties)

    def insert(
        self, view: str, table: TableRef, branch: str, columns: Sequence[str], properties: Mapping[str, str]
    ) -> dict[str, Any]:
        return self._ask(
            "insert", {}, view=view, table=table, branch=branch, columns=columns, properties=properties
        )

    def append(
        self, table: TableRef, rows: Sequence[Mapping[str, object]], properties: Mapping[str, str]
    ) -> None:
        self._ask("append", None, table=table, rows=rows, properties=properties)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return self._ask("rows", [], sql=sql)

    def bind_topic(
        self, view: str, topic: str, offsets: Mapping[int, tuple[int, int]], settings: Mapping[str, str]
    ) -> None:
        self._ask("bind_topic", None, view=view, topic=topic, offsets=offsets, settings=settings)

    def stream_rows(self, sql: str) -> Iterator[dict[str, Any]]:
        return iter(self._ask("stream_rows", [], sql=sql))

    def fork(self) -> Engine:
        return self._ask("fork", self)

    def cancel(self) -> None:
        self._ask("cancel", None)

    def died(self) -> str:
        return self._ask("died", "")

    def close(self) -> None:
        self._ask("close", None)
