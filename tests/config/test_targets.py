"""Targets: `[targets.NAME]` in toolkit.toml, which one is chosen, and `use`, which chooses for all that follows."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

import toolkit as tk
from toolkit.config import Settings, current, use
from toolkit.errors import InputError, SandboxError, SettingsError

FILE = """
home = "records"
solution = "QP_DEFAULT"

[targets.acme-test]
base_url = "https://acme-test.example.com"
solution = "QP_ACME"
prefix = "AC_"
suffix = "_1"

[targets.acme]
base_url = "https://acme.example.com"
contract = "current"
solution = "QP_ACME"
ledger = "acme-ledger"

[[targets.acme.attributes]]
name = "region"
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own with two named targets, and no setting in the environment."""
    root = tmp_path / "project"
    (root / "toolkit").mkdir(parents=True)
    (root / "pyproject.toml").write_text('[project]\nname = "customer-toolkit"\n', encoding="utf-8")
    (root / "toolkit.toml").write_text(FILE, encoding="utf-8")
    monkeypatch.setattr("toolkit.config.project.PACKAGE", root / "toolkit")
    monkeypatch.chdir(root)
    monkeypatch.delenv("TOOLKIT_HOME")
    return root


def test_the_settings_at_the_top_of_the_file_are_those_of_the_default_target(project: Path) -> None:
    settings = Settings()
    assert (settings.target, settings.solution, settings.embedded) == ("sandbox", "QP_DEFAULT", True)
    assert settings.home == project / "records"


@pytest.mark.parametrize("how", ["use", "environment", "argument"])
def test_a_target_is_chosen_by_its_name(project: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "environment":
        monkeypatch.setenv("TOOLKIT_TARGET", "acme")
    settings = use("acme") if how == "use" else Settings(**{"target": "acme"} if how == "argument" else {})
    assert settings.label == "target acme · acme.example.com · contract current"
    assert [a.name for a in settings.attributes] == ["region"]
    assert settings.to_frame().loc["base_url", "from"] == f"{project / 'toolkit.toml'} [targets.acme]"


def test_a_named_target_shares_only_the_folders_with_the_default_one(project: Path) -> None:
    test, acme = Settings(target="acme-test"), Settings(target="acme")
    assert test.home == acme.home == project / "records"
    assert (test.ledger, acme.ledger) == (project / "records" / "ledger", project / "acme-ledger")
    (project / "toolkit.toml").write_text('solution = "S"\nprefix = "P_"\n[targets.a]\nbase_url = "https://a.b"\n')
    with pytest.raises(SettingsError, match=r"needs more settings.*TOOLKIT_SOLUTION, TOOLKIT_PREFIX"):
        Settings(target="a")


def test_the_default_target_may_be_one_of_the_named_ones(project: Path) -> None:
    (project / "toolkit.toml").write_text('target = "acme"\n' + FILE, encoding="utf-8")
    assert Settings().host == "acme.example.com"
    assert use("acme-test").host == "acme-test.example.com"


@pytest.mark.parametrize("how", ["use", "environment", "argument"])
def test_an_unknown_target_lists_the_known_ones(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "environment":
        monkeypatch.setenv("TOOLKIT_TARGET", "acme-tst")
    with pytest.raises(SettingsError, match=r"'acme-tst', did you mean 'acme-test'.*sandbox, acme-test, acme;"):
        use("acme-tst") if how == "use" else Settings(**{"target": "acme-tst"} if how == "argument" else {})


def test_without_a_file_the_name_in_the_environment_is_known(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "toolkit.toml").unlink()
    for name, value in (("BASE_URL", "https://a.b"), ("TARGET", "acme"), ("SOLUTION", "S"), ("CONTRACT", "current")):
        monkeypatch.setenv(f"TOOLKIT_{name}", value)
    assert use("acme").host == "a.b"
    with pytest.raises(SettingsError, match=r"'other'.*known targets are acme;"):
        use("other")


def test_the_environment_changes_other_settings_of_a_named_target_but_not_its_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOOLKIT_OPERATION", "APPEND")
    assert Settings(target="acme").operation == "APPEND"
    with pytest.raises(SettingsError, match=r"base_url= cannot change the host of the target 'acme'"):
        Settings(target="acme", base_url="http://127.0.0.1:1")
    monkeypatch.setenv("TOOLKIT_BASE_URL", "https://elsewhere.example.com")
    with pytest.raises(SettingsError, match=r"TOOLKIT_BASE_URL cannot change .* remove TOOLKIT_BASE_URL, or"):
        Settings(target="acme")
    monkeypatch.setenv("TOOLKIT_TARGET", "acme")
    with pytest.raises(SettingsError, match="TOOLKIT_BASE_URL cannot change"):
        Settings()
    assert Settings(target="sandbox", base_url=None).embedded


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '[targets.acme]\nbase_urls = "https://a.b"\n',
            r"\[targets.acme\] contains 'base_urls'.*did you mean 'base_url'",
        ),
        ('[targets.acme]\ntarget = "other"\n', r"\[targets.acme\] contains 'target', which is not a setting"),
        ('[targets.acme]\ntoken = "x"\n', "the token is not a setting"),
        ('targets = "acme"\n', r"such as \[targets.acme-test\]"),
        ('[targets]\nacme = "https://a.b"\n', r"such as \[targets.acme-test\]"),
    ],
)
def test_a_target_that_cannot_be_used_is_refused_with_its_place(project: Path, text: str, words: str) -> None:
    (project / "toolkit.toml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=words):
        Settings()


def test_what_use_chose_is_the_default_of_settings() -> None:
    assert current().target == "sandbox"
    chosen = use("acme")
    assert current() is chosen
    assert tk.Ledger.of().target == "acme"
    assert current(Settings()).target == "sandbox"  # an argument goes before it
    assert use(Settings(target="acme-test")) is current()
    with pytest.raises(SettingsError):
        use("nowhere")
    assert current().target == "acme-test"  # a wrong name changes nothing


def test_a_running_sandbox_is_used_with_records_of_its_own(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLKIT_TARGET", "acme")
    monkeypatch.setenv("TOOLKIT_CONTRACT", "2026-04")
    (project / "toolkit.toml").write_text(FILE + '[targets.sandbox]\nhome = "rehearsal"\n', encoding="utf-8")
    with tk.Sandbox(contract="current") as sandbox:
        settings = tk.use(sandbox)
        assert (settings.target, settings.base_url, settings.contract) == ("sandbox", sandbox.url, "current")
        assert settings.home.is_relative_to(sandbox.folder)
        assert settings.ledger.is_relative_to(sandbox.folder)
        assert "QP_CUSTOMER_OOTB" in settings.url()
    with pytest.raises(SandboxError, match="not running"):
        tk.use(tk.Sandbox())


@pytest.mark.parametrize("embedded", [True, False])
def test_a_sandbox_works_for_an_analyst_whose_token_is_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, embedded: bool
) -> None:
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "token-of-a-real-tenant")
    if embedded:
        assert tk.check_schema(settings=Settings()).ok
        return
    with tk.Sandbox() as sandbox:
        tk.use(sandbox)
        assert tk.check_schema().ok


@pytest.mark.parametrize("wrong", [None, 1, Path("acme"), [], Settings, tk.Sandbox])
def test_use_refuses_what_names_no_target(wrong: object) -> None:
    with pytest.raises(InputError, match="name of a target, a Settings or a running Sandbox is wanted"):
        use(wrong)  # type: ignore[arg-type]


def test_settings_of_a_wrong_kind_are_refused() -> None:
    for wrong in ("acme", {"target": "acme"}, tk.Sandbox):
        with pytest.raises(InputError, match="A Settings is wanted"):
            tk.status(settings=wrong)  # type: ignore[arg-type]


def test_the_host_of_a_named_target_is_confirmed_like_any_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "a-token")
    with pytest.raises(SettingsError, match=r"not confirmed this, .*'toolkit --target acme schema' once at a terminal"):
        Settings(target="acme").token()
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    assert Settings(target="acme").token().get_secret_value() == "a-token"
    assert "acme.example.com" in capsys.readouterr().err


def test_the_checkout_is_the_root_from_every_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    root = Path(__file__).resolve().parents[2]
    assert Settings().home == root / "data" / "state"


def test_a_local_server_does_not_write_to_the_ledger_of_the_real_host(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = 'target = "acme"\nbase_url = "https://acme.example.com"\nsolution = "Q"\nprefix = "A_"\nsuffix = "_1"\n'
    (project / "toolkit.toml").write_text(text, encoding="utf-8")
    assert Settings().target == "acme"
    monkeypatch.setenv("TOOLKIT_BASE_URL", "http://127.0.0.1:8765")
    assert (Settings().target, Settings().host) == ("sandbox", "127.0.0.1:8765")
    monkeypatch.setenv("TOOLKIT_TARGET", "acme")  # the analyst's own word
    assert Settings().target == "acme"


def test_the_embedded_sandbox_is_chosen_by_name_beside_a_real_target(project: Path) -> None:
    settings = use("sandbox")
    assert (settings.target, settings.embedded, settings.home) == ("sandbox", True, project / "records")
