"""The table of licences is what pyproject.toml asks for and packages state; an audit says what it knows."""

from __future__ import annotations

import importlib.metadata
import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support import audit

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = (line for extra in ("sql", "warehouse", "spark") for line in PROJECT["optional-dependencies"][extra])
ASKED = {Requirement(line).name for line in (*PROJECT["dependencies"], *EXTRAS)}
LINES = re.findall(r"^\| ([a-z0-9-]+) \| .+ \| (.+) \|$", (ROOT / "docs/licences.md").read_text("utf-8"), re.MULTILINE)
PERMISSIVE = re.compile(r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|MPL|Mozilla|0BSD|CC0|Zlib|Unlicense)")


def stated(name: str) -> str:
    """What a package says of its licence; several spell it out in whole instead of naming it."""
    facts = importlib.metadata.metadata(name)
    classified = [c.rpartition(" :: ")[2] for c in facts.get_all("Classifier") or () if c.startswith("License")]
    return " / ".join([facts.get("License-Expression") or "", *classified, (facts.get("License") or "")[:60]])


def needed() -> set[str]:
    found: set[str] = set()
    wanted = list(ASKED)
    while wanted:
        if (name := re.sub(r"[-_.]+", "-", wanted.pop()).lower()) in found:
            continue
        found.add(name)
        for line in importlib.metadata.requires(name) or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                wanted.append(requirement.name)
    return found


def test_the_table_lists_what_the_project_asks_for() -> None:
    assert sorted(name for name, _ in LINES) == sorted(ASKED)


@pytest.mark.parametrize(("name", "licence"), LINES)
def test_a_licence_is_the_one_that_the_package_states(name: str, licence: str) -> None:
    assert licence.partition("-")[0] in stated(name)


def test_all_that_is_needed_is_under_a_permissive_licence() -> None:
    found = {name: stated(name) for name in needed()}
    assert len(found) > 50
    assert {name: text for name, text in found.items() if not PERMISSIVE.search(text) or "GPL" in text} == {}


def package(name: str, *faults: str) -> dict[str, object]:
    return {"name": name, "version": "1.0", "vulns": [{"id": fault, "fix_versions": ["1.1"]} for fault in faults]}


SKIPPED = {"name": "acme", "skip_reason": "Dependency not found"}


@pytest.mark.parametrize(
    ("packages", "code", "words"),
    [
        ([package("a"), package("b")], 0, "No known vulnerability in 2 packages"),
        ([package("a", "CVE-1"), package("b")], 1, "a 1.0: CVE-1, fixed in 1.1"),
        ([package("a", "CVE-1"), SKIPPED], 1, "knows nothing about 1 of 2 packages: acme"),
        ([SKIPPED, SKIPPED], 2, "They were not audited"),
        ([package("a"), {**SKIPPED, "name": "customer-toolkit"}], 0, "No known vulnerability"),
        ([], 2, "They were not audited"),
    ],
)
def test_an_audit_says_what_it_knows_and_what_it_does_not(packages: list, code: int, words: str) -> None:
    found, lines = audit.verdict(packages)
    assert found == code
    assert words in "\n".join(lines)


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("echo 'Failed to resolve a host' >&2; exit 1", 2, "cannot be reached, and nothing was audited: Failed"),
        ("exit 1", 2, "nothing was audited"),
        (f"echo '{json.dumps({'dependencies': [package('a')]})}' > $6; exit 0", 0, "No known vulnerability in 1"),
    ],
)
def test_an_audit_without_its_database_is_no_clean_audit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], script: str, code: int, words: str
) -> None:
    tool = tmp_path / "pip-audit"
    tool.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    tool.chmod(0o755)
    assert audit.main(str(tool), str(tmp_path)) == code
    assert words in capsys.readouterr().out
