"""Comments that silence a rule on one line: ``-- lint: allow RULE: reason`` in SQL, ``# lint: …`` in YAML.

In: the text of a file. Out: its silences, each with the line that it is about; and what is wrong with them.
A comment behind something is about its own line; one that stands alone is about the next line that is not
a comment. In templates ``{# lint: … #}`` is the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import yaml

from runner.errors import Fault, Place, did_you_mean
from runner.findings import ERROR
from runner.lint.rules import rules

_BEGINS = re.compile(r"lint:", re.IGNORECASE)
_FORM = re.compile(r"lint:\s*allow\s+(?P<rule>[A-Za-z0-9_-]+)\s*(?::\s*(?P<reason>\S.*))?", re.DOTALL)


@dataclass(frozen=True)
class Silence:
    """``rule`` counts nothing in ``line`` of the file of ``place``, which is where the comment stands."""

    rule: str
    line: int
    reason: str
    place: Place


@dataclass(frozen=True)
class Silences:
    """Those of one or more files, and the faults of comments that silence nothing."""

    found: tuple[Silence, ...] = ()
    faults: tuple[Fault, ...] = ()

    def __add__(self, other: Silences) -> Silences:
        return Silences(self.found + other.found, self.faults + other.faults)

    def kept(self, faults: Iterable[Fault]) -> tuple[list[Fault], set[Silence]]:
        """The faults that nothing silences, and the silences that were of use."""
        by_line = {(s.place.file, s.line, s.rule): s for s in self.found}
        kept, used = [], set()
        for fault in faults:
            place = fault.place or Place("")
            silence = by_line.get((place.file, place.line, fault.code))
            if silence is None:
                kept.append(fault)
            else:
                used.add(silence)
        return kept, used


def silences_of_sql(text: str, file: str) -> Silences:
    """The silences in a template of SQL."""
    return _read(text, file, "--", _sql_comments(text)) if _BEGINS.search(text) else Silences()


def silences_of_yaml(text: str, file: str) -> Silences:
    """The silences in a spec that is known to be YAML."""
    return _read(text, file, "#", _yaml_comments(text)) if _BEGINS.search(text) else Silences()


def useless(silence: Silence) -> Fault:
    """The fault of a silence that silenced nothing."""
    rule = rules()["useless-silence"]
    what = f"there is no '{silence.rule}' in line {silence.line} to be silenced"
    return Fault(rule.id, silence.place, what, rule.why, rule.fix)


def _read(text: str, file: str, sign: str, comments: Iterable[tuple[int, int, str]]) -> Silences:
    """``comments``: begin, end and inner text of each; ``sign`` begins one."""
    listed = list(comments)
    lines = _Lines(text, [(begin, end) for begin, end, _ in listed])
    found, faults = [], []
    for begin, _, inner in listed:
        said = inner.strip()
        if not _BEGINS.match(said):
            continue
        place = Place(file, *lines.line_col(begin))
        form = _FORM.fullmatch(said)
        if fault := _fault(form, said, sign, place):
            faults.append(fault)
        elif form:
            found.append(Silence(form["rule"], lines.meant(begin), form["reason"].strip(), place))
    return Silences(tuple(found), tuple(faults))


def _fault(form: re.Match[str] | None, said: str, sign: str, place: Place) -> Fault | None:
    known = rules()
    if form is None or not form["reason"]:
        lacks = "has no reason" if form else "is not how a rule is silenced"
        rule = known["bad-silence"]
        named = form["rule"] if form else "RULE"
        return Fault(
            rule.id,
            place,
            f"'{said}' {lacks}",
            rule.why,
            f"write {sign} lint: allow {named}: why it is right here",
        )
    if form["rule"] not in known:
        rule = known["unknown-rule"]
        hint = did_you_mean(form["rule"], [r.id for r in known.values() if r.silenced])
        return Fault(
            rule.id,
            place,
            f"there is no rule '{form['rule']}'",
            "so nothing is silenced",
            hint if hint.startswith("did") else rule.fix,
        )
    named_rule = known[form["rule"]]
    if not named_rule.silenced:
        rule = known["cannot-be-silenced"]
        why = rule.why if named_rule.level == ERROR else "a silence that is of no use is removed"
        fix = f"remove the comment; `runner lint --explain {named_rule.id}` says what to do instead"
        return Fault(rule.id, place, f"'{named_rule.id}' cannot be silenced", why, fix)
    return None


class _Lines:
    """Lines of a text, and which of them hold comments alone."""

    def __init__(self, text: str, comments: list[tuple[int, int]]) -> None:
        self.text = text
        self.starts = [0, *(found.end() for found in re.finditer("\n", text))]
        bare = list(text)
        for begin, end in comments:
            bare[begin:end] = ["\n" if sign == "\n" else " " for sign in bare[begin:end]]
        self.empty = [not line.strip() for line in "".join(bare).split("\n")]
        self.blank = [not line.strip() for line in text.split("\n")]

    def line_col(self, offset: int) -> tuple[int, int]:
        line = self.text.count("\n", 0, offset) + 1
        return line, offset - self.starts[line - 1] + 1

    def meant(self, offset: int) -> int:
        """The line that a comment at ``offset`` is about."""
        line = self.line_col(offset)[0]
        if not self.empty[line - 1]:
            return line
        after = (
            n for n in range(line + 1, len(self.empty) + 1) if not self.empty[n - 1] or self.blank[n - 1]
        )
        return next(after, line)


def _sql_comments(text: str) -> Iterator[tuple[int, int, str]]:
    i = 0
    while i < len(text):
        two = text[i : i + 2]
        if two == "--":
            end = text.find("\n", i)
            end = len(text) if end < 0 else end
            yield i, end, text[i + 2 : end]
        elif two in ("/*", "{#"):
            close = "*/" if two == "/*" else "#}"
            end = text.find(close, i + 2)
            end = len(text) if end < 0 else end + 2
            yield i, end, text[i + 2 : end - 2].strip("-+ ")
        elif text[i] in "'\"`":
            end = _end_of_text(text, i)
        else:
            end = i + 1
        i = end


def _end_of_text(text: str, begin: int) -> int:
    sign, i = text[begin], begin + 1
    raw = sign != "`" and text[begin - 1 : begin] in ("r", "R")
    while i < len(text) and text[i] != sign:
        i += 2 if text[i] == "\\" and sign != "`" and not raw else 1
    return i + 1


def _yaml_comments(text: str) -> Iterator[tuple[int, int, str]]:
    """A ``#`` after a blank, outside of every scalar."""
    tokens = (t for t in yaml.scan(text, Loader=yaml.SafeLoader) if isinstance(t, yaml.ScalarToken))
    try:
        scalars = [(token.start_mark.index, token.end_mark.index) for token in tokens]
    except yaml.YAMLError:
        return  # the loader says what is wrong with it
    done = 0
    for found in re.finditer(r"(?:(?<=\s)|\A)#", text):
        begin = found.start()
        if begin >= done and not any(first <= begin < last for first, last in scalars):
            newline = text.find("\n", begin)
            done = len(text) if newline < 0 else newline
            yield begin, done, text[begin + 1 : done]
