"""Settings for a contract that the vendor does not document, as a tiny limit of bytes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from toolkit.model import Contract


def settings_for(contract: Contract) -> Any:
    """What a station needs of its settings: the contract."""
    return SimpleNamespace(documented=contract)
