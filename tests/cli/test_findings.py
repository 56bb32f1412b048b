"""How the commands show what a check found: each finding once, with its count and three rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.cli import main

ROWS = """customer_id,updated_at,customer_name
C1,2026-01-28T10:00:00Z,Acme\x20
C2,2026-01-28T10:00:00Z,ACME GmbH
C3,2026-01-28T10:00:00Z,Acme Gmbh
C4,2026-01-28T10:00:00Z,Bolt
C4,2026-01-28T10:00:00Z,Bolt
C5,2026-01-28T10:00:00Z,test
C6,2026-01-28T10:00:00Z,test
C7,2026-01-28T10:00:00Z,xxx
C8,2026-01-28T10:00:00Z,n/a
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "crm.csv"
    path.write_text(ROWS)
    return path


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    main(list(words))
    return "".join(capsys.readouterr())


def test_a_check_shows_each_finding_once_with_its_count_and_three_rows(file: Path, capsys) -> None:
    said = shown(capsys, "check", str(file))
    lines = said.splitlines()
    at = next(n for n, line in enumerate(lines) if "placeholder" in line)
    assert lines[at].endswith("(4 rows)")
    assert [line.strip() for line in lines[at + 1 : at + 4]] == ["row 7 test", "row 8 test", "row 9 xxx"]
    assert "n/a" not in said  # the fourth
    (names,) = [n for n, line in enumerate(lines) if "shared by several customers" in line]
    assert lines[names].endswith("(3 rows in 1 group)")  # "test" twice is a placeholder, and said as such
    assert lines[names + 1].strip() == "row 2 Acme·, with row 3 ACME GmbH, with row 4 Acme Gmbh"


def test_a_check_names_the_twin_of_each_duplicate(file: Path, capsys) -> None:
    lines = shown(capsys, "check", str(file)).splitlines()
    (at,) = [n for n, line in enumerate(lines) if "in more than one row" in line]
    assert lines[at].endswith("(2 rows in 1 group)")
    assert lines[at + 1].strip() == "row 5 C4, with row 6 C4"


@pytest.mark.parametrize("command", ["diff", "plan"])
def test_what_comes_after_a_check_shows_its_counts_only(file: Path, capsys, command: str) -> None:
    said = shown(capsys, command, str(file))
    assert "9 rows: 7 good, 2 quarantined (2 failures)" in said
    assert "placeholder" not in said


def test_times_are_shown_as_the_file_writes_them(tmp_path: Path, capsys) -> None:
    (tmp_path / "crm.csv").write_text("Nr;Stand\nC1;01.02.1999\n")
    (tmp_path / "crm.toml").write_text(
        '[columns]\ncustomer_id = "Nr"\nupdated_at = "Stand"\n'
        '[format]\ndatetime = "%d.%m.%Y"\ntimezone = "Europe/Berlin"\n'
    )
    said = shown(capsys, "check", str(tmp_path / "crm.csv"), "--mapping", str(tmp_path / "crm.toml"))
    assert "row 2 01.02.1999\n" in said  # not 1999-01-31T23:00:00Z
