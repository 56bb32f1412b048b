"""The notebooks: kept with the outputs of a clean run, and run unattended with other parameters."""

from __future__ import annotations

import ast
import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import yaml

import toolkit as tk
from tests.support.notebooks import MAX_BYTES, NOTEBOOKS, ROOT, executed, refusal, texts
from toolkit import cli
from toolkit.cli.demo import demo
from toolkit.cli.notebooks import INJECTED, inject
from toolkit.display import MIME, SCRIPT, STYLE
from toolkit.errors import InputError

NAMES = [path.stem for path in NOTEBOOKS]
REFRESH = ROOT / "notebooks" / "20_refresh_with_what_changed.ipynb"


def test_the_notebooks_are_there() -> None:
    assert NAMES == ["00_tour", "05_onboard_without_code", "10_onboard_a_customer_file",
                     "20_refresh_with_what_changed", "30_correct_and_repush", "40_custom_attributes",
                     "50_ready_for_training", "60_beyond_one_machine", "90_troubleshooting"]  # fmt: skip


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_a_notebook_is_a_story_in_short_cells(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    assert book.cells[0].source.splitlines()[0].startswith("# ")
    assert book.cells[0].source.splitlines()[0].endswith("?")  # the title is the question
    assert len(book.cells[0].source.splitlines()[2]) > 100  # and the first paragraph the answer
    assert [c.metadata.get("tags") for c in book.cells].count(["parameters"]) == 1
    code = [c for c in book.cells if c.cell_type == "code"]
    assert all(len(c.source.splitlines()) <= 9 and "def " not in c.source for c in code)
    assert any("assert " in c.source for c in code)
    assert "tk.use(sandbox" in code[1].source  # chosen once, at the top
    assert not any("settings=" in c.source for c in code)
    for target in re.findall(r"\]\(([^)#]+)\)", "".join(c.source for c in book.cells)):
        assert (path.parent / target).exists()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_a_run_gives_the_outputs_that_are_kept(path: Path) -> None:
    kept, run = nbformat.read(path, as_version=4), executed(path)
    for one, other in zip(kept.cells, run.cells, strict=True):
        assert texts([one]) == texts([other]), one.source
    assert [c.id for c in kept.cells] == [c.id for c in run.cells]
    assert kept.metadata == run.metadata
    assert path.stat().st_size < MAX_BYTES
    for cell in kept.cells:
        kinds = [o.output_type for o in cell.get("outputs", ())]
        assert ("error" in kinds) == ("raises-exception" in cell.metadata.get("tags", ()))
        assert not [o for o in cell.get("outputs", ()) if "widget" in str(o.get("data", {}).keys())]
    assert not refusal(path)


def book_of(*cells: str, outputs: str = "", parameters: str = "n = 7") -> nbformat.NotebookNode:
    code = [nbformat.v4.new_code_cell(cell) for cell in (parameters, *cells)]
    code[0].metadata["tags"] = ["parameters"]
    if outputs:
        code[-1].outputs = [nbformat.v4.new_output("stream", text=outputs)]
    return nbformat.v4.new_notebook(cells=code)


@pytest.mark.parametrize(
    ("outputs", "why"),
    [
        ("target sandbox · 127.0.0.1:8700 · contract 2026-04\n394 good", ""),
        ("target sandbox · embedded sandbox · contract current", ""),
        ("", ""),
        ("target acme · acme.example.com · contract current", "outputs from acme.example.com"),
        ("target sandbox · 127.0.0.1 · contract current\nsee https://acme.example.com/x", "from acme.example.com"),
        ("target sandbox-1 · 127.0.0.1.example.com · contract current", "from 127.0.0.1.example.com"),
        ("394 good", "none shows a target"),
    ],
)
def test_outputs_from_a_real_target_are_refused(outputs: str, why: str, tmp_path: Path) -> None:
    nbformat.write(book_of("x", outputs=outputs), tmp_path / "mine.ipynb")
    said = refusal(tmp_path / "mine.ipynb")
    assert (why in said) if why else not said


def test_the_scratch_folder_is_not_in_git_and_the_check_is_in_both_places() -> None:
    assert "notebooks/scratch/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    assert any(hook["entry"].endswith("-m tests.support.notebooks check") for hook in hooks)
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert "tests.support.notebooks check" in lint.group(1)


@pytest.fixture
def acme(monkeypatch) -> Iterator[tk.Sandbox]:
    """The vendor of a target, which the environment names, and whose ledger knows the delivery of September."""
    with tk.Sandbox() as vendor:
        named = {"TARGET": "acme", "BASE_URL": vendor.url, "SOLUTION": "QP_OOTB", "PREFIX": "QP_", "SUFFIX": "_OOTB"}
        for name, value in named.items():
            monkeypatch.setenv(f"TOOLKIT_{name}", value)
        monkeypatch.setenv("PEAK_AUTH_TOKEN", "sandbox")
        path = ROOT / "data/2026-09-01_customers.csv"
        september = tk.validate(tk.correct(tk.read_customers(path, mapping=path.with_suffix(".toml"))))
        tk.push(tk.plan_push(tk.diff(tk.Ledger.of().snapshot(), september)))
        yield vendor


def test_the_refresh_runs_unattended_and_sends_what_the_ledger_does_not_know(
    tmp_path: Path, monkeypatch, capsys, acme
) -> None:
    monkeypatch.chdir(tmp_path)
    n_known = len(acme.table())
    november = tk.read_customers(
        ROOT / "data/2026-10-01_customers.xlsx", mapping=ROOT / "data/2026-10-01_customers.toml"
    )
    frame = november.frame.assign(source="customer").head(300)
    frame.iloc[3, frame.columns.get_loc("source")] = "fax"  # one row for quarantine
    frame.to_csv("november.csv", index=False)
    columns = "\n".join(f'{name} = "{name}"' for name in frame.columns)
    Path("november.toml").write_text(f'[columns]\n{columns}\n[delivery]\nkind = "changes"\n', encoding="utf-8")
    given = ["-p", "delivery=november.csv", "-p", "mapping=november.toml", "-p", "target=acme"]
    command = ["run", str(REFRESH), *given, "--out", "{date}.ipynb"]
    assert cli.main([*command, "--json"]) == 1  # a row is in quarantine
    out, err = capsys.readouterr()
    assert '"kind": "PushReport"' in out
    assert "written to" in err
    (done,) = tmp_path.glob("20??-??-??.ipynb")
    book = nbformat.read(done, as_version=4)
    cell = next(c for c in book.cells if INJECTED in c.metadata.get("tags", ()))
    assert cell.source.splitlines()[1] == f"delivery = {str(tmp_path / 'november.csv')!r}"
    page = done.with_suffix(".html").read_text(encoding="utf-8")
    assert page.count("<h1>") == 1
    assert "1 quarantined" in page
    assert 0 < len(acme.table()) - n_known < 30 < 200 < n_known
    assert tk.Ledger.of().versions().num_rows == len(acme.table())
    assert (page.count(STYLE), page.count(SCRIPT)) == (1, 1)
    assert not re.findall(
        r"https?://(?!127\.0\.0\.1)|src=|<link|@import|url\(", page.replace(SCRIPT, "").replace(STYLE, "")
    )
    assert cli.main(command) == 2  # what exists is kept
    assert "--overwrite" in capsys.readouterr().err


def test_a_run_that_fails_or_shows_no_result_exits_with_2_and_keeps_what_ran(tmp_path: Path, capsys) -> None:
    secret = "0001003 Castellór"
    shown = "import toolkit as tk; tk.use('sandbox')"
    nbformat.write(book_of(shown, f"raise KeyError({secret!r})", "n"), tmp_path / "fails.ipynb")
    nbformat.write(book_of(shown), tmp_path / "none.ipynb")
    nbformat.write(book_of("import toolkit as tk; tk.read_customers(f'{n}.csv')", "n"), tmp_path / "ours.ipynb")
    said = {}
    for name in ("fails", "none", "ours"):
        assert (
            cli.main(["run", str(tmp_path / f"{name}.ipynb"), "-p", "n=8", "--out", str(tmp_path / f"{name}2.ipynb")])
            == 2
        )
        said[name] = capsys.readouterr().err
        kept = nbformat.read(tmp_path / f"{name}2.ipynb", as_version=4)
        assert kept.cells[2].outputs
        assert not kept.cells[-1].outputs or name == "none"
    assert "stopped: KeyError What ran so far" in said["fails"]
    assert secret not in said["fails"]
    assert "KeyError" in (tmp_path / "fails2.html").read_text(encoding="utf-8")
    assert "shows no result" in said["none"]
    assert "8.csv" in said["ours"]


@pytest.mark.parametrize(
    ("parameters", "given", "source"),
    [
        ("n = 7", {"n": "8"}, "n = 8"),
        ("name = 'x'", {"name": "00123"}, "name = '00123'"),
        ("name: str", {"name": "a b"}, "name = 'a b'"),
        ("flags = (1, 2)", {"flags": "[3]"}, "flags = [3]"),
        ("name = None", {"name": "it's"}, 'name = "it\'s"'),
        ("n = 7", {"n": "many"}, InputError),
        ("n = 7", {"m": "8"}, InputError),
        ("n: int", {}, InputError),
        ("%matplotlib inline\nn = 7", {"n": "8"}, InputError),
    ],
)
def test_parameters_have_the_kind_of_their_default(parameters: str, given: dict, source: str | type) -> None:
    book = book_of("n", parameters=parameters)
    if isinstance(source, str):
        for _ in range(2):  # a notebook that was run before has an injected cell already
            inject(book, given)
        assert book.cells[1].source == f"# Parameters\n{source}"
        assert len(book.cells) == 3
    else:
        with pytest.raises(source):
            inject(book, given)


def test_a_first_own_notebook_has_its_parameters_filled_in(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("toolkit.config.project.PACKAGE", tmp_path / "installed" / "toolkit")
    monkeypatch.chdir(tmp_path)
    Path('export "1".csv').write_bytes((ROOT / "data/2026-09-01_customers.csv").read_bytes())
    command = ["new", "acme-march", "--file", 'export "1".csv']
    assert cli.main(command) == 0
    path = tmp_path / "notebooks" / "scratch" / "acme-march.ipynb"
    book = nbformat.read(path, as_version=4)
    values = {line.targets[0].id: ast.literal_eval(line.value) for line in ast.parse(book.cells[1].source).body}
    assert values == {"delivery": str(tmp_path / 'export "1".csv'), "mapping": str(tmp_path / 'export "1".toml'),
                      "target": "sandbox"}  # fmt: skip
    inject(book, {"target": "acme"})
    before = path.read_bytes()
    for wrong in (command, ["new", "../x", "--file", 'export "1".csv'], ["new", "b", "--file", "none.csv"]):
        assert cli.main(wrong) == 2
    assert path.read_bytes() == before
    capsys.readouterr()
    Path('export "1".toml').write_bytes((ROOT / "data/2026-09-01_customers.toml").read_bytes())
    assert cli.main(["run", str(path), "--out", "done.ipynb", "--json"]) == 1
    assert '"kind": "PushPlan"' in capsys.readouterr().out


def test_the_demo_describes_the_main_job(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    demo(folder=Path("demo"))  # everything is in this folder, the sandbox's state too
    assert (tmp_path / "demo" / "sandbox" / "state" / "ledger").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    story = capsys.readouterr().out
    assert "target sandbox · 127.0.0.1" in story.splitlines()[0]
    for words in ("First delivery", "1 refused", "DI_E_00017 price list is not known", "Second delivery", "39 accepted",
                  "no push is open", "1 entry in the ledger, from 2026-10-01_customers.xlsx",
                  f"with their outputs: {ROOT / 'notebooks'}"):  # fmt: skip
        assert words in story
    held, table = re.search(r"The ledger has (\d+) versions .* table has (\d+) rows", story).groups()
    assert held == table
    assert len(list((tmp_path / "demo").glob("*.html"))) == 12  # six steps of two deliveries


def test_a_demo_empties_only_a_folder_that_a_demo_created(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine", encoding="utf-8")
    for place in (tmp_path, tmp_path / "precious.txt"):
        with pytest.raises(InputError, match="name a new folder"):
            demo(folder=place)
    assert (tmp_path / "precious.txt").read_text(encoding="utf-8") == "mine"


def test_the_recipes_for_a_scheduler_can_be_read_by_it() -> None:
    text = (ROOT / "docs" / "scheduling.md").read_text(encoding="utf-8")
    blocks = dict(re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL))
    ast.parse(blocks["python"])
    (job,) = yaml.safe_load(blocks["yaml"])["jobs"].values()
    cron = blocks["text"].splitlines()[1]
    assert re.match(r"(\S+ ){5}cd ", cron)
    for line in (
        blocks["sh"],
        cron,
        job["steps"][-1]["run"],
        "".join(re.findall(r"""["'](.*toolkit run.*|-p .*)["']""", blocks["python"])),
    ):
        words = shlex.split(line)
        names = [word.partition("=")[0] for before, word in itertools.pairwise(words) if before == "-p"]
        assert names == ["delivery", "mapping", "target"]
        inject(nbformat.read(REFRESH, as_version=4), dict.fromkeys(names, "x"))
        assert words[words.index("run") + 1] == "notebooks/20_refresh_with_what_changed.ipynb"


def test_a_result_says_of_which_kind_it_is_and_whether_it_has_findings(customers) -> None:
    report = tk.validate(customers(2))
    said = report._repr_mimebundle_()[MIME]
    assert said == {"kind": "ValidationReport", "has_findings": False, "summary": report.summary()}
    assert tk.validate(customers(2, source="fax"))._repr_mimebundle_()[MIME]["has_findings"] is True
