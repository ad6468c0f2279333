"""The rules as tables of docs/lint.md: ``python -m runner.lint.document`` writes them into it."""

from __future__ import annotations

from pathlib import Path

from runner.lint.rules import rules

FILE = Path("docs", "lint.md")
_BEGIN, _END = "<!-- rules: made by `python -m runner.lint.document` -->\n", "<!-- end of rules -->\n"


def document() -> str:
    """The rules as the tables of docs/lint.md."""
    lines: list[str] = []
    area = ""
    for rule in rules().values():
        if rule.area != area:
            area = rule.area
            lines += ["", f"### {area.capitalize()}", "", "| rule | level | what is wrong | why | fix |"]
            lines += ["|---|---|---|---|---|"]
        mark = "" if rule.only_lint else "*"
        cells = (f"`{rule.id}`", rule.level + mark, rule.what, rule.why, rule.fix)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines[1:]) + "\n\n"


def in_document(text: str) -> str:
    """``text`` of docs/lint.md with the tables of today."""
    before, rest = text.split(_BEGIN)
    return before + _BEGIN + "\n" + document() + _END + rest.split(_END)[1]


if __name__ == "__main__":
    FILE.write_text(in_document(FILE.read_text(encoding="utf-8")), encoding="utf-8")
