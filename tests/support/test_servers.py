"""The test servers themselves: what a fault does to them, and that nothing is left running."""

import os
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import psycopg
import pytest
import redis
from playwright.sync_api import Browser

from tests.support.network import NetworkBlocked
from tests.support.servers import PostgresServer, RedisServer
from tests.support.shared_postgres import SharedPostgres
from tests.support.skips import summary
from tests.support.smtp import SmtpServer

ROOT = Path(__file__).parents[2]


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never happened")


def is_alive(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


def connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


@pytest.mark.parametrize("turn", ["first", "second"])
def test_every_test_gets_an_empty_redis(redis_url: str, turn: str) -> None:
    with redis.Redis.from_url(redis_url) as connection:
        assert connection.dbsize() == 0
        connection.set("left by", turn)


@pytest.mark.parametrize("turn", ["first", "second"])
def test_every_test_gets_an_empty_database(postgres_url: str, turn: str) -> None:
    with connect(postgres_url) as connection:
        tables = connection.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchall() == []
        connection.execute("CREATE TABLE left_behind (id integer)")


def test_a_prepared_database_can_be_copied(shared_postgres_server: SharedPostgres) -> None:
    prepared = shared_postgres_server.create_database()
    with connect(shared_postgres_server.url(prepared)) as connection:
        connection.execute("CREATE TABLE prepared (id integer)")
    copy = shared_postgres_server.create_database(template=prepared)
    with connect(shared_postgres_server.url(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM prepared").fetchone() == (0,)
    for name in (copy, prepared):
        shared_postgres_server.drop_database(name)


def test_a_killed_redis_comes_back_empty_at_the_same_address(redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url) as connection:
        connection.set("k", "v")
        redis_server.kill()
        with pytest.raises(redis.ConnectionError):
            connection.ping()
        redis_server.start()
        assert connection.get("k") is None


def test_a_paused_redis_keeps_its_callers_waiting(redis_server: RedisServer) -> None:
    redis_server.pause()
    with (
        redis.Redis.from_url(redis_server.url, socket_timeout=0.2, retry=None) as connection,
        pytest.raises(redis.TimeoutError),
    ):
        connection.ping()
    redis_server.resume()
    with redis.Redis.from_url(redis_server.url) as connection:
        assert connection.ping()


def test_a_killed_postgres_comes_back_with_its_rows(postgres_server: PostgresServer) -> None:
    with connect(postgres_server.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS id")
        connection.execute("CHECKPOINT")
        postgres_server.kill()
    with pytest.raises(psycopg.OperationalError):
        connect(postgres_server.url())
    postgres_server.start()
    with connect(postgres_server.url()) as connection:
        assert connection.execute("SELECT id FROM kept").fetchall() == [(1,)]


ORPHANS = """
import sys, time
from pathlib import Path
from tests.support.servers import RedisServer
from tests.support.shared_postgres import shared_postgres
redis = RedisServer()
redis.start()
with shared_postgres(Path(sys.argv[1])) as postgres:
    print(redis.pid, redis.folder, postgres.port, flush=True)
    time.sleep(600)
"""


@pytest.mark.redis
@pytest.mark.postgres
def test_a_killed_run_leaves_no_server_behind(
    tmp_path: Path, redis_url: str, postgres_url: str
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ORPHANS, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        pid, folder, port = run.stdout.readline().split()
        assert is_alive(int(pid))
        os.kill(run.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(int(pid)))
    wait_until(lambda: not (tmp_path / "postgres.json").exists())
    with socket.socket() as caller:
        wait_until(lambda: caller.connect_ex(("127.0.0.1", int(port))) != 0)
    for left in Path(folder).glob("*"):
        left.unlink()
    Path(folder).rmdir()


def letter() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@a.test", "b@b.test", "確認"
    message.set_content("こんにちは")
    return message


def test_a_mail_arrives_as_it_was_sent(smtp_server: SmtpServer) -> None:
    with smtplib.SMTP("127.0.0.1", smtp_server.port, local_hostname="localhost") as client:
        client.send_message(letter())
    [received] = smtp_server.wait_for(1)
    assert received["Subject"] == "確認"
    assert received.get_content().strip() == "こんにちは"
    assert smtp_server.deliveries[0].recipients == ("b@b.test",)


def test_a_mail_server_refuses_and_drops_when_told(smtp_server: SmtpServer) -> None:
    with smtplib.SMTP("127.0.0.1", smtp_server.port, local_hostname="localhost") as client:
        smtp_server.refuse("550 5.1.1 No such mailbox")
        with pytest.raises(smtplib.SMTPDataError):
            client.send_message(letter())
        smtp_server.drop()
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.send_message(letter())
    smtp_server.behave()
    with smtplib.SMTP("127.0.0.1", smtp_server.port, local_hostname="localhost") as client:
        client.send_message(letter())
    assert len(smtp_server.messages) == 1


def test_the_browser_shows_a_page(chromium: Browser) -> None:
    page = chromium.new_page()
    page.set_content("<title>関所</title>")
    assert page.title() == "関所"
    page.close()


@pytest.mark.parametrize("address", [("192.0.2.1", 443), ("2001:db8::1", 443)])
def test_nothing_leaves_the_machine(address: tuple[str, int]) -> None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as caller, pytest.raises(NetworkBlocked):
        caller.connect(address)
    with pytest.raises(NetworkBlocked):
        socket.getaddrinfo("sekisho.example", 443)
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("sekisho.invalid", 443)


def test_skips_are_counted_by_what_was_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "false")
    assert summary([]) == []
    reasons = ["Skipped: needs redis: none", "Skipped: needs redis: none", "Skipped: odd"]
    assert summary(reasons) == ["SKIPPED: 3 in all, for want of", "  redis: 2", "  odd: 1"]
