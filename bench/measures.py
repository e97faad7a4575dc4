"""The measurements of the report, one function each; every one starts and stops what it needs.

Not here: how a sign-in goes (`sign_in`), how rounds are measured (`driver`), how the figures are
written down (`report`).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from argon2 import PasswordHasher, extract_parameters

from bench import bulk, driver, processes, reference, sekisho, servers
from bench.driver import Round
from bench.processes import Memory
from bench.sekisho import Installation
from bench.targets import Target

PRODUCTION = "Sekisho, PostgreSQL and Redis"
EMBEDDED = "Sekisho, SQLite alone"
_SCALED = ["users", "clients", "sessions"]  # parents before children


@dataclass(frozen=True, slots=True)
class Plan:
    rounds: int = 5
    sign_ins: int = 1500  # in a round
    password_sign_ins: int = 150  # in a round
    rows: int = 1_000_000
    starts: int = 5
    workers: int = 1  # one core for the server, one for the driver
    connections: int = 4
    browsers: int = 32
    accounts: int = 4
    password_accounts: int = 20  # few sessions each, so that none is evicted for the next

    def quick(self) -> "Plan":
        """A tenth of the counts: for trying the benchmark out, not for its figures."""
        return replace(
            self,
            sign_ins=self.sign_ins // 10,
            password_sign_ins=self.password_sign_ins // 10,
            rows=self.rows // 10,
            starts=2,
            browsers=self.browsers // 4,
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Alternating rounds by name, and the two halves of a sign-in (authorize, token) in ms."""

    rounds: dict[str, list[Round]]
    halves: dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Passwords:
    hash_ms: list[float]  # CPU of one bare verification, a round each
    sign_ins: list[Round]  # until the code
    redemptions: list[Round]
    parameters: str


@dataclass(frozen=True, slots=True)
class Residence:
    start_seconds: list[float]
    ready: list[Memory]
    loaded: list[Memory]


@dataclass(frozen=True, slots=True)
class Stores:
    """The databases of a run and the folder of their files."""

    folder: Path
    postgresql: servers.Store
    redis: servers.Store

    def install(self, name: str, *, accounts: int, number: int = 0) -> Installation:
        """An installation on a PostgreSQL database and a Redis database of its own."""
        return sekisho.install(
            name,
            self.folder / f"production-{accounts}-{number}",
            accounts=accounts,
            database_url=servers.create_database(self.postgresql, f"bench_{accounts}_{number}"),
            redis_url=f"{self.redis.url}/{number}",
            stores=(self.postgresql.pid, self.redis.pid),
        )


@contextmanager
def stores(folder: Path) -> Iterator[Stores]:
    with servers.postgresql(folder / "postgresql") as database, servers.redis(folder) as redis:
        yield Stores(folder, database, redis)


def reference_alone(folder: Path, plan: Plan) -> Comparison:
    """The reference without the product: whether the harness itself works on this machine."""
    with ExitStack() as stack:
        return _compare([_reference(stack, folder, plan)], plan)


def sso(folder: Path, plan: Plan) -> Comparison:
    """The product on both kinds of store and the reference, in turn."""
    with ExitStack() as stack:
        production = stack.enter_context(stores(folder)).install(PRODUCTION, accounts=plan.accounts)
        embedded = sekisho.install(EMBEDDED, folder / "embedded", accounts=plan.accounts)
        targets = [
            stack.enter_context(sekisho.running(installation, workers=plan.workers))
            for installation in (production, embedded)
        ]
        return _compare([*targets, _reference(stack, folder, plan)], plan)


def wsgi_servers(folder: Path, plan: Plan) -> Comparison:
    """The same application and database under granian and under gunicorn, in turn."""
    with ExitStack() as stack:
        base = stack.enter_context(stores(folder))
        targets = []
        for number, server in enumerate(("granian", "gunicorn")):
            installation = base.install(server, accounts=plan.accounts, number=number)
            started = sekisho.running(installation, workers=plan.workers, server=server)
            targets.append(stack.enter_context(started))
        return _compare(targets, plan)


def scale(folder: Path, plan: Plan) -> Comparison:
    """Two installations, one as new and one with `plan.rows` users, clients and sessions."""
    with ExitStack() as stack:
        base = stack.enter_context(stores(folder))
        targets = []
        for number, rows in enumerate((100, plan.rows)):
            name = f"{rows:,} users, clients and sessions"
            installation = base.install(name, accounts=plan.accounts, number=number)
            target = stack.enter_context(sekisho.running(installation, workers=plan.workers))
            targets.append(driver.sign_in_all(target, plan.browsers))
            bulk.load(installation.database_url, rows, _SCALED)
        return _alternate(targets, plan)


def passwords(folder: Path, plan: Plan) -> Passwords:
    """Whole password sign-ins beside bare verifications with the same parameters, in turn."""
    hashes: list[float] = []
    sign_ins: list[Round] = []
    redemptions: list[Round] = []
    count = plan.password_sign_ins
    with stores(folder) as base:
        installation = base.install(PRODUCTION, accounts=plan.password_accounts)
        stored = bulk.argon2_hash(installation.database_url)
        assert stored, "no Argon2 hash in the database"
        with sekisho.running(installation, workers=plan.workers) as target:
            driver.password_round(target, plan.password_accounts, connections=plan.connections)
            for _ in range(plan.rounds):
                hashes.append(_bare_hash_ms(stored, count, threads=plan.workers))
                signed_in, redeemed = driver.password_round(
                    target, count, connections=plan.connections
                )
                sign_ins.append(signed_in)
                redemptions.append(redeemed)
    found = extract_parameters(stored)
    parameters = f"m = {found.memory_cost} KiB, t = {found.time_cost}, p = {found.parallelism}"
    return Passwords(hashes, sign_ins, redemptions, parameters)


def residence(folder: Path, plan: Plan) -> dict[str, Residence]:
    """Start to ready, and memory of two workers: when ready, after SSO and password sign-ins."""
    with stores(folder) as base:
        installations = (
            base.install(PRODUCTION, accounts=plan.accounts),
            sekisho.install(EMBEDDED, folder / "embedded", accounts=plan.accounts),
        )
        found = {i.name: _reside(partial(sekisho.running, i), plan) for i in installations}
    start = partial(reference.running, folder / "reference", accounts=plan.accounts)
    return found | {"node-oidc-provider": _reside(start, plan)}


def _reside(start: Callable[..., AbstractContextManager[Target]], plan: Plan) -> Residence:
    seconds = []
    for _ in range(plan.starts):
        with start(workers=2) as target:
            seconds.append(target.start_seconds)
    with start(workers=2) as started:
        ready = processes.memory(started.pid)
        target = driver.sign_in_all(started, plan.browsers)
        driver.sso_round(target, plan.sign_ins, connections=plan.connections)
        return Residence(seconds, ready, processes.memory(target.pid))


def _compare(targets: Sequence[Target], plan: Plan) -> Comparison:
    signed_in = [driver.sign_in_all(target, plan.browsers) for target in targets]
    return _alternate(signed_in, plan)


def _alternate(targets: Sequence[Target], plan: Plan) -> Comparison:
    results = driver.alternate(
        targets, rounds=plan.rounds, count=plan.sign_ins, connections=plan.connections
    )
    halves = {
        target.name: driver.halves(target, plan.sign_ins, connections=plan.connections)
        for target in targets
    }
    names = [target.name for target in targets]
    return Comparison(dict(zip(names, results, strict=True)), halves)


def _reference(stack: ExitStack, folder: Path, plan: Plan) -> Target:
    started = reference.running(folder / "reference", workers=plan.workers, accounts=plan.accounts)
    return stack.enter_context(started)


def _bare_hash_ms(stored: str, count: int, *, threads: int) -> float:
    """CPU milliseconds of one verification by the library alone, in as many threads at once."""
    found = extract_parameters(stored)
    hasher = PasswordHasher.from_parameters(found)
    own = hasher.hash("a pass phrase")
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: hasher.verify(own, "a pass phrase"), range(threads * 2)))
        began = time.process_time()
        list(pool.map(lambda _: hasher.verify(own, "a pass phrase"), range(count)))
        return (time.process_time() - began) / count * 1000
