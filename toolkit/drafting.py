"""The text of a suggested mapping: TOML that loads again, its reasons and open questions as comments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from toolkit.contract import TIME
from toolkit.mapping import Mapping
from toolkit.patterns import DatePattern


def quote(text: str) -> str:
    r"""Write a text as TOML does, so that no sign of it can be taken for TOML's own, nor goes unseen.

    Examples
    --------
    >>> print(quote('a "b"\n'))
    "a \"b\"\u000a"
    """
    return '"' + "".join(_escaped(c) for c in text) + '"'


def _escaped(sign: str) -> str:
    if sign in '"\\':
        return "\\" + sign
    if sign.isprintable():
        return sign
    return f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08x}"


def _said(text: str) -> str:
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def draft(
    mapping: Mapping,
    proposals: Iterable[Any],
    times: DatePattern | None,
    nulls: dict[str, int],
    corrections: dict[str, int],
    summary: str,
    notes: Iterable[str],
) -> str:
    """Write a suggestion as TOML; what only the analyst can decide is commented out."""
    lines = [f"# Suggested: {_said(summary)}.", *(f"# Detected: {_said(n)}" for n in notes)]
    lines += ["# Look through it, and state what is commented out.", "", "[columns]"]
    for p in proposals:
        if p.chosen is not None:
            lines.append(f"{p.column} = {quote(p.chosen.name)}  # {p.chosen.score:.2f}: {_said(p.chosen.reason)}")
        else:
            lines.append(f"# {p.column} is {p.state}" + (": choose one" if p.state == "ambiguous" else ""))
        mark = "" if p.state == "ambiguous" else "or "
        lines += [f"# {mark}{p.column} = {quote(c.name)}  # {c.score:.2f}: {_said(c.reason)}" for c in p.others]
    lines += ["", "[constants]", *(f"{c} = {quote(v)}" for c, v in mapping.constants.items())]
    missing = [p.column for p in proposals if p.state == "missing"]
    sample = {TIME: "2026-01-31T00:00:00Z", "source": "customer"}
    lines += [f"# {c} = {quote(sample.get(c, ''))}  # where one value holds for every row" for c in missing]
    lines += ["", "[format]"]
    lines += [f"{k} = {quote(v)}" for k in ("encoding", "delimiter", "sheet") if (v := getattr(mapping, k)) is not None]
    lines += [f"header_row = {mapping.header_row}"] if mapping.header_row is not None else []
    lines += _times(mapping, times)
    if mapping.nulls:
        lines.append(f"nulls = [{', '.join(map(quote, mapping.nulls))}]")
    elif nulls:
        said = ", ".join(f"{n:,} times {_said(s)}" for s, n in nulls.items())
        lines.append(f"# nulls = [{', '.join(map(quote, nulls))}]  # {said}: state it if they mean nothing")
    lines += ["", "[delivery]", f"kind = {quote(mapping.kind)}", "", "[corrections]"]
    lines += [f"# {rule} = true  # would change {n:,}" for rule, n in corrections.items()]
    return "\n".join(lines) + "\n"


def _times(mapping: Mapping, times: DatePattern | None) -> list[str]:
    lines = [f"# {TIME}: {_said(note)}" for note in times.notes] if times else []
    if mapping.datetime:
        lines.append(f"datetime = {quote(mapping.datetime)}")
    elif times is not None and times.state in ("ambiguous", "mixed"):
        lines += [
            f"# datetime = {quote(r.pattern)}  # {times.state}: reads {r.n_cells:,} of {times.n_cells:,}"
            for r in times.readings
        ]
    if mapping.timezone:
        lines.append(f"timezone = {quote(mapping.timezone)}")
    elif times is not None and times.n_naive:
        lines.append('# timezone = "Europe/Berlin"  # must be stated: the times name no zone, and it is never guessed')
    return lines
