"""Repeats sign-ins over several connections and measures what they cost the server.

Owns: rounds, their threads and their figures. Not here: the steps of a sign-in (`sign_in`).
Only the server's process tree counts; the driver's own work is outside the measure.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from bench.connection import Connection, Cookies
from bench.processes import cpu_seconds
from bench.sign_in import Code, authorize, password_sign_in, redeem, verify
from bench.targets import Target

_WARM_UP = 1500  # sign-ins; fewer leave node's compiler at work during the first round
_SAMPLE = 100  # of so many ID tokens one is verified, after the round


@dataclass(frozen=True, slots=True)
class Round:
    count: int
    server_seconds: float  # CPU of the server's process tree
    store_seconds: float  # CPU of its database and Redis
    wall_seconds: float
    authorize_seconds: tuple[float, ...]  # one a sign-in, as the browser waits
    token_seconds: tuple[float, ...]

    @property
    def server_ms(self) -> float:
        """CPU milliseconds of the server for one sign-in."""
        return self.server_seconds / self.count * 1000

    @property
    def store_ms(self) -> float:
        return self.store_seconds / self.count * 1000


@dataclass(slots=True)
class _Lane:
    """One thread's share of a round: its own connection, browsers and results."""

    connection: Connection
    sessions: tuple[Cookies, ...]
    first: list[float]
    second: list[float]
    codes: list[Code]
    tokens: list[tuple[str, str]]


Work = Callable[[Target, _Lane, int], None]


def sign_in_all(target: Target, browsers: int) -> Target:
    """The same target with so many browsers signed in, in turn with its accounts."""
    sessions = []
    with Connection(target.base_url) as connection:
        for number in range(browsers):
            cookies: Cookies = {}
            account = target.accounts[number % len(target.accounts)]
            code = password_sign_in(connection, target, account, cookies)
            verify(connection, target, redeem(connection, target, code), code.nonce)
            sessions.append(cookies)
    return replace(target, sessions=tuple(sessions))


def sso_round(target: Target, count: int, *, connections: int) -> Round:
    """`count` SSO sign-ins: authorize with a live session, then token."""
    return _measure(target, count, connections, _sso)[0]


def halves(target: Target, count: int, *, connections: int) -> tuple[float, float]:
    """CPU milliseconds of the authorization request alone and of the token request alone."""
    asked, lanes = _measure(target, count, connections, _only_authorize)
    return asked.server_ms, _measure_redemption(target, lanes).server_ms


def password_round(target: Target, count: int, *, connections: int) -> tuple[Round, Round]:
    """`count` password sign-ins in new browsers, until the code; then the redemption of the codes.

    Measured in two steps, because the first is the bare hash's neighbour. The codes live 60 s.
    """
    signed_in, lanes = _measure(target, count, connections, _password)
    return signed_in, _measure_redemption(target, lanes)


def alternate(
    targets: Sequence[Target], *, rounds: int, count: int, connections: int
) -> list[list[Round]]:
    """Rounds of all targets in turn, after a warm-up of each: A B A B …

    Whatever else the machine does meanwhile falls on all of them.
    """
    found: list[list[Round]] = [[] for _ in targets]
    for target in targets:
        sso_round(target, _WARM_UP, connections=connections)
    for _ in range(rounds):
        for target, results in zip(targets, found, strict=True):
            results.append(sso_round(target, count, connections=connections))
    return found


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _sso(target: Target, lane: _Lane, number: int) -> None:
    cookies = lane.sessions[number % len(lane.sessions)]
    began = time.perf_counter()
    code = authorize(lane.connection, target, cookies)
    between = time.perf_counter()
    token = redeem(lane.connection, target, code)
    lane.second.append(time.perf_counter() - between)
    lane.first.append(between - began)
    if number % _SAMPLE == 0:
        lane.tokens.append((token, code.nonce))


def _only_authorize(target: Target, lane: _Lane, number: int) -> None:
    cookies = lane.sessions[number % len(lane.sessions)]
    lane.codes.append(authorize(lane.connection, target, cookies))


def _password(target: Target, lane: _Lane, number: int) -> None:
    account = target.accounts[number % len(target.accounts)]
    began = time.perf_counter()
    lane.codes.append(password_sign_in(lane.connection, target, account, {}))
    lane.first.append(time.perf_counter() - began)


def _redeem(target: Target, lane: _Lane, number: int) -> None:
    code = lane.codes[number]
    token = redeem(lane.connection, target, code)
    if number % _SAMPLE == 0:
        lane.tokens.append((token, code.nonce))


def _measure(target: Target, count: int, connections: int, work: Work) -> tuple[Round, list[_Lane]]:
    lanes = [
        _Lane(Connection(target.base_url), target.sessions[lane::connections], [], [], [], [])
        for lane in range(connections)
    ]
    shares = [len(range(lane, count, connections)) for lane in range(connections)]
    return _run(target, lanes, shares, work), lanes


def _measure_redemption(target: Target, lanes: list[_Lane]) -> Round:
    again = [
        _Lane(Connection(target.base_url), lane.sessions, [], [], lane.codes, []) for lane in lanes
    ]
    return _run(target, again, [len(lane.codes) for lane in lanes], _redeem)


def _run(target: Target, lanes: list[_Lane], shares: list[int], work: Work) -> Round:
    """Run every lane's share in its thread between two readings of the accounting."""
    began, server, stores = _reading(target)
    with ThreadPoolExecutor(len(lanes)) as pool:
        list(pool.map(partial(_repeat, target, work), lanes, shares))
    ended, server_after, stores_after = _reading(target)
    for lane in lanes:
        for token, nonce in lane.tokens:
            verify(lane.connection, target, token, nonce)
        lane.connection.close()
    return Round(
        sum(shares),
        server_after - server,
        stores_after - stores,
        ended - began,
        tuple(seconds for lane in lanes for seconds in lane.first),
        tuple(seconds for lane in lanes for seconds in lane.second),
    )


def _reading(target: Target) -> tuple[float, float, float]:
    return time.monotonic(), cpu_seconds([target.pid]), cpu_seconds(target.stores)


def _repeat(target: Target, work: Work, lane: _Lane, share: int) -> None:
    for number in range(share):
        work(target, lane, number)
