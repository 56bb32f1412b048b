"""The rules of the house: floors, one module for each lower library, the public face, the files beside the package."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import rattler
import yaml

from toolkit.model import CONTRACTS, CUSTOMER

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "toolkit"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}

# Who may import whom, from the ground up; between packages only through the face.
BELOW = {
    "errors": {"characters"},
    "progress": {"characters", "errors", "lazy"},
    "lazy": {"characters", "errors"},
    "files": {"characters", "errors"},
    "engine": {"characters", "errors", "lazy", "files"},
    "spreadsheets": {"characters", "errors"},
    "characters": set(),
    "display": {"characters", "errors", "lazy", "files"},
    "tables": {"characters", "errors", "lazy", "files", "engine"},
}
for package, floors in [
    ("model", "display tables"),
    ("config", "model progress"),
    ("reading", "config spreadsheets"),
    ("quality", "reading"),
    ("ledger", "config"),
    ("vendor", "config"),
    ("sending", "vendor"),
    ("pushing", "sending ledger quality"),
    ("training", "pushing"),
    ("results", "training"),
    ("panels", "results"),
    ("cli", "results"),
]:
    BELOW[package] = set(floors.split()).union(*(BELOW[floor] for floor in floors.split()))
# Each lower library has one room.
HOME = {
    "duckdb": {"engine.embedded"},
    "adbc_driver_manager": {"engine.adbc"},
    "adbc_driver_postgresql": {"engine.adbc"},
    "adbc_driver_snowflake": {"engine.adbc"},
    "pyspark": {"engine.spark_connect"},
    "sqlglot": {"engine.dialect"},
    "deltalake": {"ledger.delta"},
    "openpyxl": {"tables.writing"},
    "python_calamine": {"spreadsheets.xls"},
    "requests": {"vendor.client"},
    "urllib3": {"vendor.client"},
    "sqlite3": {"sending.journal"},
    "filelock": {"sending.lock"},
    "charset_normalizer": {"reading.letters"},
    "anywidget": {"panels.panel"},
    "ipywidgets": set(),
    "traitlets": set(),
}


def imports(path: Path) -> list[tuple[str, bool]]:
    """Every module that a file imports, and whether it does so inside a function."""
    found = []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, id(node) in inside))
    return found


def package(module: str) -> str:
    return module.split(".")[1]


def own_name(module: str) -> str:
    return module.removeprefix("toolkit.")


INSIDE = [m for m in MODULES if m not in ("toolkit", "toolkit.__main__")]


def test_every_package_has_a_floor_and_a_face_that_says_what_it_is() -> None:
    assert {package(m) for m in INSIDE} == set(BELOW)
    for name in BELOW.keys() - {"characters", "errors", "lazy", "files", "progress", "results"}:
        face = ast.parse(MODULES[f"toolkit.{name}"].read_text(encoding="utf-8"))
        assert "May import" in (ast.get_docstring(face) or ""), name
        assert not [n for n in ast.walk(face) if isinstance(n, ast.FunctionDef | ast.ClassDef)], f"{name} exports only"


@pytest.mark.parametrize("module", INSIDE)
def test_imports_go_downward_through_faces_and_stand_at_the_top(module: str) -> None:
    own = package(module)
    for name, inside in imports(MODULES[module]):
        assert not inside, f"{module} imports {name} inside a function"
        if name.startswith("toolkit.") and package(name) != own:
            assert package(name) in BELOW[own], f"{module} imports {name}"
            assert name.count(".") == 1, f"{module} imports {name}, not the face toolkit.{package(name)}"
        lower = name.split(".")[0]
        if lower in HOME and not module.startswith("toolkit.vendor.sandbox"):
            assert own_name(module) in HOME[lower], f"{module} imports {lower}, which belongs to {HOME[lower]}"


def test_no_room_imports_in_a_circle() -> None:
    graph = {m: {n for n, _ in imports(p) if n in MODULES and n != m} for m, p in MODULES.items()}
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


def test_the_sandbox_shares_nothing_with_the_client_but_its_error() -> None:
    sandbox = "toolkit.vendor.sandbox"
    for module in [m for m in MODULES if m.startswith(sandbox)]:
        shared = {n for n, _ in imports(MODULES[module]) if n.startswith("toolkit.") and not n.startswith(sandbox)}
        assert shared <= {"toolkit.errors"}


def test_what_the_engine_makes_in_memory_is_temporary() -> None:
    # All sessions of a process share one database; what is not temporary would meet another session there.
    lasting = re.compile(r"CREATE (?!.*TEMP )(OR REPLACE )?\w+")
    for module, path in MODULES.items():
        if package(module + ".") != "engine" and any(name.startswith("toolkit.engine") for name, _ in imports(path)):
            assert not lasting.findall(path.read_text(encoding="utf-8")), module


def test_no_module_is_two_ideas() -> None:
    long = {m: n for m, p in MODULES.items() if (n := len(p.read_text(encoding="utf-8").splitlines())) > 600}
    assert not long


def test_limits_and_paths_stand_in_the_contract_alone() -> None:
    facts = ("/api/v2", "ingestion-api", "solutionName", "operationType", "dryRun", "peak.ai")
    for module, path in MODULES.items():
        if module == "toolkit.model.contract" or module.startswith("toolkit.vendor.sandbox"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        values = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in prose]
        assert not [v for v in values if isinstance(v, str) and any(fact in v for fact in facts)], module
        assert not {2_000, 1_000_000} & {v for v in values if isinstance(v, int)}, module


def public(node: ast.AST, name: str) -> list[tuple[str, ast.AST]]:
    """A module's public classes, functions and methods; what stands inside a function is nobody's concern."""
    found = [(name, node)]
    for child in getattr(node, "body", []):
        if isinstance(child, ast.ClassDef | ast.FunctionDef) and not child.name.startswith("_"):
            inner = public(child, f"{name}.{child.name}")
            found += inner if isinstance(child, ast.ClassDef) else inner[:1]
    return found


def test_every_public_thing_says_what_it_is() -> None:
    for module, path in MODULES.items():
        for name, node in public(ast.parse(path.read_text(encoding="utf-8")), module):
            assert ast.get_docstring(node), name


# Rooms that are about certain columns; the model spells them out. A second resource of the same shape leaves the rest.
ABOUT_COLUMNS = {
    "reading.column_names",
    "quality.rules",
    "quality.corrections",
    "quality.similar_names",
    "quality.totals",
}


def test_columns_by_name_stand_only_where_they_are_meant() -> None:
    # But for "source", which is a delivery's file too.
    named = re.compile(rf"\b({'|'.join(c for c in CUSTOMER.attributes if c != 'source')})\b")
    found = {}
    for module, path in MODULES.items():
        if package(f"{module}.") == "model" or own_name(module) in ABOUT_COLUMNS or ".sandbox" in module:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        texts = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in prose]
        lines = sorted({n.lineno for n in texts if isinstance(n.value, str) and named.search(n.value)})
        if lines:
            found[own_name(module)] = lines
    assert not found


def test_both_contracts_name_the_same_columns_and_key() -> None:
    for contract in CONTRACTS.values():
        assert contract.resource.names == CUSTOMER.names
        assert contract.resource.key == ("customer_id", "updated_at")


def test_environment_yml_agrees_with_pyproject() -> None:
    conda = {"duckdb": "python-duckdb"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    lines = [line for line in environment["dependencies"] if isinstance(line, str)]
    for line in lines:
        assert rattler.MatchSpec(line).name is not None
    said = dict(line.split(" ", 1) for line in lines if " " in line)
    assert said.pop("python") == project["requires-python"]
    wanted = {}
    for dependency in project["dependencies"]:
        name, bound = re.fullmatch(r"([a-z0-9-]+)(.*)", dependency).groups()
        wanted[conda.get(name, name)] = bound
    assert said == wanted
    assert all(bound.startswith(">=") for bound in wanted.values())


def test_the_contracts_facts_stand_in_the_contract_alone() -> None:
    # The model spells the columns out; the sandbox reads the contract a second time.
    exempt = {"toolkit.model", "toolkit.model.contract", "toolkit.model.schema"}
    facts = {"customer_id", "updated_at", "failed", "operationType", "solutionName", "dryRun", "CUSTOMER", 2_000,
             1_000_000}  # fmt: skip
    for module in MODULES.keys() - exempt - {m for m in MODULES if m.startswith("toolkit.vendor.sandbox")}:
        for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant):
                assert node.value not in facts, f"{module}, line {node.lineno}: {node.value!r} is the contract's"
                assert not str(node.value).startswith(("/api/", "api/")), f"{module}, line {node.lineno}"


def test_only_what_tools_need_stands_beside_the_folders() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    top = {name.split("/")[0] for name in tracked}
    assert top <= {
        "docs",
        "notebooks",
        "toolkit",
        "tests",
        "data",
        "environment.yml",
        "README.md",
        "pyproject.toml",
        "Makefile",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        ".ci",
        ".gitignore",
        ".gitattributes",
        ".pre-commit-config.yaml",
    }


def test_no_registry_or_mirror_is_named_in_a_file() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    hosts = re.compile(r"pypi\.org|pythonhosted|conda\.anaconda|registry\.npmjs|deb\.debian", re.IGNORECASE)
    for name in tracked:
        if not name.endswith((".xlsx", ".png", "test_house.py")):
            assert not hosts.search((ROOT / name).read_text(encoding="utf-8", errors="replace")), name
