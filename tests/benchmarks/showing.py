"""A run as a chart and as a table in the docs: ``python -m tests.benchmarks.showing`` makes both again."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "speed.md"
BEGIN, END = "<!-- figures: written by make bench -->", "<!-- end of figures -->"


def line(figure: dict[str, Any]) -> str:
    """Return a figure as one line of the progress."""
    work, value, beside, ratio, asked, reached, _runs, note = cells(figure)
    return f"{work}: " + ", ".join(
        filter(None, [value, f"{ratio} of {beside}" if beside else "", asked, reached, note])
    )


def cells(figure: dict[str, Any]) -> list[str]:
    """Return the cells of a figure: work, value, beside, ratio, asked, reached, runs, note."""
    if reason := figure.get("failed") or figure.get("not_run"):
        return [figure["work"], "failed" if "failed" in figure else "not run here", "", "", "", "", "", reason]
    amount, beside, ratio = figure["value"], figure.get("beside", ""), figure["ratio"]
    value = f"{amount:,.2f}" if abs(amount) < 100 else f"{amount:,.0f}"
    unit = "times" if beside else figure["unit"]
    asked = "".join(
        f"at {key} {figure[f'at_{key}']:,.10g} {unit}" for key in ("most", "least") if f"at_{key}" in figure
    )
    reached = {None: "", True: "reached", False: "**not reached**"}[figure["holds"]]
    shown = "" if ratio is None else f"{ratio:.2f}"
    return [figure["work"], f"{value} {figure['unit']}", beside, shown, asked, reached, str(figure["runs"]),
            figure.get("note", "")]  # fmt: skip


def table(found: dict[str, Any]) -> str:
    """Return the figures as a table in Markdown."""
    title = (
        f"Measured on {found['machine']}, with 7 columns. A ratio is that of the time of the other side, below 1 is "
        "faster; without another side, that of what was asked. Each figure is the median of so many runs, of memory "
        "the greatest: of five if one takes less than 10 seconds, of three below 30 seconds."
    )
    heads = ["work", "figure", "beside", "ratio", "asked", "", "runs", "note"]
    rows = [heads, ["---"] * len(heads), *map(cells, found["figures"])]
    return "\n".join([title, "", *(f"| {' | '.join(row)} |" for row in rows)])


def chart(found: dict[str, Any]) -> str:
    """Return the ratios as bars in an SVG; the line is a ratio of 1."""
    pairs = [figure for figure in found["figures"] if figure.get("ratio") is not None]
    unit, left, step = 90.0, 430, 24
    wide, high = left + 5.2 * unit, step * len(pairs) + 30
    title = "What the toolkit takes over what the other side takes, or over what was asked"
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {high}" font-family="sans-serif" '
             f'font-size="12"><title>{title}</title>',
             f'<rect width="{wide:g}" height="{high}" fill="#fff"/>']  # fmt: skip
    for number, figure in enumerate(pairs):
        y = step * number + 6
        name = escape(figure["work"] + (f" beside {figure['beside']}" if "beside" in figure else ""))
        length, fill = min(figure["ratio"], 4.5) * unit, "#2a6f97" if figure["holds"] is not False else "#b5521b"
        lines += [f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{name}</text>',
                  f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{step - 8}" fill="{fill}"/>',
                  f'<text x="{left + length + 5:.1f}" y="{y + 13}">{figure["ratio"]:.2f}</text>']  # fmt: skip
    x = left + unit
    lines.append(f'<path d="M{x:g} 0V{high - 22}" stroke="#333" stroke-dasharray="4 3"/>')
    lines.append(f'<text x="{x:g}" y="{high - 8}" text-anchor="middle">the same</text></svg>')
    return "\n".join(lines) + "\n"


def write(found: dict[str, Any]) -> None:
    """Write the chart, and the table into its place in the docs."""
    (RESULTS / "bench.svg").write_text(chart(found), encoding="utf-8")
    write_between(PAGE, table(found), BEGIN, END)


def write_between(page: Path, text: str, begin: str, end: str) -> None:
    """Replace what a page has between two marks."""
    whole = page.read_text(encoding="utf-8")
    before, after = whole.split(begin)[0], whole.split(end)[1]
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    write(json.loads((RESULTS / "bench.json").read_text(encoding="utf-8")))
