"""The user's name, for the records that name an author."""

from __future__ import annotations

import os

import pytest

from toolkit.tables.author import author


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found: 4711"), OSError("No username set")])
def test_a_user_without_a_name_is_known_by_number(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def nameless() -> str:
        raise error

    monkeypatch.setattr("getpass.getuser", nameless)
    assert author() == f"uid {os.getuid()}"
