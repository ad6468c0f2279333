"""The reader of documents finds their commands, and takes no wrong output for a right one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents import Step, paired, renamed, rewritten, run, same, steps

TEXT = """# A document

```console
$ runner ls
bronze.raw_events
$ runner run \\
    -s a
…
done in 3.2s
```

```
$ not run
```
"""


def test_commands_and_what_they_show() -> None:
    assert list(steps(TEXT)) == [
        Step("runner ls", "bronze.raw_events", 4),
        Step("runner run -s a", "…\ndone in 3.2s", 6),
    ]


@pytest.mark.parametrize(
    ("shown", "printed", "equal"),
    [
        ("1 published in 3.2s", "1 published in 13.9s\n", True),
        ("1 published in 3.2s", "2 published in 3.2s\n", False),
        ("run 20260101T120000_ab12cd", "run 20271231T235959_000000", True),
        ("OK a ....... [+1 | 3.2s]", "OK a .... [+1 | 12.2s]", True),
        ("OK a ....... [+1 | 3.2s]", "OK a .... [+2 | 12.2s]", False),
        ("a\n…\nz", "a\nb\nc\nz", True),
        ("a\n…\nz", "a\nb\nc", False),
        ("a", "a\nb", False),
        ("", "a", False),
        ("12 rows", "13 rows", False),
    ],
)
def test_what_varies_is_let_pass_and_nothing_else(shown: str, printed: str, equal: bool) -> None:
    assert same(shown, printed) is equal


def test_only_what_differs_is_written_anew() -> None:
    text = rewritten(TEXT, ["silver.events\n", "a\nb\ndone in 9.9s\n"])
    assert "$ runner ls\nsilver.events\n$ runner run -s a\n…\ndone in 3.2s\n```" in text
    assert text.endswith("```\n$ not run\n```\n")


def test_tools_run_here_and_the_rest_in_a_shell(tmp_path: Path) -> None:
    def tool(words: object) -> int:
        print(words)  # noqa: T201 – what is captured
        return 3

    assert run("tool 'a b' c # why; echo $?", tmp_path, {"tool": tool}) == "['a b', 'c']\n3\n"
    assert run("touch made && ls", tmp_path, {}) == "made\n"


def test_an_id_of_the_document_stands_for_the_one_that_was_printed() -> None:
    ids = paired("run 20260101T120000_ab12cd\n", "run 20271231T235959_000000\n")
    assert renamed("rollback --run 20260101T120000_ab12cd", ids) == "rollback --run 20271231T235959_000000"
    assert paired("a", "run 20271231T235959_000000") == {}
