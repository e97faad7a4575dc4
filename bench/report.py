"""Writes the figures down as Markdown: `docs/PERFORMANCE.md`.

Owns: the text and tables. Not here: the figures (`measures`) and the machine (`machine`).
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.driver import percentile
from bench.measures import Comparison, Passwords, Plan, Residence
from bench.profile import Profile

_LINES = 10  # of a profile
_REFERENCE = "node-oidc-provider"
_INTRODUCTION = """\
# Performance

Measured on {date} by `make bench`, which writes this page. CPU is user and system time of the
server's whole process tree as the operating system accounts it; the driver, the database and Redis
are outside it (the stores have a column of their own). The servers compared take turns within one
run, so that what else the machine does falls on all of them. A figure is the median of
{rounds} rounds, with the lowest and highest in brackets.
"""
_SSO = """\
## One SSO sign-in

A browser with a live session is sent to `/authorize` (`response_type=code`, `scope=openid`,
`state`, `nonce`, PKCE S256) and gets a code; the application redeems it at `/token`
(`client_secret_basic`) for an ID token signed RS256 with a 2048-bit key. {count:,} sign-ins a round
over {connections} connections and {workers} worker{plural} each, after a warm-up; a sample of
the ID tokens is verified. The reference is
[node-oidc-provider](https://github.com/panva/node-oidc-provider) in its default configuration with
all models in Redis.
"""
_PROFILE = """\
## Where the time goes

The application called in this process, without a server, and its stack sampled by CPU time:
microseconds of one SSO sign-in, client-side work of the driver ("bench") included. A sample counts
for the innermost Python function; what that calls in C (the RSA signature, libpq, a socket) counts
for it. The difference to the table above is the server: reading and writing HTTP, and handing a
request from its threads to ours. `python -m bench.profile` shows more.
"""
_SERVERS = """\
## WSGI servers

The same application, database and sign-ins as above; only the server differs.
"""
_SCALE = """\
## Growth

SSO sign-ins of an installation with few and one with many rows, in turn, on PostgreSQL and Redis.
"""
_PASSWORDS = """\
## Password sign-ins

A new browser each time: authorization request, identifier page, password page, both forms, and the
hand-over page with the code, on PostgreSQL and Redis; {count} a round. Beside it, in the same run,
the bare verification of an Argon2id hash with the same parameters ({parameters}).
"""
_RESIDENCE = """\
## Memory and start

Two worker processes, when ready and after {count:,} SSO sign-ins. Resident memory counts shared
pages fully, the proportional set size counts them in parts. Start is from the command to the first
good answer, median of {starts} starts.
"""


@dataclass(frozen=True, slots=True)
class Results:
    plan: Plan
    date: str  # the day of the run, ISO 8601
    machine: dict[str, str]
    sso: Comparison | None = None
    servers: Comparison | None = None
    profiles: dict[str, Profile] = field(default_factory=dict)
    scale: Comparison | None = None
    passwords: Passwords | None = None
    residence: dict[str, Residence] = field(default_factory=dict)


def render(results: Results) -> str:
    """The whole page; what was not measured is left out."""
    plan = results.plan
    parts = [_INTRODUCTION.format(date=results.date, rounds=plan.rounds)]
    parts.append(_table(("Machine", ""), results.machine.items()))
    if results.sso:
        given: dict[str, object] = {"connections": plan.connections, "workers": plan.workers}
        given |= {"plural": "" if plan.workers == 1 else "s"}
        parts.append(_SSO.format(count=plan.sign_ins, **given))
        parts += _comparison(results.sso)
    if results.profiles:
        parts += [_PROFILE, *(_profile(*item) for item in results.profiles.items())]
    if results.servers:
        parts += [_SERVERS, *_comparison(results.servers)]
    if results.passwords:
        parts += _password_section(results.passwords, plan)
    if results.scale:
        parts += [_SCALE, *_comparison(results.scale)]
    if results.residence:
        parts.append(_RESIDENCE.format(count=plan.sign_ins, starts=plan.starts))
        parts.append(_residence_table(results.residence))
    return "\n".join(parts)


def _comparison(comparison: Comparison) -> list[str]:
    # The reference is compared with where there is one, else the first of the list.
    names = list(comparison.rounds)
    basis = _REFERENCE if _REFERENCE in names else names[0]
    basis_ms = _median(r.server_ms for r in comparison.rounds[basis])
    head = (
        "Server",
        "CPU a sign-in, ms",
        f"against {basis}",
        "authorize + token, ms",
        "stores' CPU, ms",
        "sign-ins/s",
        "authorize p50 / p95, ms",
        "token p50 / p95, ms",
    )
    rows = []
    for name, rounds in comparison.rounds.items():
        asked, redeemed = comparison.halves[name]
        rows.append(
            (
                name,
                _spread([r.server_ms for r in rounds]),
                f"{_median(r.server_ms for r in rounds) / basis_ms:.2f}",
                f"{asked:.2f} + {redeemed:.2f}",
                f"{_median(r.store_ms for r in rounds):.2f}",
                f"{_median(r.count / r.wall_seconds for r in rounds):.0f}",
                _latency([s for r in rounds for s in r.authorize_seconds]),
                _latency([s for r in rounds for s in r.token_seconds]),
            )
        )
    note = (
        "Throughput and latency are informational: driver, server and stores share the cores. "
        "The halves are measured apart, all authorization requests first, then all token requests."
    )
    return [_table(head, rows), note + "\n"]


def _profile(name: str, found: Profile) -> str:
    head = (f"{name}: package", "us", "function", "us")
    pairs = zip(found.packages[:_LINES], found.functions[:_LINES], strict=False)
    rows = [(*_share(package), *_share(function)) for package, function in pairs]
    total = ("whole", f"{found.authorize + found.token:.0f}", "authorize + token",
             f"{found.authorize:.0f} + {found.token:.0f}")  # fmt: skip
    return _table(head, [total, *rows])


def _share(item: tuple[str, float]) -> tuple[str, str]:
    return f"`{item[0]}`", f"{item[1]:.0f}"


def _password_section(passwords: Passwords, plan: Plan) -> list[str]:
    bare = _median(passwords.hash_ms)
    whole = _median(r.server_ms for r in passwords.sign_ins)
    rows = [
        ("Bare Argon2id verification", _spread(passwords.hash_ms), f"{1000 / bare:.1f}", ""),
        (
            "Password sign-in until the code",
            _spread([r.server_ms for r in passwords.sign_ins]),
            f"{1000 / whole:.1f}",
            f"{bare / whole:.0%}",
        ),
        (
            "Redemption of the code",
            _spread([r.server_ms for r in passwords.redemptions]),
            "",
            "",
        ),
    ]
    text = _PASSWORDS.format(count=plan.password_sign_ins, parameters=passwords.parameters)
    return [text, _table(("", "CPU, ms", "per core and second", "of the bare limit"), rows)]


def _residence_table(residence: dict[str, Residence]) -> str:
    head = ("Process", "resident ready, MiB", "resident after, MiB", "proportional after, MiB",
            "start, s")  # fmt: skip
    rows: list[tuple[str, ...]] = []
    for name, found in residence.items():
        before = {memory.pid: memory for memory in found.ready}
        for number, memory in enumerate(found.loaded):
            ready = before.get(memory.pid)
            rows.append(
                (
                    f"{name}: {'main process' if memory.is_root else f'worker {number}'}",
                    _mebibytes(ready.rss) if ready else "",
                    _mebibytes(memory.rss),
                    _mebibytes(memory.pss),
                    f"{_median(found.start_seconds):.2f}" if memory.is_root else "",
                )
            )
    return _table(head, rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)


def _spread(values: Sequence[float]) -> str:
    return f"**{_median(values):.2f}** ({min(values):.2f}–{max(values):.2f})"


def _latency(seconds: Sequence[float]) -> str:
    return f"{percentile(seconds, 50) * 1000:.1f} / {percentile(seconds, 95) * 1000:.1f}"


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.0f}"
