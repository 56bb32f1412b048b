"""The face: what `import toolkit as tk` offers, how it completes, and what it costs to start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import toolkit as tk
from toolkit import results, vendor
from toolkit.display import Result

ROOT = Path(__file__).parent.parent
FACE = """
    read_customers suggest_mapping Mapping mappings; Customer CustomAttribute; profile validate drift;
    correct preview_corrections patch_between apply_patch read_patch read_review_sheet; Ledger diff;
    plan_push push dry_run resume abandon settle repush revert plan_correction; status push_report push_history explain;
    readiness; use Settings Contract Sandbox check_schema; engine table; onboard MappingPanel ReviewPanel PushPanel
"""


def test_the_face_is_this_list_and_completion_shows_nothing_else() -> None:
    assert set(tk.__all__) == set(FACE.replace(";", " ").split())
    assert dir(tk) == tk.__all__ == sorted(tk.__all__)
    assert dir(results) == results.__all__ == sorted(results.__all__)


@pytest.mark.parametrize("face", [tk, results], ids=lambda module: module.__name__)
def test_every_name_of_a_face_leads_to_something_that_is_described(face: object) -> None:
    for name in dir(face):
        value = getattr(face, name)
        assert value.__doc__, name
        home = getattr(value, "__module__", f"toolkit.{name}")  # a package is at home where it is
        assert home.startswith("toolkit."), name  # no function hides its module
        assert getattr(face, name) is value


def test_the_result_types_are_results() -> None:
    for name in results.__all__:
        assert issubclass(getattr(results, name), Result), name
    assert isinstance(tk.status(), results.Status)


def test_a_name_that_is_not_there_is_an_error_with_the_nearest_one() -> None:
    with pytest.raises(AttributeError, match="no attribute 'validat', did you mean 'validate'"):
        tk.validat  # noqa: B018
    with pytest.raises(ImportError):
        from toolkit import nothing  # noqa: F401, PLC0415
    assert vendor.Client
    assert vendor.add_attribute


def loaded(code: str) -> set[str]:
    """The packages that a program has loaded at its end."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint('loaded', *{{name.split('.')[0] for name in sys.modules}})"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.splitlines()[-1].split()[1:])


HEAVY = {"anywidget", "pandas", "duckdb", "pyarrow", "pandera", "requests", "deltalake", "openpyxl", "nbclient"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]], ids=" ".join)
def test_help_loads_no_library_of_tables(arguments: list[str]) -> None:
    assert not loaded(f"from toolkit.cli import main\ntry: main({arguments})\nexcept SystemExit: pass") & HEAVY


def test_the_import_alone_loads_nothing() -> None:
    assert not loaded("import toolkit, toolkit.results, toolkit.errors") & {*HEAVY, "cyclopts", "pydantic"}


def test_a_command_for_notebooks_builds_no_grammar_of_addresses() -> None:
    assert {"nbclient", "lark"} & loaded(
        "from toolkit.cli import main\nmain(['run', 'none.ipynb', '--out', 'o.ipynb'])"
    ) == {"nbclient"}


def test_settings_do_not_load_what_reads_or_sends() -> None:
    assert not loaded("import toolkit; toolkit.Settings()") & {"requests", "deltalake", "openpyxl", "nbclient"}
