"""Settings for a contract that the vendor does not document, such as one with a tiny limit of bytes."""

from __future__ import annotations

from toolkit.config import Settings
from toolkit.model import Contract


def settings_for(contract: Contract) -> Settings:
    """What a station needs of its settings: the contract."""

    class Stated(Settings):
        @property
        def documented(self) -> Contract:
            return contract

    return Stated()
