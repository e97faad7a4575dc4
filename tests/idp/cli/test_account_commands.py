"""`sekisho user`, `sekisho org policy` and `sekisho terms`: an administrator at a terminal."""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from idp.cli import main
from tests.support.kit import ALICE, C1, PASSWORD, Installation, RelyingParty
from tests.support.mails import mails

NEW = "harbour lantern 43"


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


Run = Callable[..., Result]


@pytest.fixture
def run(
    sqlite_installation: Installation,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    settings = sqlite_installation.settings
    monkeypatch.setenv("SEKISHO_BASE_URL", settings.base_url)
    monkeypatch.setenv("SEKISHO_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("SEKISHO_MASTER_KEY", settings.master_key)
    monkeypatch.setenv("SEKISHO_ARGON2_MEMORY_KIB", "19456")

    def one(*arguments: str, stdin: str = "") -> Result:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        printed = capsys.readouterr()
        code = ended.value.code
        return Result(code if isinstance(code, int) else int(code is not None), *printed)

    return one


def sign_in(installation: Installation, password: str, address: str = "192.0.2.1") -> Any:
    browser = installation.browser(address)
    page = browser.authorize(RelyingParty(installation, C1).request())
    return browser.sign_in(page, ALICE, password)


def test_an_administrator_sets_a_password(run: Run, sqlite_installation: Installation) -> None:
    assert sign_in(sqlite_installation, PASSWORD).code
    shown = run("user", "set-password", "alice", "--json", stdin=f"{NEW}\nmore\n").json
    assert shown == {
        "id": sqlite_installation.sub(ALICE),
        "email": ALICE.email,
        "temporary": False,
    }
    assert sqlite_installation.events()[-1] == "password.changed"
    [session] = sqlite_installation.sql("SELECT * FROM sessions")
    assert session["ended_at"] is not None
    [mail] = mails(sqlite_installation)
    assert "An administrator set a new one" in mail["text"]
    assert NEW not in str(mail)
    assert sign_in(sqlite_installation, PASSWORD).page.is_alert
    assert sign_in(sqlite_installation, NEW).code


def test_a_temporary_password_has_to_be_changed(
    run: Run, sqlite_installation: Installation
) -> None:
    assert run("user", "set-password", "alice", "--temporary", stdin=NEW).code == 0
    assert sign_in(sqlite_installation, NEW).step == "change_password"
    assert run("user", "set-password", "alice", stdin="quite another one 1").code == 0
    assert sign_in(sqlite_installation, "quite another one 1").code


@pytest.mark.parametrize(
    ("stdin", "says"),
    [("", "at least 8"), ("short", "at least 8"), (PASSWORD, "must differ"), ("aaaaaaaaa", "more")],
)
def test_a_password_that_may_not_be_set_is_refused_with_the_rule(
    run: Run, sqlite_installation: Installation, stdin: str, says: str
) -> None:
    result = run("user", "set-password", ALICE.email, stdin=stdin)
    assert (result.code, result.out) == (1, "")
    assert says in result.err
    assert sign_in(sqlite_installation, PASSWORD).code


def test_who_signs_in_otherwise_gets_no_password(
    run: Run, sqlite_installation: Installation
) -> None:
    sqlite_installation.sql("UPDATE users SET login_method = 'otp' WHERE login_id = 'alice'")
    for command in (
        ["set-password", "alice"],
        ["require", "alice", "change_password"],
    ):
        result = run("user", *command, stdin=NEW)
        assert result.code == 1
        assert "does not sign in with a password" in result.err
    assert run("user", "require", "alice", "verify_address").code == 0


def test_an_administrator_lifts_a_lock(run: Run, sqlite_installation: Installation) -> None:
    for number in range(10):
        sign_in(sqlite_installation, "wrong", f"198.{18 + number}.0.1")
    assert sign_in(sqlite_installation, PASSWORD).page.is_alert
    assert run("user", "unlock", "alice", "--json").json["usable"] is True
    assert sqlite_installation.events()[-1] == "login.unlocked"
    assert sign_in(sqlite_installation, PASSWORD, "203.0.113.4").code


# BF-18
def test_a_password_that_a_hundred_failures_ended_needs_a_new_one(
    run: Run, sqlite_installation: Installation
) -> None:
    sign_in(sqlite_installation, "wrong")
    sqlite_installation.sql("UPDATE failures SET total = 100")
    result = run("user", "unlock", "alice", "--json")
    assert result.json["usable"] is False
    assert "set-password" in result.err
    assert run("user", "set-password", "alice", stdin=NEW).code == 0
    assert sign_in(sqlite_installation, NEW).code


def test_what_is_required_is_due_at_the_next_request(
    run: Run, sqlite_installation: Installation
) -> None:
    shown = run("user", "require", "alice", "change_password", "--json").json
    assert shown["required_actions"] == ["change_password"]
    assert sqlite_installation.events()[-1] == "action.required"
    assert run("user", "require", "alice", "verify_address", "--json").json["required_actions"] == [
        "change_password",
        "verify_address",
    ]
    assert run("user", "require", "alice", "dance").code == 2
    assert run("user", "require", "nobody", "verify_address").code == 1


def test_policy_is_shown_and_changed(run: Run, sqlite_installation: Installation) -> None:
    before = run("org", "policy", "Organisation A", "--json").json
    assert (before["second_factor"], before["unlock_minutes"]) == ("off", 60)
    changes = ["second_factor=always", "factors=otp, passkey", "automatic_unlock=false"]
    after = run("org", "policy", "organisation a", *changes, "unlock_minutes=120", "--json").json
    assert after["second_factor"] == "always"
    assert after["factors"] == ["otp", "passkey"]
    assert after["automatic_unlock"] is False
    assert after["unlock_minutes"] == 120
    assert sqlite_installation.events()[-1] == "policy.changed"
    back = run("org", "policy", "Organisation A", "factors=", "second_factor=", "--json").json
    assert (back["factors"], back["second_factor"]) == (before["factors"], "off")
    assert "unlock_minutes: 120\n" in run("org", "policy", "Organisation A").out
    assert run("org", "policy", "Organisation B", "--json").json == before


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ("dance=1", "dance"),
        ("second_factor", "NAME=VALUE"),
        ("second_factor=sometimes", "second_factor"),
        ("unlock_minutes=5", "unlock_minutes"),
        ("unlock_minutes=-1", "unlock_minutes"),
        ("unlock_minutes=soon", "unlock_minutes"),
        ("factors=pwd", "factors"),
        ("passkeys=1", "passkeys"),
    ],
)
def test_a_policy_that_is_none_is_refused_by_name(
    run: Run, sqlite_installation: Installation, change: str, names: str
) -> None:
    result = run("org", "policy", "Organisation A", "remember_days=3", change)
    assert (result.code, result.out) == (1, "")
    assert names in result.err
    assert run("org", "policy", "Organisation A", "--json").json["remember_days"] == 30


def test_terms_are_published_and_listed(
    run: Run, sqlite_installation: Installation, tmp_path: Path
) -> None:
    assert "No terms of use yet" in run("terms", "list").out
    files = []
    for language, text in (("en", "# Terms"), ("ja", "\ufeff# 規約")):
        file = tmp_path / f"terms.{language}.md"
        file.write_text(text, encoding="utf-8")
        files += [f"--file-{language}", str(file)]
    first = run("terms", "publish", *files, "--json").json
    assert (first["version"], first["organization"]) == (1, None)
    assert run("terms", "publish", *files, "--json").json["version"] == 2
    own = run("terms", "publish", *files, "--org", "Organisation A", "--json").json
    assert (own["version"], own["organization"]) == (1, "Organisation A")
    listed = run("terms", "list", "--json").json
    assert [(row["version"], row["in_force"], row["agreed"]) for row in listed] == [
        (1, False, 0),
        (2, True, 0),
        (1, True, 0),
    ]
    assert sqlite_installation.events()[-1] == "terms.published"
    (tmp_path / "terms.en.md").write_text(" ", encoding="utf-8")
    assert run("terms", "publish", *files).code == 1
    (tmp_path / "terms.en.md").write_bytes(b"\xff\xfe")
    assert "UTF-8" in run("terms", "publish", *files).err
