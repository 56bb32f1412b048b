"""Every hostile file gives the right frame or one clear error: no traceback, no crash, bounded memory and pages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.hostile import FAMILIES, Hostile
from toolkit.display.result import SCRIPT

ROOT = Path(__file__).parents[2]
MAX_BYTES, MAX_PAGE = 1_000_000_000, 5_000_000  # a page has up to 5,000 rows


def test_the_corpus_is_large_and_its_files_have_names_of_their_own() -> None:
    names = [hostile.name for family in FAMILIES.values() for hostile in family()]
    assert len(names) >= 150
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_hostile_file_gives_the_right_frame_or_one_clear_error(family: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.hostile", family, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}
    problems = []
    for hostile in FAMILIES[family]():
        if hostile.name not in found:
            problems.append(f"{hostile.name}: the process died: {done.stderr[-500:]}")
            break
        problems += [f"{hostile.name}: {what}" for what in judged(hostile, found[hostile.name])]
    assert not problems, "\n".join(problems)


def judged(hostile: Hostile, found: dict) -> list[str]:  # type: ignore[type-arg]
    problems = []
    if found["rss"] > MAX_BYTES:
        problems.append(f"the process came to {found['rss']:,} bytes")
    if "traceback" in found:
        return [*problems, f"raised {found['traceback']}"]
    if hostile.rows is None:
        if "message" not in found:
            problems.append(f"was read: {str(found['rows'])[:200]}")
        elif not re.search(hostile.error, found["message"]):
            problems.append(f"said {found['message'][:300]}")
        elif hostile.name not in found["message"]:
            problems.append(f"does not name the file: {found['message'][:300]}")
        return problems
    if "message" in found:
        return [*problems, f"said {found['message'][:300]}"]
    for what, wanted in (("rows", hostile.rows), ("broken", hostile.broken), ("times", hostile.times)):
        if wanted is not None and found[what] != [list(w) if isinstance(w, (list, tuple)) else w for w in wanted]:
            problems.append(f"{what} are {str(found[what])[:200]}")
    if found["more"] != hostile.more:
        problems.append(f"the first row has {str(found['more'])[:300]}")
    if not re.search(hostile.note, " · ".join(found["notes"])):
        problems.append(f"notes are {found['notes']}")
    warnings = " · ".join(found["warnings"]).replace("\n", " ")
    if bool(warnings) is not bool(hostile.warning) or not re.search(hostile.warning, warnings):
        problems.append(f"warnings are {warnings}")
    for name, page in found.get("pages", {}).items():
        if len(page.encode()) > MAX_PAGE:
            problems.append(f"the page of its {name} has {len(page.encode()):,} bytes")
        page = page.replace(SCRIPT, "")  # the toolkit's own
        if re.search(r"<(script|img)|onerror=alert\(1\)>|onmouseover=\"alert", page) or "https://" in page:
            problems.append(f"the page of its {name} holds markup of a cell, or an address")
    return problems
