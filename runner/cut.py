"""SQL text → a :class:`runner.merge.Statement`, cut at its own clauses by the Spark tokenizer.

In: rendered text. Out: its parts, verbatim, with their lines and columns; or, as faults, why the text
is not one MERGE. Regular expressions never look at SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlglot import Token, TokenType
from sqlglot.errors import SqlglotError

from runner.errors import Fault, Place, ProjectError
from runner.merge import INSERT_ALL, UPDATE_ALL, Clause, ClauseKind, Part, Statement, key_pairs, select_all
from runner.tokens import Unfinished, line_col, tokens_of

At = Callable[[int, int], Place]

_SHAPE = (
    "MERGE INTO {{ target }} AS t USING (SELECT …) AS s ON t.key = s.key WHEN MATCHED … WHEN NOT MATCHED …"
)
_GRAMMAR = "the parts of a MERGE are INTO, USING, ON and WHEN … THEN, in this order"
_OPEN = {TokenType.L_PAREN: TokenType.R_PAREN, TokenType.L_BRACKET: TokenType.R_BRACKET}
_CLOSE = {close: open_ for open_, close in _OPEN.items()}


def cut(text: str, at: At) -> Statement:
    """The parts of the one MERGE in ``text``; ProjectError, with places from ``at``, for anything else."""
    try:
        tokens = tokens_of(text)
    except Unfinished as error:
        raise ProjectError(
            (
                Fault(
                    "unfinished-sql",
                    at(*line_col(text, error.start)),
                    f"{error.what} that begins here does not end",
                    "everything after it is swallowed",
                    f"close it with {error.closer}",
                ),
            )
        ) from None
    except SqlglotError as error:
        raise ProjectError(
            (
                Fault(
                    "sql-syntax",
                    at(1, 1),
                    "Spark's tokenizer cannot read this text",
                    str(error),
                    "remove what is no SQL",
                ),
            )
        ) from None
    return _Cutter(text, tokens, at).statement()


class _Cutter:
    """Walks the tokens of one statement from left to right."""

    def __init__(self, text: str, tokens: list[Token], at: At) -> None:
        self.text, self.tokens, self.at = text, tokens, at
        self.i = 0
        self.partner: dict[int, int] = {}

    def statement(self) -> Statement:
        if not self.tokens:
            raise ProjectError(
                (
                    Fault(
                        "empty-sql",
                        self.at(1, 1),
                        "the file holds no statement",
                        "a model maintains its table by one MERGE",
                        f"write {_SHAPE}",
                    ),
                )
            )
        self._begins_with_merge()
        self._one_statement()
        self._match_brackets()
        self._into()
        target, target_alias = self._target()
        using, source_alias = self._using()
        starts = self._clause_starts()
        on = self._on(starts[0] if starts else len(self.tokens))
        ends = [*starts[1:], len(self.tokens)] if starts else []
        clauses = tuple(self._clause(start, end) for start, end in zip(starts, ends, strict=True))
        if not clauses:
            raise self._fault(
                "no-clause",
                self.tokens[-1],
                "the MERGE has no WHEN clause",
                "it would do nothing",
                f"add WHEN NOT MATCHED THEN {INSERT_ALL}",
            )
        pairs = key_pairs(on.text, target_alias, source_alias)
        return Statement(
            target,
            target_alias,
            using,
            source_alias,
            on,
            clauses,
            key_pairs=None if pairs is None else tuple(pairs),
            null_safe=frozenset(column for column, safe in (pairs or {}).items() if safe),
        )

    def _one_statement(self) -> None:
        end = next((i for i, t in enumerate(self.tokens) if t.token_type is TokenType.SEMICOLON), None)
        if end is None:
            return
        rest = [t for t in self.tokens[end:] if t.token_type is not TokenType.SEMICOLON]
        if rest:
            raise self._fault(
                "two-statements",
                rest[0],
                "a second statement begins here",
                "a model is one MERGE, so that it is published whole or not at all",
                "give it a model of its own, or put its query into the USING of this one",
            )
        del self.tokens[end:]

    def _match_brackets(self) -> None:
        stack: list[int] = []
        for i, token in enumerate(self.tokens):
            if token.token_type in _OPEN:
                stack.append(i)
            elif token.token_type in _CLOSE:
                if not stack or self.tokens[stack[-1]].token_type is not _CLOSE[token.token_type]:
                    raise self._fault(
                        "unbalanced",
                        token,
                        f"'{token.text}' closes nothing",
                        "every bracket has a partner",
                        "remove it, or open it before",
                    )
                self.partner[stack.pop()] = i
        if stack:
            token = self.tokens[stack[-1]]
            raise self._fault(
                "unbalanced",
                token,
                f"'{token.text}' is not closed",
                "everything to the end of the file stands inside it",
                "close it",
            )

    def _begins_with_merge(self) -> None:
        first = self.tokens[0]
        if first.token_type is TokenType.WITH:
            raise self._fault(
                "with-before-merge",
                first,
                "WITH stands before the MERGE",
                "Spark has no WITH there, and the query is what stands inside USING",
                "move it inside: USING (WITH … SELECT …) AS s",
            )
        if first.token_type is TokenType.SEMICOLON:
            raise ProjectError(
                (
                    Fault(
                        "empty-sql",
                        self.at(1, 1),
                        "the file begins with a semicolon",
                        "a model maintains its table by one MERGE",
                        f"write {_SHAPE}",
                    ),
                )
            )
        if first.token_type is not TokenType.MERGE:
            fix = f"write {_SHAPE}"
            if first.token_type in (TokenType.SELECT, TokenType.FROM, TokenType.L_PAREN):
                fix = "put the query into a MERGE: MERGE INTO {{ target }} AS t USING ( … ) AS s ON … WHEN …"
            raise self._fault(
                "not-a-merge",
                first,
                f"the statement is {_shown(first)} …, not a MERGE",
                "a model maintains its table by one MERGE, which is audited before anyone sees its rows",
                fix,
            )

    def _into(self) -> None:
        self.i = 1
        if self._now(TokenType.WITH):
            raise self._fault(
                "schema-evolution",
                self.tokens[1],
                "WITH SCHEMA EVOLUTION changes the table from within the statement",
                "columns are declared in the pipeline, and added after the rows passed their checks",
                "remove it, and declare the columns under `target: columns:`",
            )
        self._want(TokenType.INTO, "INTO", f"write {_SHAPE}")

    def _target(self) -> tuple[str, str]:
        start = self.i
        self._relation_name("a table", "MERGE INTO {{ target }} AS t")
        target = self._slice(start, self.i).text
        return target, self._alias("the target", "MERGE INTO {{ target }} AS t")

    def _using(self) -> tuple[Part, str]:
        self._want(TokenType.USING, "USING", "write USING (SELECT …) AS s after the target's alias")
        start = self.i
        if self._now(TokenType.L_PAREN):
            close = self.partner[start]
            if close == start + 1:
                raise self._fault(
                    "empty-using",
                    self.tokens[start],
                    "USING holds no query",
                    "the query makes the rows of the table",
                    "write USING (SELECT …) AS s",
                )
            # Verbatim, with the blanks and comments around it: its lines are the analyst's.
            begin = self.tokens[start].end + 1
            part = Part(self.text[begin : self.tokens[close].start], *line_col(self.text, begin))
            self.i = close + 1
        elif self._now(TokenType.SELECT, TokenType.WITH):
            raise self._fault(
                "using-parentheses",
                self.tokens[start],
                "the query of USING stands without parentheses",
                "where it ends would be a guess",
                "write USING (SELECT …) AS s",
            )
        else:
            self._relation_name("a query or a relation", "USING (SELECT …) AS s")
            part = select_all(self._slice(start, self.i))
        return part, self._alias("the source", "USING (SELECT …) AS s")

    def _relation_name(self, wanted: str, shape: str) -> None:
        """Steps over ``a.b.c``."""
        while True:
            if not self._now_name():
                raise self._fault(
                    "merge-syntax",
                    self._here(),
                    f"{_shown(self._here())} stands where {wanted} belongs",
                    _GRAMMAR,
                    f"write {shape}",
                )
            self.i += 1
            if not self._now(TokenType.DOT):
                return
            self.i += 1

    def _alias(self, of: str, shape: str) -> str:
        if self._now(TokenType.ALIAS):
            self.i += 1
        if not self._now_name() or self._now(TokenType.USING, TokenType.ON, TokenType.WHEN):
            raise self._fault(
                "no-alias",
                self._here(),
                f"{of} has no alias",
                "the engine's own clauses name both sides by it",
                f"write {shape}",
            )
        token = self.tokens[self.i]
        self.i += 1
        if self._now(TokenType.L_PAREN):
            raise self._fault(
                "merge-syntax",
                self._here(),
                "the alias has a list of columns",
                "columns are told by their names",
                "name the columns in the query's SELECT",
            )
        return self.text[token.start : token.end + 1]

    def _outside(self, start: int, end: int) -> Iterator[int]:
        """The tokens outside brackets and outside CASE … END; opening brackets among them."""
        depth, i = 0, start
        while i < end:
            kind = self.tokens[i].token_type
            named = i > 0 and self._is_field(i)
            if kind is TokenType.CASE and not named:
                depth += 1
            elif depth == 0:
                yield i
            elif kind is TokenType.END and not named:
                depth -= 1
            i = self.partner.get(i, i) + 1

    def _clause_starts(self) -> list[int]:
        """Where WHEN [NOT] MATCHED begins."""
        outside = self._outside(self.i, len(self.tokens))
        return [i for i in outside if self.tokens[i].token_type is TokenType.WHEN and not self._is_field(i)]

    def _is_field(self, i: int) -> bool:
        return self.tokens[i - 1].token_type is TokenType.DOT

    def _on(self, end: int) -> Part:
        self._want(TokenType.ON, "ON", "write ON t.key = s.key after the source's alias")
        if self.i >= end:
            raise self._fault(
                "merge-syntax", self._here(), "ON has no condition", _GRAMMAR, "write ON t.key = s.key"
            )
        return self._slice(self.i, end)

    def _clause(self, start: int, end: int) -> Clause:
        self.i = start + 1
        negated = self._now(TokenType.NOT)
        self.i += negated
        self._want_word("MATCHED", "write WHEN MATCHED or WHEN NOT MATCHED")
        kind = ClauseKind.NOT_MATCHED if negated else ClauseKind.MATCHED
        if self._word() == "BY":
            self.i += 1
            kind = ClauseKind.NOT_MATCHED_BY_SOURCE if self._word() == "SOURCE" else kind
            self.i += 1
        then = self._then(end)
        condition = None
        if self.i < then:
            self._want(TokenType.AND, "AND or THEN", "write WHEN MATCHED AND condition THEN …")
            if self.i < then:
                condition = self._slice(self.i, then)
        if then + 1 >= end:
            raise self._fault(
                "merge-syntax",
                self.tokens[then],
                "THEN is followed by nothing",
                _GRAMMAR,
                f"write THEN {UPDATE_ALL} or THEN {INSERT_ALL}",
            )
        return Clause(kind, condition, self._slice(then + 1, end), self._slice(start, end))

    def _then(self, end: int) -> int:
        for i in self._outside(self.i, end):
            if self.tokens[i].token_type is TokenType.THEN and not self._is_field(i):
                return i
        raise self._fault(
            "merge-syntax",
            self._here(),
            "this clause has no THEN",
            _GRAMMAR,
            f"write THEN {UPDATE_ALL} or THEN {INSERT_ALL}",
        )

    def _slice(self, start: int, end: int) -> Part:
        begin = self.tokens[start].start
        return Part(self.text[begin : self.tokens[end - 1].end + 1], *line_col(self.text, begin))

    def _here(self) -> Token:
        return self.tokens[min(self.i, len(self.tokens) - 1)]

    def _now(self, *kinds: TokenType) -> bool:
        return self.i < len(self.tokens) and self.tokens[self.i].token_type in kinds

    def _now_name(self) -> bool:
        return self.i < len(self.tokens) and (
            self._now(TokenType.IDENTIFIER) or self.tokens[self.i].text.replace("_", "a").isalnum()
        )

    def _word(self) -> str:
        return self.tokens[self.i].text.upper() if self.i < len(self.tokens) else ""

    def _want(self, kind: TokenType, word: str, fix: str) -> None:
        if not self._now(kind):
            found = _shown(self.tokens[self.i]) if self.i < len(self.tokens) else "the end"
            raise self._fault(
                "merge-syntax", self._here(), f"{found} stands where {word} belongs", _GRAMMAR, fix
            )
        self.i += 1

    def _want_word(self, word: str, fix: str) -> None:
        if self._word() != word:
            raise self._fault(
                "merge-syntax",
                self._here(),
                f"{_shown(self._here())} stands where {word} belongs",
                _GRAMMAR,
                fix,
            )
        self.i += 1

    def _fault(self, code: str, token: Token, what: str, why: str = "", fix: str = "") -> ProjectError:
        return ProjectError((Fault(code, self.at(*line_col(self.text, token.start)), what, why, fix),))


def _shown(token: Token) -> str:
    return f"'{token.text}'"
