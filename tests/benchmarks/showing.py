"""A run as a chart and as a table in the docs: ``python -m tests.benchmarks.showing`` makes both again."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "speed.md"
BEGIN, END = "<!-- figures: written by make bench -->", "<!-- end of figures -->"


def bound(figure: dict[str, Any]) -> str:
    """Return the bound of a figure in words, with whether it was kept."""
    limits = {key: figure[f"at_{key}"] for key in ("most", "least") if f"at_{key}" in figure}
    said = "".join(f"at {key} {limit:,.10g}" for key, limit in limits.items())
    return said + ("" if figure.get("holds", True) else ", **not reached**")


def table(found: dict[str, Any]) -> str:
    """Return the figures as tables in Markdown."""
    title = f"{found['rows']:,} rows of 7 columns, medians of five. A ratio below 1 is faster than the other side."
    lines = [title, "",
             "| work | beside | ratio | must be |", "|---|---|---|---|"]  # fmt: skip
    for figure in found["figures"]:
        if "ratio" in figure:
            lines.append(f"| {figure['name']} | {figure['peer']} | {figure['ratio']:.2f} | {bound(figure)} |")
    lines += ["", "| work | figure | must be |", "|---|---|---|"]
    for figure in found["figures"]:
        if "value" in figure:
            value = f"{figure['value']:,.2f}" if figure["value"] < 1000 else f"{figure['value']:,.0f}"
            lines.append(f"| {figure['name']} | {value} {figure['unit']} | {bound(figure)} |")
    return "\n".join(lines)


def chart(found: dict[str, Any]) -> str:
    """Return the ratios as bars in an SVG; the line is a ratio of 1."""
    pairs = [figure for figure in found["figures"] if "ratio" in figure]
    unit, left, step = 90.0, 260, 24
    wide, high = left + 5.2 * unit, step * len(pairs) + 30
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {high}" font-family="sans-serif" '
             f'font-size="12"><title>Seconds of the toolkit over those of the other side</title>',
             f'<rect width="{wide:g}" height="{high}" fill="#fff"/>']  # fmt: skip
    for number, figure in enumerate(pairs):
        y, name = step * number + 6, escape(f"{figure['name']} beside {figure['peer']}")
        length, fill = min(figure["ratio"], 4.5) * unit, "#2a6f97" if figure.get("holds", True) else "#b5521b"
        lines += [f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{name}</text>',
                  f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{step - 8}" fill="{fill}"/>',
                  f'<text x="{left + length + 5:.1f}" y="{y + 13}">{figure["ratio"]:.2f}</text>']  # fmt: skip
    x = left + unit
    lines.append(f'<path d="M{x:g} 0V{high - 22}" stroke="#333" stroke-dasharray="4 3"/>')
    lines.append(f'<text x="{x:g}" y="{high - 8}" text-anchor="middle">as fast</text></svg>')
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
