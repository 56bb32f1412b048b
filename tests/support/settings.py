"""Settings for a contract that the vendor does not document, such as one with a tiny limit of bytes."""

from __future__ import annotations

from pydantic import PrivateAttr

from toolkit.config import Settings
from toolkit.model import Contract


class _Stated(Settings):
    _stated: Contract = PrivateAttr()

    @property
    def documented(self) -> Contract:
        return self._stated


def settings_for(contract: Contract) -> Settings:
    """What a station needs of its settings: the contract."""
    settings = _Stated()
    settings._stated = contract
    return settings
