"""What the driver measures: a running provider, its client and the browsers signed in to it.

Not here: how it is started (`sekisho`, `reference`) and what it is asked (`driver`).
"""

import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench.connection import BenchError, Connection, Cookies

REDIRECT_URI = "https://rp.example/callback"  # never fetched: the driver is browser and RP in one


@dataclass(frozen=True, slots=True)
class Client:
    client_id: str
    client_secret: str
    redirect_uri: str = REDIRECT_URI


@dataclass(frozen=True, slots=True)
class Account:
    identifier: str
    password: str


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Paths of the provider's endpoints, as its discovery document names them."""

    issuer: str
    authorization: str
    token: str
    jwks: str


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    base_url: str
    pid: int  # the root of the process tree that is measured
    stores: tuple[int, ...]  # roots of its own database and Redis trees, measured apart
    client: Client
    accounts: tuple[Account, ...]
    endpoints: Endpoints
    sessions: tuple[Cookies, ...] = ()
    start_seconds: float = 0.0


def discover(base_url: str) -> Endpoints:
    with Connection(base_url) as connection:
        answer = connection.ask("GET", "/.well-known/openid-configuration")
    if answer.status != 200:
        raise BenchError(f"no discovery document: {answer.status} {answer.body[:300]!r}")
    metadata = json.loads(answer.body)
    return Endpoints(
        metadata["issuer"],
        urlsplit(metadata["authorization_endpoint"]).path,
        urlsplit(metadata["token_endpoint"]).path,
        urlsplit(metadata["jwks_uri"]).path,
    )
