"""What only one place may do: open a session, issue an ID token, ask for the time."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("keys", "idp", "federation", "flows")
SOURCES = [
    ROOT / "wsgi.py",
    *sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")),
]


Predicate = Callable[[ast.AST], bool]


@cache
def nodes() -> list[tuple[str, ast.AST]]:
    """Every node of the product with its place: the file and, where it is in one, the function."""
    found: list[tuple[str, ast.AST]] = []

    def visit(node: ast.AST, place: str) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            place = f"{place.partition(':')[0]}:{node.name}"
        found.append((place, node))
        for child in ast.iter_child_nodes(node):
            visit(child, place)

    for path in SOURCES:
        visit(ast.parse(path.read_text(encoding="utf-8")), str(path.relative_to(ROOT)))
    return found


def places(is_it: Predicate) -> set[str]:
    """Where in the product there is a node of which `is_it` is true."""
    return {place for place, node in nodes() if is_it(node)}


def is_call(name: str, *, of: str | None = None) -> Predicate:
    """A call such as `jwt.sign(…)`; `of` None: of anything."""

    def is_it(node: ast.AST) -> bool:
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == name
            and (of is None or getattr(node.func.value, "id", None) == of)
        )

    return is_it


def writes_sessions(node: ast.AST) -> bool:
    """A row of `sessions` that is made, or a statement that could make one."""
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name) and node.func.id == "SessionRow":
        return True
    is_insert = isinstance(node.func, ast.Name | ast.Attribute) and (
        getattr(node.func, "id", getattr(node.func, "attr", "")) == "insert"
    )
    return is_insert and any(
        isinstance(argument, ast.Name) and argument.id == "SessionRow" for argument in node.args
    )


def test_one_function_makes_sessions_and_one_page_calls_it() -> None:
    assert places(writes_sessions) == {"idp/sessions.py:open_session"}
    assert places(is_call("open_session", of="sessions")) == {
        "flows/login/signing_in.py:open_session"
    }


def test_one_function_issues_id_tokens_and_one_endpoint_calls_it() -> None:
    assert places(is_call("sign", of="jwt")) == {"idp/oidc/id_token.py:issue"}
    assert places(is_call("issue", of="id_token")) == {"idp/oidc/token.py:_redeem"}


def test_nobody_else_takes_what_signs() -> None:
    # Being ready means, among other things, that there is a key to sign with.
    assert places(is_call("signer")) == {"idp/oidc/id_token.py:issue", "idp/health.py:readyz"}
    outside = {place for place in places(is_call("sign")) if not place.startswith("keys/")}
    assert outside == {"idp/oidc/id_token.py:issue"}


def test_what_one_place_may_call_goes_by_its_full_name() -> None:
    guarded = {"open_session", "sign", "issue", "issue_code", "take_code"}
    owners = {"idp.sessions", "keys.jwt", "idp.oidc.id_token", "idp.oidc.codes"}

    def is_shortened(node: ast.AST) -> bool:
        return (
            isinstance(node, ast.ImportFrom)
            and node.module in owners
            and bool({alias.name for alias in node.names} & guarded)
        )

    assert places(is_shortened) == set()


def test_codes_are_issued_and_taken_in_one_place_each() -> None:
    assert places(is_call("issue_code", of="codes")) == {"idp/oidc/authorize.py:issue"}
    assert places(is_call("take_code", of="codes")) == {"idp/oidc/token.py:_take"}


def test_the_clock_alone_asks_for_the_time() -> None:
    asked = places(is_call("now", of="datetime")) | places(is_call("utcnow", of="datetime"))
    assert asked == {"idp/clock.py:now"}
