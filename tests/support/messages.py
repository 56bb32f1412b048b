"""The catalogue of our messages, from the code: ``python -m tests.support.messages`` writes docs/messages.md."""

from __future__ import annotations

import ast
import inspect
import re
from collections import defaultdict
from pathlib import Path

from toolkit import errors

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "messages.md"
SITUATIONS = {
    "reading": "Reading a file",
    "spreadsheets": "Opening a workbook",
    "model": "Columns, times and values",
    "tables": "Writing tables",
    "files": "Writing files",
    "quality": "Checking and correcting",
    "config": "Settings, targets and the token",
    "ledger": "The ledger and the comparison",
    "vendor": "The vendor's columns, the sandbox and the network",
    "sending": "Sending, and the journal of a push",
    "pushing": "Plans, pushes and what comes after",
    "training": "Quotes and sales",
    "cli": "The command line",
    "engine": "Parquet files, PostgreSQL and Spark, and memory",
    "display": "Pages of results",
    "errors": "Arguments of the wrong kind",
    "progress": "Interrupts",
    "panels": "Panels in a notebook",
}
CLASSES = {name: c for name, c in vars(errors).items() if inspect.isclass(c) and c.__module__ == errors.__name__
           and issubclass(c, errors.ToolkitError | errors.Interrupted)}  # fmt: skip


def template(node: ast.expr | None) -> str:
    """A message as the code writes it, what is filled in as ‹name›; empty if it is not written at the place."""
    if isinstance(node, ast.Constant):
        return str(node.value) if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(template(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return f"‹{name_of(node.value)}›"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return template(node.left) + template(node.right)
    return ""


def name_of(node: ast.expr) -> str:
    """A word for what is filled in: the last name in its expression, or that of a counted thing."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "plural":
        return f"n {template(node.args[1]) or 'rows'}s".replace("rowss", "rows")
    names = [n.attr if isinstance(n, ast.Attribute) else n.id for n in ast.walk(node)
             if isinstance(n, ast.Attribute | ast.Name)]  # fmt: skip
    plain = [n for n in names if n not in ("join", "map", "str", "repr", "sorted", "len", "self", "type", "__name__")]
    return (plain or ["…"])[0].strip("_").replace("_", " ")


def found() -> dict[str, dict[str, list[str]]]:
    """The messages by package and class."""
    messages: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted((ROOT / "toolkit").rglob("*.py")):
        package = path.relative_to(ROOT / "toolkit").parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            parts = [node.func, *node.args] if isinstance(node, ast.Call) else getattr(node, "elts", [])
            if len(parts) > 1 and getattr(parts[0], "id", "") in CLASSES:  # a tuple too: a class and its message
                text = " ".join(template(parts[1]).split())
                known = messages[package][parts[0].id]
                if re.search(r"\w{3}", re.sub("‹.*?›", "", text)) and text not in known:
                    known.append(text)
    return messages


def catalogue() -> str:
    """The page."""
    parts = [
        "# Messages",
        "What the toolkit says when it stops, by situation. What differs from case to case is in ‹ ›. A message says "
        "what is wrong, where, and what to do; below the name of each error stands when it is raised. "
        "`tk.explain()` keeps what the vendor's own codes have meant.",
    ]
    messages = found()
    for package in sorted(messages, key=lambda p: list(SITUATIONS).index(p)):
        if any(messages[package].values()):
            parts.append(f"## {SITUATIONS[package]}")
        for name, texts in sorted(messages[package].items()):
            if texts:
                meaning = (inspect.getdoc(CLASSES[name]) or "").split("\n\n")[0].replace("\n", " ")
                listed = "\n".join("- " + re.sub(r"([*_`<\[\]\\])", r"\\\1", text) for text in texts)
                parts.append(f"**{name}**: {meaning}\n\n{listed}")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(catalogue(), encoding="utf-8")
