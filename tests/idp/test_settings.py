"""Settings: where they come from, and that what is unusable or unsafe is refused with advice."""

from dataclasses import fields
from pathlib import Path

import pytest

from idp.cli.operations import reference
from idp.errors import SettingsError
from idp.settings import RANGES, Settings, load
from idp.urls import is_loopback

ROOT = Path(__file__).parents[2]


def refusal(environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as refused:
        load(environ)
    return str(refused.value)


def test_without_anything_given_the_defaults_are_usable() -> None:
    loaded = load({})
    assert loaded.port == 8420
    assert loaded.main_database_url.startswith("sqlite:///")
    assert not loaded.is_https


def test_the_environment_is_read_and_other_names_are_left_alone() -> None:
    loaded = load({"SEKISHO_PORT": "9000", "SEKISHO_LOG_REQUESTS": "yes", "PATH": "/bin"})
    assert (loaded.port, loaded.log_requests) == (9000, True)


def test_an_unknown_name_is_refused_with_the_nearest_known_one() -> None:
    assert "did you mean SEKISHO_BASE_URL?" in refusal({"SEKISHO_BASEURL": "https://a.test"})
    assert "docs/SETTINGS.md" in refusal({"SEKISHO_QQQQQQ": "1"})


def test_a_file_is_read_and_the_environment_wins_over_it(tmp_path: Path) -> None:
    file = tmp_path / "sekisho.toml"
    file.write_text(
        'port = 9000\ndemo_app_port = 9001\nlog_requests = true\ntrusted_proxies = ["10.0.0.0/24"]'
    )
    loaded = load({"SEKISHO_CONFIG": str(file), "SEKISHO_PORT": "9100"})
    assert (loaded.port, loaded.demo_app_port) == (9100, 9001)
    assert loaded.log_requests is True
    assert loaded.trusted_proxies == ("10.0.0.0/24",)


def test_overrides_win_over_everything_unless_they_are_none() -> None:
    loaded = load({"SEKISHO_PORT": "9000", "SEKISHO_HOST": "127.0.0.9"}, port=9200, host=None)
    assert (loaded.port, loaded.host) == (9200, "127.0.0.9")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("port = ", "cannot be read"),
        ("prot = 1", "did you mean SEKISHO_PORT?"),
    ],
)
def test_a_file_that_is_wrong_is_refused_by_name(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "sekisho.toml"
    file.write_text(text)
    told = refusal({"SEKISHO_CONFIG": str(file)})
    assert reason in told
    assert str(file) in told


@pytest.mark.parametrize("text", ['host = ["127.0.0.1"]', "[host]\nname = 1", "port = [1]"])
def test_a_list_or_table_where_one_value_belongs_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "sekisho.toml"
    file.write_text(text)
    assert "must be one value" in refusal({"SEKISHO_CONFIG": str(file)})


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal({"SEKISHO_CONFIG": str(tmp_path / "none.toml")})


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "redis"
    file.write_text("redis://:word@127.0.0.1/0\n")
    assert load({"SEKISHO_REDIS_URL_FILE": str(file)}).redis_url == "redis://:word@127.0.0.1/0"


def test_a_missing_secret_file_is_refused(tmp_path: Path) -> None:
    told = refusal({"SEKISHO_MASTER_KEY_FILE": str(tmp_path / "none")})
    assert "SEKISHO_MASTER_KEY_FILE" in told
    assert "cannot be read" in told


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("22" * 32)
    told = refusal(
        {"SEKISHO_MASTER_KEY": "11" * 32, "SEKISHO_MASTER_KEY_FILE": str(tmp_path / "key")}
    )
    assert "give one of them" in told
    assert "1111" not in told


def test_only_secrets_may_come_from_a_file(tmp_path: Path) -> None:
    assert "unknown setting" in refusal({"SEKISHO_PORT_FILE": str(tmp_path)})


def test_secrets_are_not_in_the_representation() -> None:
    loaded = load(
        {
            "SEKISHO_MASTER_KEY": "11" * 32,
            "SEKISHO_REDIS_URL": "redis://:hidden-word@127.0.0.1/0",
            "SEKISHO_DATABASE_URL": "postgresql://a:hidden-word@127.0.0.1/b",
            "SEKISHO_SMTP_URL": "smtps://a:hidden-word@127.0.0.1",
        }
    )
    assert "hidden-word" not in repr(loaded)
    assert "1111" not in repr(loaded)


@pytest.mark.parametrize("name", RANGES)
def test_both_ends_of_a_range_are_allowed_and_what_lies_beyond_is_refused(name: str) -> None:
    low, high = RANGES[name]
    variable = f"SEKISHO_{name.upper()}"
    for allowed in (low, high):
        assert getattr(load({variable: str(allowed)}), name) == allowed
    for beyond in (low - 1, high + 1):
        assert f"{variable} must be {low} to {high}" in refusal({variable: str(beyond)})


def test_every_number_has_a_range() -> None:
    numbers = {item.name for item in fields(Settings) if type(item.default) is int}
    assert numbers == set(RANGES)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("PORT", "eighty", "whole number"),
        ("PORT", "", "whole number"),
        ("LOG_REQUESTS", "perhaps", "true or false"),
        ("LOG_LEVEL", "LOUD", "DEBUG, INFO, WARNING or ERROR"),
        ("DEFAULT_LANGUAGE", "fr", "en, ja"),
        ("DATABASE_URL", "mysql://127.0.0.1/a", "must begin with postgresql+psycopg://"),
        ("REDIS_URL", "http://127.0.0.1", "must begin with redis://"),
        ("SMTP_URL", "mail.example.test", "must be smtp://HOST:PORT"),
        ("SMTP_URL", "smtp://mail.example.test:port", "is not a URL"),
        ("SMTP_URL", "smtp+plain://mail.example.test", "for loopback alone"),
        ("CONTACT_URL", "javascript:alert(1)", "https:// or mailto:"),
        ("HELP_URL", "http://help.example.test", "https:// or mailto:"),
        ("TERMS_URL", "data:text/html,a", "https:// or mailto:"),
        ("PRIVACY_URL", "/privacy", "https:// or mailto:"),
        ("MAIL_FROM", "Sekisho", "must be an address"),
        ("MAIL_FROM", "Sekisho <no-reply>", "must be an address"),
        ("TRUSTED_PROXIES", "10.0.0.300/24", "is not a network"),
        ("TRUSTED_PROXIES", "10.0.0.1/24", "is not a network"),
        ("TRUSTED_PROXIES", "0.0.0.0/0", "believes everybody"),
        ("TRUSTED_PROXIES", "127.0.0.1,::/0", "believes everybody"),
    ],
)
def test_what_is_unusable_is_refused_by_name(name: str, value: str, reason: str) -> None:
    told = refusal({f"SEKISHO_{name}": value})
    assert f"SEKISHO_{name}" in told
    assert reason in told


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://login.example.test", "http is for loopback alone"),
        ("http://127.0.0.1.example.test", "http is for loopback alone"),
        ("https://*.example.test", "wildcard"),
        ("https://login.example.test/", "without a trailing slash"),
        ("https://login.example.test/sso", "scheme, host and port alone"),
        ("https://login.example.test?a", "scheme, host and port alone"),
        ("https://me@login.example.test", "scheme, host and port alone"),
        ("https://Login.example.test", "lower case"),
        ("https://", "must be https://HOST"),
        ("login.example.test", "must be https://HOST"),
        ("ftp://login.example.test", "must be https://HOST"),
        ("https://login.example.test:port", "is not a URL"),
        ("https://login.example.test:99999", "is not a URL"),
        ("https://[::1", "is not a URL"),
        ("https://login.example.test#", "scheme, host and port alone"),
        ("https://login.example.test:", "scheme, host and port alone"),
        ("https://login.example.test\n", "scheme, host and port alone"),
        ("https://関所.test", "xn--"),
        ("https://login.example.test:443", "leave out port 443"),
        ("http://localhost:80", "leave out port 80"),
    ],
)
def test_an_unsafe_base_url_is_refused(url: str, reason: str) -> None:
    assert reason in refusal({"SEKISHO_BASE_URL": url})


@pytest.mark.parametrize(
    "url",
    [
        "https://login.example.test",
        "https://login.example.test:8443",
        "http://localhost:8420",
        "http://127.0.0.1",
        "http://[::1]:8420",
        "http://sekisho.localhost",
    ],
)
def test_a_usable_base_url_is_the_issuer_as_it_was_written(url: str) -> None:
    assert load({"SEKISHO_BASE_URL": url}).issuer == url


def test_the_demo_is_refused_anywhere_but_on_loopback() -> None:
    assert load({"SEKISHO_BASE_URL": "http://localhost:8420"}, demo=True).demo
    told = refusal({"SEKISHO_BASE_URL": "https://login.example.test", "SEKISHO_DEMO": "true"})
    assert "SEKISHO_DEMO is for loopback alone" in told


def test_everything_that_is_wrong_is_told_at_once() -> None:
    told = refusal({"SEKISHO_PORT": "0", "SEKISHO_LOG_LEVEL": "x", "SEKISHO_BASE_URL": "x"})
    assert len(told.splitlines()) == 3


@pytest.mark.parametrize("host", [None, "", "example.test", "localhost.example.test", "192.0.2.1"])
def test_only_this_machine_is_loopback(host: str | None) -> None:
    assert not is_loopback(host)


def test_embedded_state_has_a_file_of_its_own_and_a_server_does_not() -> None:
    embedded = load({"SEKISHO_DATA_DIR": "/srv/a"})
    assert embedded.main_database_url == "sqlite:////srv/a/sekisho.db"
    assert embedded.state_database_url == "sqlite:////srv/a/state.db"
    served = load({"SEKISHO_DATABASE_URL": "postgresql://127.0.0.1/a"})
    assert served.state_database_url == served.main_database_url


def test_the_reference_names_every_setting_an_operator_may_give() -> None:
    text = reference()
    for item in fields(Settings):
        assert (f"`SEKISHO_{item.name.upper()}`" in text) == (item.name != "demo")


def test_the_reference_in_the_documents_is_the_generated_one() -> None:
    written = (ROOT / "docs" / "SETTINGS.md").read_text(encoding="utf-8")
    assert written == reference(), "run: sekisho settings > docs/SETTINGS.md"
