"""Run by a kernel before a notebook's first cell, so that two runs of `make notebooks` give the same bytes.

The clock shows 2 November 2026, 09:00 UTC, and a minute more in each further cell. Names that are random are counted,
and a sandbox has the port that the environment names: all of these are part of a plan's digest, or are shown.
"""

import itertools
import os
import secrets
import sys
import tempfile
from datetime import UTC, datetime, timedelta

import pandas as pd
from IPython import get_ipython

import toolkit as tk


def _now() -> datetime:
    return datetime(2026, 11, 2, 9, tzinfo=UTC) + timedelta(minutes=get_ipython().execution_count)


class _Kind(type(datetime)):
    def __instancecheck__(cls, given: object) -> bool:
        return isinstance(given, datetime)


class _Frozen(datetime, metaclass=_Kind):
    @classmethod
    def now(cls, tz=None) -> datetime:
        return _now().astimezone(tz)


_counted, _token_hex, _mkdtemp = itertools.count(1), secrets.token_hex, tempfile.mkdtemp
secrets.token_hex = lambda n=None: f"{next(_counted):06x}" if n == 3 else _token_hex(n)
tempfile.mkdtemp = lambda suffix=None, prefix="", dir=None: _mkdtemp(prefix=prefix, dir="/tmp")
pd.Timestamp.now = classmethod(lambda cls, tz=None: pd.Timestamp(_now()).tz_convert(tz))
tk.Sandbox.__init__.__kwdefaults__.update(port=int(os.environ["NOTEBOOK_PORT"]), clock=lambda: _now().timestamp())

for _name in tk.__all__:
    getattr(tk, _name)
for _module in [module for name, module in sys.modules.items() if name.startswith("toolkit.")]:
    if getattr(_module, "datetime", None) is datetime:
        _module.datetime = _Frozen
