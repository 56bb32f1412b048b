"""Results as lines for a terminal: places and reasons, never a customer's values."""

from __future__ import annotations

from toolkit.contract import ID
from toolkit.diffing import WAYS_IN, Diff
from toolkit.display import plural
from toolkit.planning import PushPlan
from toolkit.profiling import Profile
from toolkit.replanning import Repush
from toolkit.reporting import PushReport
from toolkit.standing import Status
from toolkit.suggesting import MappingSuggestion
from toolkit.validation import ValidationReport

MOST = 20


def profile_lines(found: Profile) -> list[str]:
    """Say the share of nulls and the distinct values of each column."""
    return [
        f"  {c['column']}: {c['null_share']:.1%} null, {c['distinct']:,} distinct"
        for c in found.columns.to_dict("records")
    ]


def suggestion_lines(proposed: MappingSuggestion) -> list[str]:
    """Say which file column is proposed for which, and why."""
    return [
        f"  {c['column']}: {c['file_column']!r} ({c['score']:.0%}, {c['reason']})"
        for c in proposed.to_frame().to_dict("records")
        if c["state"] != "runner-up"
    ] + [f"  {note}" for note in proposed.notes]


def change_lines(changes: Diff) -> list[str]:
    """Say which fields changed, by row, id and column."""
    shown = changes.fields.head(MOST).to_dict("records")
    more = len(changes.fields) - len(shown)
    lines = [f"  source_row {r['source_row']}: {r[ID]} {r['column']}" for r in shown]
    return lines + ([f"  and {more:,} more changed fields"] if more else [])


def status_lines(found: Status) -> list[str]:
    """Say each push with its fates, the newest first."""
    return [
        f"  {p['opened_at']} {p['push']} {p['state']}: {plural(p['rows'], 'row')}, {p['accepted']:,} accepted, "
        f"{p['refused']:,} refused, {p['unknown']:,} unknown, {p['unsent']:,} unsent · {p['source']}"
        for p in found.pushes.head(MOST).to_dict("records")
    ]


def finding_lines(report: ValidationReport) -> list[str]:
    """Say each failure and warning, with its rows."""
    lines = []
    for word, findings in (("failure", report.failures), ("warning", report.warnings)):
        for why, group in findings.groupby("reason", sort=False):
            places = ", ".join(map(str, group["index"].head(8))) + (", …" if len(group) > 8 else "")
            lines.append(f"  {word}: {why} ({len(group):,}: source_row {places})")
    return lines


def plan_lines(planned: PushPlan) -> list[str]:
    """Say which guards speak and what overrules each, what is left out, and its way in."""
    guards = [
        f"  guard {g.name}: {g.message}" + (" Overruled." if g.overruled else f" To overrule it: --allow {g.name}")
        for g in planned.guards
    ]
    return guards + [
        f"  {'customers held' if state == 'held' else f'left out, {state}'.replace('_', ' ')}: {n:,} ({WAYS_IN[state]})"
        for state, n in planned.left_out.items()
        if n
    ]


def left_out_lines(planned: Repush) -> list[str]:
    """Say which rows are not sent again, and why."""
    shown = planned.left_out.head(MOST).to_dict("records")
    more = planned.n_left_out - len(shown)
    return [f"  left out: {r[ID]}, {r['why']}" for r in shown] + ([f"  and {more:,} more"] if more else [])


def fate_lines(result: PushReport) -> list[str]:
    """Say which rows were refused and why, and what waits."""
    lines = [
        f"  refused: source_row {r['source_row']}, {r[ID]}: "
        + " ".join(r[c] for c in ("code", "category", "message") if r[c])
        for r in result.refused.head(MOST).to_dict("records")
    ]
    if result.n_refused > MOST:
        lines.append(f"  and {result.n_refused - MOST:,} more refused rows")
    if result.n_refused and result.state != "dry run":
        lines.append(
            f"  To mend them: 'toolkit report {result.push} --excel refused.xlsx', and when it comes back mended "
            f"'toolkit repush {result.push} --mended refused.xlsx'."
        )
    unknown = result.unknown.head(MOST).to_dict("records")
    lines += [f"  unknown, sent and without an answer: source_row {r['source_row']}, {r[ID]}" for r in unknown]
    if result.n_unknown > MOST:
        lines.append(f"  and {result.n_unknown - MOST:,} more unknown rows")
    overtaken = result.overtaken.head(MOST).to_dict("records")
    lines += [f"  {r['message']}: source_row {r['source_row']}, {r[ID]}" for r in overtaken]
    if len(result.overtaken) > MOST:
        lines.append(f"  and {len(result.overtaken) - MOST:,} more rows left out")
    return lines + [f"  {way}" for way in result.waits]
