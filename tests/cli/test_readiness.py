"""The command readiness: what it prints, and what its exit code says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from toolkit.cli import main

CUSTOMERS = """customer_id,updated_at,customer_category,customer_subcategory
007,2026-01-28T10:00:00Z,Retail,Wood
"""
QUOTES = "Account;Offer date\n007;2026-01-29T10:00:00Z\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    paths = tmp_path / "crm.csv", tmp_path / "quotes.csv"
    for path, text in zip(paths, (CUSTOMERS, QUOTES), strict=True):
        path.write_text(text)
    return str(paths[0]), str(paths[1])


def test_readiness_is_shown_before_and_after_a_push_of_a_file(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, quotes = files
    named = ["--column", "customer_id=account", "--column", "quoted_at=Offer date", "--stale-months", "1200"]
    assert main(["readiness", file, "--quotes", quotes, *named, "--html", str(tmp_path / "page.html")]) == 1
    said = capsys.readouterr().out
    assert "0 of 1 quote has every feature as of their date (0%) · after this push 1 more quote has" in said
    assert "  1 customer that CUSTOMER lacks: 1 quote · 0 after the push" in said.splitlines()
    assert "After the push" in (tmp_path / "page.html").read_text(encoding="utf-8")

    assert main(["readiness", file, "--quotes", quotes, *named, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["ready"], found["after"]["ready"], found["totals"]["missing"]["quotes"]) == (0, 1, 1)

    assert main(["readiness", "--quotes", quotes]) == 2
    assert "quotes.csv lacks the column customer_id" in capsys.readouterr().err


def test_a_mapping_needs_the_file_that_it_is_of(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["readiness", "--mapping", "m.toml", "--quotes", files[1]]) == 2
    assert "are about FILE: name the file to push" in capsys.readouterr().err
    assert main(["readiness", "--help"]) == 0
    assert "The customers to push" in capsys.readouterr().out


def test_quotes_that_are_all_ready_are_no_finding(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    file, quotes = files
    assert main(["seed", file, "--reason", "sent by hand"]) == 0
    named = ["--column=customer_id=Account", "--column=quoted_at=Offer date", "--stale-months=1200"]
    assert main(["readiness", "--quotes", quotes, *named]) == 0
    assert "1 of 1 quote has every feature" in capsys.readouterr().out
