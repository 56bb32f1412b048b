"""Settings: the layers, each refusal, and a token that is never shown."""

import io
import json
import os
import pickle
import stat
import sys
import traceback
import warnings
from dataclasses import replace
from pathlib import Path

import keyring
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked
from pydantic import SecretStr

from toolkit.config.credentials import checked, checked_address
from toolkit.config.settings import Settings
from toolkit.errors import SettingsError
from toolkit.model.contract import Contract

REAL = "https://ingestion.peak.ai"
NAMES = {"target": "acme", "solution": "QP_ACME", "prefix": "AC_", "suffix": "_1"}
TOKEN = "s3cret-t0ken-of-the-analyst"


class MemoryKeyring(KeyringBackend):
    priority = 1

    def __init__(self, stored=(), *, locked=False):
        self.stored, self.locked, self.asked = dict(stored), locked, []

    def get_password(self, service, username):
        self.asked.append((service, username))
        if self.locked:
            raise KeyringLocked("locked")
        return self.stored.get((service, username))

    def set_password(self, service, username, password):
        self.stored[service, username] = password


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A project of its own, without settings, a terminal or a token."""
    for name in list(os.environ):
        if name.upper().startswith("TOOLKIT_") or name in {"PEAK_AUTH_TOKEN", "API_KEY"}:
            monkeypatch.delenv(name)
    root = tmp_path / "project"
    for folder in ("toolkit", "notebooks/deep"):
        (root / folder).mkdir(parents=True)
    (root / "pyproject.toml").write_text('[project]\nname = "customer-toolkit"\n')
    monkeypatch.setattr("toolkit.config.project.PACKAGE", root / "toolkit")
    monkeypatch.chdir(root)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    before = keyring.get_keyring()
    keyring.set_keyring(MemoryKeyring())
    yield root
    keyring.set_keyring(before)


def write(folder, text):
    path = folder / "toolkit.toml"
    path.write_text(text, encoding="utf-8")
    return path


def real(**more):
    return Settings(base_url=REAL, **(NAMES | more))


# Layers


def test_with_nothing_set_everything_works_against_the_embedded_sandbox(project):
    settings = Settings()
    assert settings.embedded
    assert settings.local
    assert settings.label == "target sandbox · embedded sandbox · contract 2026-04"
    assert (settings.solution, settings.prefix, settings.suffix) == ("QP_OOTB", "QP_", "_OOTB")
    assert settings.operation == "UPSERT"
    assert settings.url() == "/api/v2/ingest/object/QP_CUSTOMER_OOTB"
    assert settings.url("http://127.0.0.1:9/") == "http://127.0.0.1:9/api/v2/ingest/object/QP_CUSTOMER_OOTB"
    assert settings.home == project / "data" / "state"
    assert settings.ledger == settings.home / "ledger"


def test_arguments_go_over_the_environment_over_the_file_over_defaults(project, monkeypatch):
    path = write(project, 'prefix = "F_"\nsuffix = "_F"\nsolution = "FILE"\n')
    monkeypatch.setenv("TOOLKIT_SUFFIX", "_E")
    monkeypatch.setenv("TOOLKIT_SOLUTION", "ENVIRONMENT")
    settings = Settings(solution="ARGUMENT")
    assert (settings.prefix, settings.suffix, settings.solution) == ("F_", "_E", "ARGUMENT")
    origin = settings.to_frame()["from"]
    assert origin["prefix"] == str(path)
    assert origin["suffix"] == "environment"
    assert origin["solution"] == "argument"
    assert origin["contract"] == "default"


def test_every_setting_can_be_given_in_the_environment(project, monkeypatch):
    given_ = {
        "TARGET": "acme",
        "BASE_URL": "https://ingestion.eu.peak.ai/",
        "PATH_STYLE": "object",
        "SOLUTION": "S",
        "PREFIX": "P_",
        "SUFFIX": "_S",
        "CONTRACT": "current",
        "OPERATION": "APPEND",
        "HOME": str(project / "h"),
        "LEDGER": str(project / "l"),
        "EXTRA_HEADERS": '{"x-auth-tenant": "acme"}',
        "MAX_REQUESTS_PER_S": "4.5",
    }
    for name, value in given_.items():
        monkeypatch.setenv(f"TOOLKIT_{name}", value)
    settings = Settings()
    assert settings.url() == "https://ingestion.eu.peak.ai/api/v2/object/P_CUSTOMER_S"
    assert settings.label == "target acme · ingestion.eu.peak.ai · contract current"
    assert settings.documented == replace(Contract.named("current"), max_requests_per_s=4.5)
    assert settings.operation == "APPEND"
    assert (settings.home, settings.ledger) == (project / "h", project / "l")
    assert settings.extra_headers == {"x-auth-tenant": "acme"}


def test_a_lower_rate_is_chosen_in_the_file_and_the_contracts_own_is_the_default(project):
    assert (Settings().max_requests_per_s, Settings().documented) == (50, Contract.named("2026-04"))
    write(project, "max_requests_per_s = 0.5\n")
    assert Settings().documented.max_requests_per_s == 0.5


@pytest.mark.parametrize("rate", [0, -1, 51, 50.5, float("inf"), float("nan"), "many"])
def test_a_rate_that_is_none_or_above_the_contracts_is_refused(rate):
    with pytest.raises(SettingsError, match=r"max_requests_per_s"):
        Settings(max_requests_per_s=rate)


def test_extra_headers_may_be_a_table_in_the_file(project):
    write(project, '[extra_headers]\nx-auth-tenant = "acme"\n')
    assert Settings().extra_headers == {"x-auth-tenant": "acme"}


def test_the_path_follows_the_contract_unless_it_is_set():
    assert Settings(contract="current").path_style == "objects"
    assert Settings(contract="current", path_style="ingest/object").path_style == "ingest/object"


def test_settings_do_not_change():
    settings = Settings()
    with pytest.raises(SettingsError, match="make new ones"):
        settings.target = "other"
    assert settings.target == "sandbox"


# The project's root


@pytest.mark.parametrize("folder", [".", "notebooks", "notebooks/deep", ".."])
def test_home_is_the_same_from_every_working_folder(project, monkeypatch, folder):
    monkeypatch.chdir(project / folder)
    assert Settings().home == project / "data" / "state"
    monkeypatch.setenv("TOOLKIT_HOME", "elsewhere")
    assert Settings().home == project / "elsewhere"


@pytest.mark.parametrize("folder", [".", "notebooks/deep", ".."])
def test_the_file_in_the_root_holds_from_every_working_folder(project, monkeypatch, folder):
    write(project, 'solution = "ROOT"\nledger = "shared"\n')
    monkeypatch.chdir(project / folder)
    assert Settings().solution == "ROOT"
    assert Settings().ledger == project / "shared"


@pytest.mark.parametrize("folder", ["notebooks", "notebooks/deep", "../downloads"])
def test_a_file_anywhere_but_in_the_root_is_not_looked_at(project, monkeypatch, folder):
    (project / folder).mkdir(exist_ok=True)
    write(project / folder, f'solution = "STRANGE"\nhome = "here"\nbase_url = "{REAL}"\n')
    monkeypatch.chdir(project / folder)
    settings = Settings()
    assert (settings.solution, settings.host) == ("QP_OOTB", "embedded sandbox")
    assert settings.home == project / "data" / "state"


def test_a_file_above_the_root_is_not_looked_at(project, monkeypatch):
    write(project.parent, 'solution = "ABOVE"\n')
    monkeypatch.chdir(project / "notebooks")
    assert Settings().solution == "QP_OOTB"


def test_an_installed_package_takes_the_nearest_folder_with_a_file_for_root(tmp_path, monkeypatch):
    site, work = tmp_path / "site-packages", tmp_path / "work"
    (work / "a" / "b").mkdir(parents=True)
    site.mkdir()
    (site / "pyproject.toml").write_text('[project]\nname = "somebody-else"\n')
    monkeypatch.setattr("toolkit.config.project.PACKAGE", site / "toolkit")
    monkeypatch.chdir(work / "a" / "b")
    assert Settings().home == work / "a" / "b" / "data" / "state"
    write(work, 'solution = "WORK"\n')
    assert Settings().home == work / "data" / "state"


def test_a_file_as_windows_editors_write_it_is_read(project):
    (project / "toolkit.toml").write_bytes(b'\xef\xbb\xbfsolution = "MARKED"\r\n')
    assert Settings().solution == "MARKED"


# Folders


def test_nothing_is_made_before_it_is_used_and_then_for_this_user_alone(project):
    settings = Settings()
    repr(settings)
    assert not settings.home.exists()
    made = settings.target_folder()
    assert made == settings.home / "targets" / "sandbox"
    for folder in (settings.home, made.parent, made, settings.folder("logs")):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_is_there_keeps_its_permissions(project):
    shared = project / "shared"
    shared.mkdir()
    shared.chmod(0o770)
    settings = Settings(home=shared)
    assert stat.S_IMODE(settings.folder().stat().st_mode) == 0o770
    assert stat.S_IMODE(settings.target_folder().stat().st_mode) == 0o700


def test_a_home_that_cannot_be_made_says_which_setting_to_change(project):
    (project / "taken").write_text("a file")
    with pytest.raises(SettingsError, match="TOOLKIT_HOME"):
        Settings(home="taken/inside").folder()
    with pytest.raises(SettingsError, match="TOOLKIT_HOME"):
        Settings(home="taken").folder()


# Refusals


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("TOOLKIT_TARGTE", "did you mean 'TOOLKIT_TARGET'"),
        ("TOOLKIT_CUDA_PATH", "ignored"),
        ("TOOLKIT_TOKEN", "the token is read from PEAK_AUTH_TOKEN"),
    ],
)
def test_a_variable_of_another_program_is_ignored_with_a_warning(monkeypatch, name, cure):
    monkeypatch.setenv(name, TOKEN)
    with pytest.warns(UserWarning, match=f"{name}.*{cure}") as caught:
        assert Settings().target == "sandbox"
    assert caught[0].filename == __file__
    assert TOKEN not in str(caught[0].message)


def test_an_unknown_key_is_named_with_its_file_and_the_nearest_spelling(project):
    path = write(project, 'baseurl = "https://x"\n')
    with pytest.raises(SettingsError, match=r"'baseurl'.*did you mean 'base_url'\?") as caught:
        Settings()
    assert str(path) in str(caught.value)


def test_an_unknown_argument_is_named_with_the_nearest_spelling():
    with pytest.raises(SettingsError, match=r"'operations'.*did you mean 'operation'\?"):
        Settings(operations="UPSERT")


def test_a_file_that_is_not_toml_is_named(project):
    path = write(project, "target = \n")
    with pytest.raises(SettingsError, match="line 1") as caught:
        Settings()
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("given_", "what"),
    [
        ({"operation": "upsert"}, "'UPSERT' or 'APPEND'"),
        ({"path_style": "objekt"}, "'ingest/object'"),
        ({"contract": "2027-01"}, "2026-04 or current"),
        ({"solution": 5}, "solution .*valid string"),
        ({"target": ""}, "a target's name"),
        ({"target": ".hidden"}, "a target's name"),
        ({"target": "a/b"}, "a target's name"),
        ({"target": "Kölner Tor"}, "a target's name"),
        ({"target": "dot."}, "a target's name"),
        ({"home": ""}, "home .*path of a folder"),
        ({"ledger": "s3://bucket/ledger"}, "ledger .*path of a folder"),
        ({"extra_headers": {"authorization": "x"}}, "leave it out"),
        ({"extra_headers": {"x-a": "one\r\nAuthorization: x"}}, "cannot carry"),
        ({"extra_headers": {"x a": "one"}}, "header's name"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_in_plain_words(given_, what):
    with pytest.raises(SettingsError, match=what) as caught:
        Settings(**given_)
    assert "pydantic" not in str(caught.value)


def test_all_unusable_values_are_listed_at_once_each_with_its_origin(project, monkeypatch):
    path = write(project, "solution = 5\n")
    monkeypatch.setenv("TOOLKIT_OPERATION", "INSERT")
    with pytest.raises(SettingsError) as caught:
        Settings(home="")
    message = str(caught.value)
    assert f"solution (from {path})" in message
    assert "TOOLKIT_OPERATION (from environment)" in message
    assert "home (from argument)" in message


@pytest.mark.parametrize("text", ['{"x": ', "[1]", "x-auth-tenant=acme"])
def test_extra_headers_that_are_not_a_json_object_are_refused_without_repeating_them(monkeypatch, text):
    monkeypatch.setenv("TOOLKIT_EXTRA_HEADERS", text)
    with pytest.raises(SettingsError, match="TOOLKIT_EXTRA_HEADERS") as caught:
        Settings()
    assert text not in "".join(traceback.format_exception(caught.value))


# Addresses


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://service.peak.ai/ingestion-api/", "https://service.peak.ai/ingestion-api"),
        ("HTTPS://Ingestion.Peak.AI:443//", "https://ingestion.peak.ai"),
        ("http://127.0.0.1:8765/", "http://127.0.0.1:8765"),
        ("http://127.8.9.1", "http://127.8.9.1"),
        ("http://localhost:80", "http://localhost"),
        ("http://[::1]:8765", "http://[::1]:8765"),
    ],
)
def test_an_address_is_kept_in_one_spelling(address, kept):
    assert checked_address(address) == kept
    assert checked_address(kept) == kept


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("", "such as https"),
        ("ingestion.peak.ai", "such as https"),
        ("ftp://ingestion.peak.ai", "such as https"),
        ("https://", "has no host"),
        ("https://ingestion.peak.ai:seven", "such as https"),
        ("https://ingestion.peak.ai /x", "such as https"),
        ("https://ingestion.peak.ai\n", "such as https"),
        ("https://ingestion.peak.ai\\@evil.example", "such as https"),
        ("https://pеak.ai", "such as https"),  # a Cyrillic e
        ("https://me:hunter2@ingestion.peak.ai", "password"),
        ("https://ingestion.peak.ai?key=hunter2", "query"),
        ("https://ingestion.peak.ai/#", "fragment"),
        ("http://ingestion.peak.ai", "write https://ingestion.peak.ai"),
        ("http://127.0.0.1.example.org", "plain http"),
        ("http://localhost.example.org", "plain http"),
        ("http://127.0.0.999", "plain http"),
        ("http://10.0.0.1", "plain http"),
        ("http://[::2]", "plain http"),
    ],
)
def test_an_address_that_a_token_must_not_follow_is_refused(address, why):
    with pytest.raises(SettingsError, match=why) as caught:
        Settings(base_url=address, **NAMES)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


# Targets


@pytest.mark.parametrize("address", ["http://127.0.0.1:8765", "https://localhost", "http://[::1]:1"])
def test_a_loopback_host_without_a_target_is_the_sandbox(address):
    settings = Settings(base_url=address)
    assert settings.target == "sandbox"
    assert settings.local
    assert not settings.embedded
    assert settings.url() == f"{address}/api/v2/ingest/object/QP_CUSTOMER_OOTB"


def test_a_real_host_names_all_that_it_lacks():
    with pytest.raises(SettingsError) as caught:
        Settings(base_url=REAL)
    for name in ("TARGET", "SOLUTION", "PREFIX", "SUFFIX"):
        assert f"TOOLKIT_{name}" in str(caught.value)
    with pytest.raises(SettingsError, match=r"set TOOLKIT_SUFFIX\."):
        real(suffix="")


def test_prefix_and_suffix_may_be_left_out_where_the_contract_says_so():
    settings = Settings(base_url=REAL, target="acme", solution="S", contract="current")
    assert settings.url() == "https://ingestion.peak.ai/api/v2/objects/CUSTOMER"


def test_the_sandbox_and_a_real_target_never_share_a_ledger():
    with pytest.raises(SettingsError, match="has no host"):
        Settings(target="acme")
    for name in ("sandbox", "Sandbox", "sandbox-2"):
        with pytest.raises(SettingsError, match="is for the sandbox"):
            real(target=name)
    assert Settings(target="sandbox-2").target == "sandbox-2"


@given(st.text("aZ0._-/\\ ü\n", max_size=70))
def test_a_target_that_is_accepted_is_one_plain_folder_name(name):
    try:
        target = real(target=name).target
    except SettingsError:
        return
    assert Path(target).parts == (target,)
    assert target not in {".", ".."}


# The token


def test_the_token_comes_from_its_variable_first(monkeypatch):
    monkeypatch.setenv("PEAK_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("API_KEY", "another")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert real().token().get_secret_value() == TOKEN


def test_the_second_variable_is_taken_with_a_warning(monkeypatch):
    monkeypatch.setenv("API_KEY", TOKEN)
    with pytest.warns(UserWarning, match="API_KEY.*set PEAK_AUTH_TOKEN") as caught:
        assert real().token().get_secret_value() == TOKEN
    assert caught[0].filename == __file__
    assert TOKEN not in str(caught[0].message)


def test_the_keyring_is_asked_after_the_environment(monkeypatch):
    ring = MemoryKeyring({("customer-toolkit", "ingestion.peak.ai"): TOKEN})
    keyring.set_keyring(ring)
    assert real().token().get_secret_value() == TOKEN
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "from-the-environment")
    assert real().token().get_secret_value() == "from-the-environment"
    assert len(ring.asked) == 1


def test_a_token_of_another_host_is_not_taken_from_the_keyring():
    keyring.set_keyring(MemoryKeyring({("customer-toolkit", "service.peak.ai"): TOKEN}))
    with pytest.raises(SettingsError, match="no token for ingestion"):
        real().token()


@pytest.mark.parametrize("locked", [False, True])
def test_without_a_token_or_a_terminal_the_error_says_what_to_set(locked):
    keyring.set_keyring(MemoryKeyring(locked=locked))
    with pytest.raises(SettingsError, match=r"PEAK_AUTH_TOKEN.*keyring set customer-toolkit ingestion\.peak\.ai"):
        real().token()


def test_at_a_terminal_the_token_is_asked_for_without_echo(monkeypatch):
    questions = []
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda question: questions.append(question) or TOKEN)
    assert real().token().get_secret_value() == TOKEN
    assert questions == ["Access token for ingestion.peak.ai: "]


def test_a_question_without_an_answer_is_an_error(monkeypatch):
    def closed(question):
        raise EOFError

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", closed)
    with pytest.raises(SettingsError, match="No token was given"):
        real().token()


@pytest.mark.parametrize("token", ["", " ", "two words", "Bearer abc", "line\n", "line\r\n", "tab\t", "Ümlaut", "\x00"])
def test_a_token_that_no_header_can_carry_is_refused_wherever_it_comes_from(monkeypatch, token):
    keyring.set_keyring(MemoryKeyring({("customer-toolkit", "ingestion.peak.ai"): token}))
    with pytest.raises(SettingsError, match="The token in the keyring"):
        real().token()
    with pytest.raises(SettingsError, match="The token in x"):
        checked(SecretStr(token), "x")
    if "\x00" not in token:
        monkeypatch.setenv("PEAK_AUTH_TOKEN", token)
        with pytest.raises(SettingsError, match="The token in PEAK_AUTH_TOKEN"):
            real().token()


@given(st.text(st.characters(max_codepoint=0x2FF), min_size=12))
def test_a_token_is_taken_as_it_is_or_refused_without_being_shown(token):
    if token.isascii() and token.isprintable() and " " not in token:
        assert checked(SecretStr(token), "x").get_secret_value() == token
    else:
        with pytest.raises(SettingsError) as caught:
            checked(SecretStr(token), "x")
        assert token not in str(caught.value)


def test_the_embedded_sandbox_never_reads_the_analysts_token(monkeypatch):
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "not a token at all\n")
    ring = MemoryKeyring()
    keyring.set_keyring(ring)
    assert Settings().token().get_secret_value() == "sandbox"
    assert ring.asked == []


@pytest.mark.parametrize("target", ["sandbox", "sandbox-of-acme"])
def test_the_sandbox_on_loopback_never_gets_the_analysts_token(monkeypatch, target):
    ring = MemoryKeyring()
    keyring.set_keyring(ring)
    monkeypatch.setenv("PEAK_AUTH_TOKEN", TOKEN)
    settings = Settings(base_url="http://127.0.0.1:8765", target=target)
    assert settings.token().get_secret_value() == "sandbox"
    assert ring.asked == []
    assert "the sandbox's own" in settings.summary()


def test_a_loopback_host_that_the_analyst_names_as_a_tenants_gets_the_tenants_token(monkeypatch):
    monkeypatch.setenv("PEAK_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("TOOLKIT_BASE_URL", "http://127.0.0.1:8765")  # a tunnel to the tenant
    assert Settings(target="acme").token().get_secret_value() == TOKEN


@pytest.mark.parametrize("name", ["token", "peak_auth_token", "PEAK_AUTH_TOKEN", "api_key", "toolkit_token"])
def test_a_token_in_the_file_or_an_argument_is_refused_without_being_shown(project, name):
    write(project, f'{name} = "{TOKEN}"\n')
    for attempt in (Settings, lambda: Settings(**{name: TOKEN})):
        with pytest.raises(SettingsError, match=r"the token is not a setting.*PEAK_AUTH_TOKEN") as caught:
            attempt()
        assert TOKEN not in "".join(traceback.format_exception(caught.value))
        (project / "toolkit.toml").unlink(missing_ok=True)


def test_the_token_is_nowhere_in_the_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("PEAK_AUTH_TOKEN", TOKEN)
    settings = real(extra_headers={"x-key": "hidden-value"})
    secret = settings.token()
    shown = [
        repr(settings),
        str(settings),
        f"{settings}",
        settings.label,
        json.dumps(settings.to_dict()),
        settings.to_frame().to_csv(),
        *settings._repr_mimebundle_().values(),
        settings.to_html(tmp_path / "settings.html").read_text(encoding="utf-8"),
    ]
    assert not any("hidden-value" in text for text in shown)
    shown += [str(settings.model_dump()), settings.model_dump_json(), repr(pickle.dumps(settings))]
    shown += [repr(vars(settings)), repr(secret), str(secret)]
    assert not any(TOKEN in text for text in shown)
    assert pickle.loads(pickle.dumps(settings)) == settings


@pytest.mark.parametrize("variable", [None, "PEAK_AUTH_TOKEN", "API_KEY"])
def test_the_settings_say_whether_a_token_is_set(monkeypatch, variable):
    if variable:
        monkeypatch.setenv(variable, TOKEN)
    assert f"token set in {variable}" in repr(real()) or (
        variable is None and "token not in the environment" in repr(real())
    )
    assert "token the sandbox's own" in repr(Settings())


def test_the_settings_show_where_rows_go_and_where_records_are_kept():
    settings = real(operation="APPEND")
    html = settings._repr_mimebundle_()["text/html"]
    for text in ("acme", "ingestion.peak.ai", "2026-04", "APPEND", "QP_ACME", settings.url(), str(settings.home)):
        assert text in repr(settings)
        assert text in html
    assert "\n" not in repr(settings)


# The host of a file


@pytest.fixture
def answer(monkeypatch, capsys):
    """`answer("y\\n")` puts an answer at the terminal; `answer.asked()` is what was asked since."""

    def put(text):
        monkeypatch.setattr("sys.stdin", Terminal(text))

    put.asked = lambda: capsys.readouterr().err
    return put


def test_what_a_file_decides_is_confirmed_once_and_again_after_any_change(project, config, answer, monkeypatch):
    monkeypatch.setenv("PEAK_AUTH_TOKEN", TOKEN)
    names = "".join(f'{name} = "{value}"\n' for name, value in NAMES.items())
    path = write(project, f'base_url = "{REAL}"\n{names}')
    answer("yes\nno\n")
    assert Settings().token().get_secret_value() == TOKEN
    asked = answer.asked()
    assert str(path) in asked
    assert "ingestion.peak.ai" in asked
    write(project, f'# a remark\nbase_url = "{REAL}"\n{names}')
    assert Settings().token().get_secret_value() == TOKEN
    assert answer.asked() == ""
    (kept,) = config.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert TOKEN not in kept.read_text()

    changes = [
        'ledger = "/srv/shared"',
        'home = "/srv/home"',
        'path_style = "objects"',
        'contract = "current"',
        'extra_headers = {x-auth = "a"}',
    ]
    for change in [*changes, 'extra_headers = {x-auth = "b"}']:
        answer("yes\n")
        write(project, f'base_url = "{REAL}"\n{names}{change}\n')
        Settings().token()
        asked = answer.asked()
        assert asked.count("[y/N]") == 1
        assert change.split(" = ")[1].strip('"') in asked or "x-auth" in asked
        assert '"b"' not in asked
    answer("yes\n")
    write(project, f'base_url = "https://ingestion.evil.example"\n{names}')
    Settings().token()
    assert "evil" in answer.asked()


def test_what_a_file_decides_begins_no_line_of_its_own_in_the_question(project, config, answer):
    write(project, 'ledger = "/srv/x\\nMay your token go to nobody?\\u001b[2J"\n')
    answer("no\n")
    with pytest.raises(SettingsError, match="was not confirmed"):
        real().token()
    asked = answer.asked()
    assert asked.isprintable()
    assert "ledger /srv/x\\nMay" in asked


@pytest.mark.parametrize(
    "moved", ['contract = "current"', 'ledger = "/srv/shared"', 'home = "/srv/home"', 'extra_headers = {x-auth = "a"}']
)
def test_a_file_that_names_no_host_is_confirmed_where_it_moves_something_else(project, config, monkeypatch, moved):
    monkeypatch.setenv("PEAK_AUTH_TOKEN", TOKEN)
    write(project, f"{moved}\n")
    settings = Settings(base_url=REAL, **NAMES)
    with pytest.raises(SettingsError, match="not confirmed"):
        settings.token()


def test_a_host_in_the_environment_or_in_code_needs_no_confirmation(project, config, monkeypatch):
    monkeypatch.setenv("PEAK_AUTH_TOKEN", TOKEN)
    write(project, 'operation = "APPEND"\n')
    assert Settings(base_url=REAL, **NAMES).token().get_secret_value() == TOKEN
    monkeypatch.setenv("TOOLKIT_BASE_URL", REAL)
    assert Settings(**NAMES).token().get_secret_value() == TOKEN


@pytest.mark.parametrize("mode", [0o602, 0o620, 0o666])
def test_a_file_that_another_user_can_write_is_refused(project, monkeypatch, mode):
    path = write(project, 'solution = "SHARED"\n')
    path.chmod(mode)
    if mode == 0o620:
        os.chown(path, -1, os.getgid() if os.getgid() != os.getuid() else 65534)
    with pytest.raises(SettingsError, match="another user may write to it"):
        Settings()


@pytest.mark.skipif(os.geteuid() != 0, reason="only the administrator can give a file away")
def test_a_file_of_another_user_is_refused(project):
    path = write(project, 'solution = "SHARED"\n')
    os.chown(path, 65534, 65534)
    with pytest.raises(SettingsError, match="belongs to another user"):
        Settings()


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "customer-toolkit"


@pytest.fixture
def named_by_file(project, config):
    write(project, f'base_url = "{REAL}"\n' + "".join(f'{k} = "{v}"\n' for k, v in NAMES.items()))
    return config


@pytest.mark.parametrize("said", ["", "n", "no\n", "what?"])
def test_a_host_that_is_not_confirmed_gets_no_token(named_by_file, monkeypatch, answer, said):
    answer(said)
    ring = MemoryKeyring()
    keyring.set_keyring(ring)
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "not a token\n")  # reading it would raise another error
    with pytest.raises(SettingsError, match="was not confirmed"):
        Settings().token()
    assert ring.asked == []
    assert not named_by_file.exists()


def test_without_a_terminal_the_host_of_a_file_is_refused_and_the_way_is_said(named_by_file, monkeypatch):
    monkeypatch.setenv("PEAK_AUTH_TOKEN", TOKEN)
    assert Settings().host == "ingestion.peak.ai"  # checking and comparing need no confirmation
    with pytest.raises(SettingsError, match=r"run 'toolkit --target [^ ]* schema' once at a terminal"):
        Settings().token()


def test_a_pickled_copy_still_wants_its_host_confirmed(named_by_file):
    copy = pickle.loads(pickle.dumps(Settings()))
    with pytest.raises(SettingsError, match="not confirmed"):
        copy.confirm()


def test_at_a_terminal_the_question_goes_to_standard_error(named_by_file, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    Settings().confirm()
    said = capsys.readouterr()
    assert said.out == ""
    assert "ingestion.peak.ai" in said.err
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    Settings().confirm()


def test_an_answer_that_cannot_be_stored_is_an_error_with_a_way_out(named_by_file, answer):
    named_by_file.parent.mkdir()
    named_by_file.write_text("a file where the folder should be")
    answer("y\n")
    with pytest.raises(SettingsError, match="repair or remove it, then run 'toolkit"):
        Settings().confirm()


@pytest.mark.parametrize("target", ["sandbox", "acme"])
def test_a_loopback_host_of_a_file_is_confirmed_like_any_other(project, config, monkeypatch, target):
    monkeypatch.setenv("PEAK_AUTH_TOKEN", TOKEN)
    write(project, f'base_url = "http://127.0.0.1:8765"\ntarget = "{target}"\n')
    with pytest.raises(SettingsError, match="not confirmed"):
        Settings().token()


@pytest.mark.parametrize("where", ["environment", "keyring", "prompt"])
def test_a_token_that_is_refused_is_in_no_frame_of_the_traceback(monkeypatch, where):
    spoiled = f"Bearer {TOKEN}"
    if where == "environment":
        monkeypatch.setenv("PEAK_AUTH_TOKEN", spoiled)
    elif where == "keyring":
        keyring.set_keyring(MemoryKeyring({("customer-toolkit", "ingestion.peak.ai"): spoiled}))
    if where == "prompt":
        monkeypatch.setattr("sys.stdin", Terminal())
        monkeypatch.setattr("getpass.getpass", lambda question: spoiled)
    with pytest.raises(SettingsError) as caught:
        real().token()
    of_toolkit = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    of_toolkit.stack[:] = [frame for frame in of_toolkit.stack if "toolkit" in Path(frame.filename).parts]
    assert of_toolkit.stack
    assert TOKEN not in "".join(of_toolkit.format())
