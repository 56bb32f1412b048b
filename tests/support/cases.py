"""The cases from the field, beside what each must give: tests/cases/README.md."""

from __future__ import annotations

from pathlib import Path

CASES = Path(__file__).parents[1] / "cases"
