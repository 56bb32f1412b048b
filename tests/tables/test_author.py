"""Who is at work."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from toolkit.ledger.ledger import Ledger
from toolkit.tables.author import author


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found: 4711"), OSError("No username set")])
def test_a_user_without_a_name_is_known_by_number(
    customers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def nameless() -> str:
        raise error

    monkeypatch.setattr("getpass.getuser", nameless)
    assert author() == f"uid {os.getuid()}"
    ledger = Ledger(tmp_path / "ledger", "acme")
    ledger.seed(customers(1), reason="export", now=datetime(2026, 1, 1, tzinfo=UTC))
    assert ledger.history("C00000")["author"].tolist() == [author()]
