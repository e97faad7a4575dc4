"""The command line: what every command prints, for people and machines, and how it refuses."""

import io
import json
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from idp.cli import COMMANDS, main
from idp.cli.doctor import make_data_dir
from idp.errors import SettingsError
from idp.settings import Settings
from keys.sealing import Sealer
from tests.support.kit import ALICE, APPLICATIONS, C1, Installation, basic
from tests.support.site import site

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Result:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


Run = Callable[..., Result]


@pytest.fixture
def environ(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """The environment of an operator of the kit's installation."""
    settings = sqlite_installation.settings
    monkeypatch.setenv("SEKISHO_BASE_URL", settings.base_url)
    monkeypatch.setenv("SEKISHO_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("SEKISHO_MASTER_KEY", settings.master_key)
    return monkeypatch


@pytest.fixture
def run(environ: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command: run("org", "add", "C", stdin="…")."""

    def one(*arguments: str, stdin: str = "") -> Result:
        environ.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        printed = capsys.readouterr()
        code = ended.value.code
        return Result(code if isinstance(code, int) else int(code is not None), *printed)

    return one


def add_client(run: Run, *options: str) -> Any:
    return run(
        "client", "add", "App", "--redirect-uri", "https://a.test/cb", *options, "--json"
    ).json


def write(folder: Path, content: object) -> str:
    file = folder / "clients.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(file)


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=str)
def test_every_command_explains_itself(run: Run, command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.code == 0
    assert "Usage:" in result.out


def test_help_imports_no_more_than_it_needs() -> None:
    program = "import idp.cli, sys; print('sqlalchemy' in sys.modules, 'flask' in sys.modules)"
    answer = subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, text=True)
    assert answer == "False False\n"


def test_an_organisation_is_added(run: Run, sqlite_installation: Installation) -> None:
    added = run("org", "add", "さくら商事", "--json").json
    [row] = sqlite_installation.sql("SELECT name FROM organizations WHERE id = :id", id=added["id"])
    assert row["name"] == added["name"] == "さくら商事"
    assert sqlite_installation.events()[-1] == "organization.added"
    shown = run("org", "add", "Another")
    assert "name: Another\n" in shown.out


def test_a_user_is_added_with_a_password_from_standard_input(
    run: Run, sqlite_installation: Installation
) -> None:
    arguments = ["user", "add", "eve@b.example", "--org", "organisation b", "--name", "Eve Stone"]
    options = ["--role", "admin", "--login-id", "eve", "--locale", "ja", "--password-stdin"]
    result = run(*arguments, *options, "--json", stdin="a long enough password\r\nmore\n")
    added = result.json
    assert added["organization"] == "Organisation B"
    assert (added["role"], added["login_id"]) == ("admin", "eve")
    assert "password" not in result.out + result.err
    assert sqlite_installation.events()[-1] == "user.added"
    [row] = sqlite_installation.sql("SELECT password_hash FROM users WHERE login_id = 'eve'")
    passwords = sqlite_installation.services.passwords
    assert passwords.compare(row["password_hash"], "a long enough password")


def test_a_user_may_have_no_password(run: Run, sqlite_installation: Installation) -> None:
    run("user", "add", "eve@b.example", "--org", "Organisation B", "--name", "Eve")
    [row] = sqlite_installation.sql("SELECT password_hash FROM users WHERE email LIKE 'eve%'")
    assert row["password_hash"] is None


@pytest.mark.parametrize("method", ["pwd", "email", "otp"])
def test_a_user_is_added_with_a_login_method(
    run: Run, sqlite_installation: Installation, method: str
) -> None:
    arguments = ["user", "add", "eve@b.example", "--org", "Organisation B", "--name", "Eve"]
    assert run(*arguments, "--login-method", method, "--json").json["login_method"] == method
    [row] = sqlite_installation.sql("SELECT login_method FROM users WHERE email LIKE 'eve%'")
    assert row["login_method"] == method


def test_a_password_for_who_signs_in_without_one_is_refused(
    run: Run, sqlite_installation: Installation
) -> None:
    arguments = ["user", "add", "eve@b.example", "--org", "Organisation B", "--name", "Eve"]
    options = ["--login-method", "email", "--password-stdin"]
    refused = run(*arguments, *options, stdin="a long enough password\n")
    assert refused.code != 0
    assert "for those who sign in with a password" in refused.err
    assert sqlite_installation.sql("SELECT id FROM users WHERE email LIKE 'eve%'") == []


@pytest.mark.parametrize(
    ("arguments", "stdin", "reason"),
    [
        (["org", "add", "Organisation A"], "", "exists already"),
        (["org", "add", " "], "", "1 to 64 printable characters"),
        (["user", "add", ALICE.email, "--org", "Organisation A", "--name", "A"], "", "taken"),
        (["user", "add", "x", "--org", "Organisation A", "--name", "A"], "", "not an e-mail"),
        (["user", "add", "x@x.test", "--org", "Nowhere", "--name", "A"], "", "no organisation"),
        (
            [
                "user",
                "add",
                "x@x.test",
                "--org",
                "Organisation A",
                "--name",
                "A",
                "--password-stdin",
            ],
            "short\n",
            "at least 8",
        ),
        (["client", "add", "A", "--redirect-uri", "http://a.test/cb"], "", "must be https"),
        (["client", "add", "A", "--redirect-uri", "https://*.a.test/cb"], "", "wildcards"),
        (["client", "show", "nothing"], "", "no client"),
        (["client", "disable", "nothing"], "", "no client"),
        (["client", "enable", "nothing"], "", "no client"),
        (["keys", "withdraw", "nothing"], "", "no key"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_refusal_is_one_line_and_changes_nothing(
    run: Run,
    sqlite_installation: Installation,
    arguments: list[str],
    stdin: str,
    reason: str,
) -> None:
    before = sqlite_installation.counts()
    result = run(*arguments, stdin=stdin)
    assert result.code == 1
    assert result.out == ""
    assert result.err.startswith("sekisho: ")
    assert result.err.count("\n") == 1
    assert reason in result.err
    assert sqlite_installation.counts() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["client", "add"],
        ["user", "add", "a@a.test", "--org", "A", "--name", "A", "--role", "emperor"],
        ["client", "import", "/nowhere/at/all"],
        ["serve", "--port", "eighty"],
    ],
    ids=str,
)
def test_wrong_usage_is_told_with_exit_code_two(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.code == 2
    assert "Traceback" not in result.err


def test_a_secret_is_shown_once_and_never_again(
    run: Run, sqlite_installation: Installation
) -> None:
    added = add_client(run)
    secret = added["client_secret"]
    assert len(secret) >= 43
    for result in (
        run("client", "show", added["client_id"]),
        run("client", "show", added["client_id"], "--json"),
        run("client", "list"),
        run("client", "list", "--json"),
        run("client", "disable", added["client_id"], "--json"),
    ):
        assert result.code == 0
        assert secret not in result.out + result.err
        assert "secret_hash" not in result.out
    assert secret not in str(sqlite_installation.sql("SELECT * FROM clients"))


def test_options_become_what_is_registered(run: Run) -> None:
    added = add_client(
        run,
        *("--redirect-uri", "https://a.test/cb2", "--post-logout-redirect-uri", "https://a.test/"),
        *("--first-party", "--alg", "ES256", "--auth-method", "client_secret_post", "--no-pkce"),
        *("--no-userinfo", "--web-origin", "https://a.test", "--org", "Organisation A"),
    )
    shown = run("client", "show", added["client_id"], "--json").json
    assert shown["redirect_uris"] == ["https://a.test/cb", "https://a.test/cb2"]
    assert shown["post_logout_redirect_uris"] == ["https://a.test/"]
    assert shown["token_endpoint_auth_method"] == "client_secret_post"
    assert shown["id_token_signed_response_alg"] == "ES256"
    assert (shown["first_party"], shown["require_pkce"], shown["userinfo"]) == (True, False, False)
    assert shown["organization_id"]


def test_a_public_client_gets_no_secret(run: Run) -> None:
    added = add_client(run, "--public")
    assert added["client_secret"] is None
    assert added["token_endpoint_auth_method"] == "none"


def test_a_list_has_everybody_for_people_and_machines(run: Run) -> None:
    listed = run("client", "list", "--json").json
    assert {row["client_id"] for row in listed} == {one.client_id for one in APPLICATIONS}
    table = run("client", "list").out.splitlines()
    assert table[0].split() == ["client_id", "name", "auth_method", "state"]
    assert len(table) == len(listed) + 1


def test_a_disabled_client_is_refused_at_once(run: Run, sqlite_installation: Installation) -> None:
    browser = sqlite_installation.browser()
    request = {"client_id": C1.client_id, "redirect_uri": C1.redirect_uri}
    assert browser.get("/authorize", request).status_code == 303
    assert run("client", "disable", C1.client_id, "--json").json["disabled_at"]
    assert browser.get("/authorize", request).status_code == 400
    states = {row["client_id"]: row["state"] for row in run("client", "list", "--json").json}
    assert states[C1.client_id] == "disabled"
    assert states["c2"] == "enabled"


def test_a_client_that_is_enabled_again_is_served_at_once(
    run: Run, sqlite_installation: Installation
) -> None:
    browser = sqlite_installation.browser()
    request = {"client_id": C1.client_id, "redirect_uri": C1.redirect_uri}
    for command in ("disable", "enable", "enable"):
        shown = run("client", command, C1.client_id, "--json").json
        assert (shown["disabled_at"] is None) == (command == "enable")
    assert browser.get("/authorize", request).status_code == 303
    rows = sqlite_installation.sql("SELECT event, actor, client_id FROM audit ORDER BY id")
    assert [tuple(row.values()) for row in rows[-2:]] == [
        ("client.disabled", "cli", C1.client_id),
        ("client.enabled", "cli", C1.client_id),
    ]
    assert C1.client_id in run("client", "enable", C1.client_id).out


GIVEN = {
    "client_id": "given-id",
    "client_secret": "a-secret-that-was-agreed-upon-long-ago",
    "client_name": "Given",
    "redirect_uris": ["https://given.test/cb"],
    "x_unknown": {"kept": True},
    "grant_types": ["authorization_code", "refresh_token"],
}


def test_an_import_keeps_a_given_id_and_secret(
    run: Run, sqlite_installation: Installation, tmp_path: Path
) -> None:
    [imported] = run("client", "import", write(tmp_path, [GIVEN]), "--json").json
    assert imported["client_id"] == "given-id"
    assert imported["client_secret"] is None, "it is known already"
    assert imported["change"] == "added"
    sent = {"grant_type": "authorization_code", "code": "none", "redirect_uri": "x"}
    proof = basic("given-id", str(GIVEN["client_secret"]))
    answer = sqlite_installation.browser().post("/token", sent, headers=proof)
    assert answer.get_json()["error"] == "invalid_grant"


def test_an_import_names_what_it_keeps_but_does_not_use(run: Run, tmp_path: Path) -> None:
    result = run("client", "import", write(tmp_path, [GIVEN]))
    assert "kept, not used: x_unknown, grant_types: refresh_token" in result.out
    assert str(GIVEN["client_secret"]) not in result.out
    shown = run("client", "show", "given-id", "--json").json
    assert shown["x_unknown"] == {"kept": True}


def test_importing_again_changes_nothing(
    run: Run, sqlite_installation: Installation, tmp_path: Path
) -> None:
    file = write(tmp_path, [GIVEN])
    run("client", "import", file)
    before = sqlite_installation.sql("SELECT * FROM clients"), sqlite_installation.counts()
    [again] = run("client", "import", file, "--json").json
    assert again["change"] == "unchanged"
    after = sqlite_installation.sql("SELECT * FROM clients"), sqlite_installation.counts()
    assert after == before
    changed = write(tmp_path, [GIVEN | {"client_name": "Renamed"}])
    assert run("client", "import", changed, "--json").json[0]["change"] == "changed"


def test_an_import_without_a_secret_makes_one_and_keeps_it(run: Run, tmp_path: Path) -> None:
    entry = {name: value for name, value in GIVEN.items() if name != "client_secret"}
    [first] = run("client", "import", write(tmp_path, [entry]), "--json").json
    assert first["client_secret"]
    [second] = run("client", "import", write(tmp_path, [entry]), "--json").json
    assert (second["client_secret"], second["change"]) == (None, "unchanged")


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({}, "redirect_uris is missing"),
        ({"redirect_uris": ["https://a.test/cb#x"]}, "fragment"),
        (
            {"redirect_uris": ["https://a.test/cb"], "id_token_encrypted_response_alg": "x"},
            "not supp",
        ),
        ({"redirect_uris": ["https://a.test/cb"], "client_id": "a b"}, "client_id"),
        ({"redirect_uris": ["https://a.test/cb"], "client_secret": ""}, "client_secret"),
        ({"redirect_uris": "https://a.test/cb"}, "must be a list"),
    ],
)
def test_an_import_is_all_or_nothing_and_names_the_entry(
    run: Run,
    sqlite_installation: Installation,
    tmp_path: Path,
    entry: dict[str, object],
    reason: str,
) -> None:
    before = sqlite_installation.counts()
    result = run("client", "import", write(tmp_path, [GIVEN, entry]))
    assert result.code == 1
    assert result.err.startswith("sekisho: entry 2: ")
    assert result.err.count("\n") == 1
    assert reason in result.err
    assert sqlite_installation.counts() == before


@pytest.mark.parametrize(
    "content", ["", "{", "7", '"text"', "[7]", "null", "[" * 100_000], ids=lambda text: text[:5]
)
def test_what_is_no_list_of_objects_is_refused(run: Run, tmp_path: Path, content: str) -> None:
    result = run("client", "import", write(tmp_path, content))
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert "JSON" in result.err


def test_one_object_and_a_byte_order_mark_are_accepted(run: Run, tmp_path: Path) -> None:
    file = write(tmp_path, "\ufeff" + json.dumps(GIVEN))
    assert run("client", "import", file, "--json").json[0]["change"] == "added"


def test_keys_are_listed_rotated_and_withdrawn(run: Run, sqlite_installation: Installation) -> None:
    before = run("keys", "list", "--json").json
    assert {key["alg"] for key in before} == {"RS256", "ES256", "EdDSA"}
    assert {key["phase"] for key in before} == {"signing"}
    [rotated] = run("keys", "rotate", "--alg", "ES256", "--json").json
    phases = {key["kid"]: key["phase"] for key in run("keys", "list", "--json").json}
    assert phases[rotated["kid"]] == "announced"
    old = next(key["kid"] for key in before if key["alg"] == "RS256")
    assert run("keys", "withdraw", old, "--json").json == {"kid": old, "phase": "gone"}
    listed = run("keys", "list", "--json").json
    assert old not in {key["kid"] for key in listed}
    assert any(key["alg"] == "RS256" and key["phase"] == "signing" for key in listed)
    assert sqlite_installation.events()[-2:] == ["key.rotated", "key.withdrawn"]
    assert "private" not in run("keys", "list").out


def test_a_key_can_sign_at_once_when_the_operator_says_so(run: Run) -> None:
    [key] = run("keys", "rotate", "--alg", "RS256", "--now", "--json").json
    phases = {key["kid"]: key["phase"] for key in run("keys", "list", "--json").json}
    assert phases[key["kid"]] == "signing"


def test_a_new_master_key_can_be_used(run: Run, environ: pytest.MonkeyPatch) -> None:
    environ.delenv("SEKISHO_DATA_DIR")
    environ.delenv("SEKISHO_MASTER_KEY")
    first, second = run("keys", "master").out.strip(), run("keys", "master").out.strip()
    assert first != second
    assert Sealer.from_text(first).key_id


def test_the_database_can_be_upgraded_again_and_again(run: Run) -> None:
    first = run("db", "upgrade", "--json").json
    assert run("db", "upgrade", "--json").json == first


def test_a_new_installation_is_made_by_two_commands(
    run: Run, environ: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environ.setenv("SEKISHO_DATA_DIR", str(tmp_path / "new" / "data"))
    result = run("org", "add", "First")
    assert result.code == 2
    assert "sekisho db upgrade" in result.err or "database" in result.err
    assert run("db", "upgrade").code == 0
    assert run("org", "add", "First").code == 0
    assert (tmp_path / "new" / "data").stat().st_mode & 0o077 == 0


# ID-10
def test_a_missing_master_key_is_refused_with_what_to_do(
    run: Run, environ: pytest.MonkeyPatch
) -> None:
    environ.delenv("SEKISHO_MASTER_KEY")
    result = run("client", "list")
    assert result.code == 2
    assert "sekisho keys master" in result.err
    assert result.err.count("\n") == 1


# ID-10
def test_another_master_key_is_refused_and_changes_nothing(
    run: Run, environ: pytest.MonkeyPatch, sqlite_installation: Installation
) -> None:
    keys = sqlite_installation.sql("SELECT * FROM signing_keys ORDER BY kid")
    environ.setenv("SEKISHO_MASTER_KEY", "22" * 32)
    for command in (["client", "list"], ["keys", "rotate"], ["org", "add", "C"]):
        result = run(*command)
        assert result.code == 2
        assert "does not open the signing keys" in result.err
        assert "2222" not in result.err
    assert sqlite_installation.sql("SELECT * FROM signing_keys ORDER BY kid") == keys


@pytest.mark.parametrize("key", ["short", "zz" * 32, "22" * 31, "22" * 33])
def test_an_unusable_master_key_is_refused_without_being_shown(
    run: Run, environ: pytest.MonkeyPatch, key: str
) -> None:
    environ.setenv("SEKISHO_MASTER_KEY", key)
    result = run("client", "list")
    assert result.code == 2
    assert "SEKISHO_MASTER_KEY is not a master key" in result.err
    assert key not in result.err


def test_a_database_that_does_not_answer_is_one_line(run: Run, environ: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        environ.setenv("SEKISHO_DATABASE_URL", f"postgresql://u:hidden-word@127.0.0.1:{port}/a")
        for command in (["client", "list"], ["db", "upgrade"]):
            result = run(*command)
            assert result.code in (1, 2)
            assert result.err.count("\n") == 1
            assert "database" in result.err
            assert "hidden-word" not in result.err


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_a_port_in_use_is_one_clear_line(
    run: Run, environ: pytest.MonkeyPatch, command: str
) -> None:
    if command == "demo":
        environ.setenv("SEKISHO_BASE_URL", "http://localhost:8420")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        environ.setenv("SEKISHO_PORT", port)
        result = run(command)
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert f"port {port} on 127.0.0.1 cannot be used" in result.err
    assert "SEKISHO_PORT" in result.err


def test_serving_without_an_address_is_refused(run: Run, environ: pytest.MonkeyPatch) -> None:
    environ.delenv("SEKISHO_BASE_URL")
    result = run("serve")
    assert result.code == 2
    assert "SEKISHO_BASE_URL is missing" in result.err


def test_the_demo_is_refused_off_loopback(run: Run, environ: pytest.MonkeyPatch) -> None:
    result = run("demo")
    assert result.code == 2
    assert "loopback alone" in result.err
    environ.delenv("SEKISHO_BASE_URL")
    environ.setenv("SEKISHO_HOST", "192.0.2.1")
    assert "loopback alone" in run("demo").err


def test_a_data_directory_that_cannot_be_made_is_one_clear_line(
    run: Run, environ: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    environ.setenv("SEKISHO_DATA_DIR", str(tmp_path / "file" / "data"))
    environ.delenv("SEKISHO_BASE_URL")
    for command in (["db", "upgrade"], ["demo"]):
        result = run(*command)
        assert result.code == 2, result.err
        assert result.err.count("\n") == 1
        assert "cannot be written" in result.err
        assert "SEKISHO_DATA_DIR" in result.err


def test_a_data_directory_nobody_may_write_to_is_refused() -> None:
    with pytest.raises(SettingsError, match="cannot be written"):
        make_data_dir(Settings(data_dir=Path("/proc/1/data")))


def test_a_wrong_setting_is_refused_by_every_command(run: Run, environ: pytest.MonkeyPatch) -> None:
    environ.setenv("SEKISHO_BASE_ULR", "https://a.test")
    for command in (["client", "list"], ["serve"], ["worker"], ["demo"], ["db", "upgrade"]):
        result = run(*command)
        assert result.code == 2
        assert "did you mean SEKISHO_BASE_URL?" in result.err


def findings(result: Result) -> dict[str, tuple[str, str]]:
    return {row["check"]: (row["result"], row["advice"]) for row in json.loads(result.out)}


def test_the_doctor_finds_nothing_wrong_with_a_sound_installation(
    run: Run, environ: pytest.MonkeyPatch
) -> None:
    environ.setenv("SEKISHO_BASE_URL", "http://localhost:8420")
    result = run("doctor", "--json")
    found = findings(result)
    assert result.code == 0
    assert {name: found[name][0] for name in ("settings", "base URL", "database", "keys")} == {
        "settings": "ok",
        "base URL": "ok",
        "database": "ok",
        "keys": "ok",
    }
    assert found["Redis"][0] == found["mail"][0] == found["clock"][0] == "note"
    assert "settings" in run("doctor").out


def test_the_doctor_says_what_to_do_about_everything_at_once(
    run: Run, environ: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        environ.setenv("SEKISHO_BASE_URL", "https://id.invalid")
        environ.setenv("SEKISHO_DATA_DIR", str(tmp_path / "empty"))
        environ.setenv("SEKISHO_REDIS_URL", f"redis://:hidden-word@127.0.0.1:{port}/0")
        environ.setenv("SEKISHO_SMTP_URL", f"smtp+plain://a:hidden-word@127.0.0.1:{port}")
        result = run("doctor", "--json")
    found = findings(result)
    assert result.code == 1
    for name in ("base URL", "database", "Redis", "mail", "keys"):
        assert found[name][0] == "failed", name
        assert found[name][1], name
    assert "hidden-word" not in result.out


def test_the_doctor_begins_with_the_settings(run: Run, environ: pytest.MonkeyPatch) -> None:
    environ.setenv("SEKISHO_PORT", "0")
    result = run("doctor", "--json")
    assert result.code == 1
    assert "SEKISHO_PORT must be 1 to 65535" in findings(result)["settings"][1]


@pytest.mark.redis
@pytest.mark.postgres
def test_the_doctor_asks_real_servers(
    run: Run,
    environ: pytest.MonkeyPatch,
    postgres_installation: Installation,
    smtp_server: Any,
) -> None:
    settings = postgres_installation.settings
    environ.setenv("SEKISHO_BASE_URL", "http://localhost:8420")
    environ.setenv("SEKISHO_DATABASE_URL", settings.database_url)
    environ.setenv("SEKISHO_REDIS_URL", settings.redis_url)
    environ.setenv("SEKISHO_MASTER_KEY", settings.master_key)
    environ.setenv("SEKISHO_SMTP_URL", smtp_server.url.replace("smtp:", "smtp+plain:"))
    environ.setenv("SEKISHO_OUTBOUND_NETWORKS", "127.0.0.0/8,::1/128")
    with site() as gateway:
        environ.setenv("SEKISHO_SMS_URL", gateway.url("/send"))
        found = findings(run("doctor", "--json"))
        assert [(asked.method, asked.body) for asked in gateway.received] == [("HEAD", b"")]
    assert {result for result, _ in found.values()} == {"ok"}
    assert found["clock"] == ("ok", "")


def test_the_doctor_says_what_is_wrong_with_text_messages(
    run: Run, environ: pytest.MonkeyPatch
) -> None:
    assert findings(run("doctor", "--json"))["SMS"][0] == "note"
    with site() as gateway:
        environ.setenv("SEKISHO_SMS_URL", gateway.url("/send"))
        result, advice = findings(run("doctor", "--json"))["SMS"]
        assert (result, "SEKISHO_OUTBOUND_NETWORKS" in advice) == ("failed", True)
        environ.setenv("SEKISHO_OUTBOUND_NETWORKS", "127.0.0.0/8,::1/128")
        environ.setenv("SEKISHO_SMS_COUNTRIES", "*")
        assert "fraud" in findings(run("doctor", "--json"))["SMS"][1]
    environ.setenv("SEKISHO_SMS_URL", "twilio://AC1:hidden-word@")
    assert "hidden-word" not in run("doctor", "--json").out
