"""How the house is kept: small modules, small functions, nothing left to do later."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("keys", "idp", "federation", "flows")
MODULE_LINES = 300
FUNCTION_LINES = 40
# A migration is the history of a schema: one function, written by a program.
GENERATED = "migrations/versions/"
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "managers", "manager", "misc"}
ONLY_WORKER_AND_EDGE = {"idp/application.py", "idp/edge.py", "idp/outbox.py", "idp/worker.py"}


@cache
def modules() -> dict[str, str]:
    """Path from the root, and the text, of every module of the product."""
    paths = [ROOT / "wsgi.py"]
    paths += [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(modules()[name])


def calls(name: str) -> set[str]:
    """What is called in a module, as written: `datetime.now`."""
    return {ast.unparse(node.func) for node in ast.walk(tree(name)) if isinstance(node, ast.Call)}


def functions(name: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree(name)) if isinstance(node, kinds)]


def test_no_module_is_longer_than_it_may_be() -> None:
    lines = {name: len(text.splitlines()) for name, text in modules().items()}
    assert {name: count for name, count in lines.items() if count > MODULE_LINES} == {}


def own_lines(function: ast.AST) -> int:
    """Lines of a function without those of the views and handlers that it registers."""
    inner = {
        line
        for node in ast.walk(function)
        if isinstance(node, ast.FunctionDef) and node is not function
        for line in range(node.lineno, (node.end_lineno or 0) + 1)
    }
    assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    return (function.end_lineno or 0) - function.lineno + 1 - len(inner)


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{name}: {function.name}": lines
        for name in modules()
        if GENERATED not in name
        for function in functions(name)
        if (lines := own_lines(function)) > FUNCTION_LINES
    }
    assert long == {}


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        name
        for name, text in modules().items()
        if text.strip() and not ast.get_docstring(tree(name))
    ]
    assert silent == []


def test_only_named_modules_read_the_machines_seconds() -> None:
    reading = {
        name
        for name, text in modules().items()
        if re.search(r"\btime\.(time|monotonic|sleep|localtime|gmtime)\b", text)
    }
    # The store of short-lived state judges expiry by Unix time.
    assert reading <= {"idp/state.py"}


def test_no_instant_is_without_a_zone() -> None:
    naive = {
        f"{name}: {call}"
        for name in modules()
        for call in calls(name)
        if call.endswith((".utcfromtimestamp", ".utcnow"))
    }
    assert naive == set()


def test_randomness_comes_from_secrets() -> None:
    assert [
        name for name, text in modules().items() if re.search(r"^import random\b", text, re.M)
    ] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    named = {part for name in modules() for part in Path(name).with_suffix("").parts}
    assert named & FORBIDDEN_NAMES == set()


def test_no_class_has_a_name_that_says_nothing() -> None:
    vague = [
        node.name
        for name in modules()
        for node in ast.walk(tree(name))
        if isinstance(node, ast.ClassDef) and re.search(r"(Manager|Helper|Util|Utils)$", node.name)
    ]
    assert vague == []


def test_nothing_is_left_to_do_later() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")
    assert [name for name, text in modules().items() if marks.search(text)] == []


def test_only_the_command_line_prints() -> None:
    printing = {name for name in modules() if calls(name) & {"print", "breakpoint"}}
    assert printing <= {"idp/cli/__init__.py", "wsgi.py"}


def test_any_error_is_caught_only_where_nothing_may_fall_over() -> None:
    broad = {
        name
        for name in modules()
        for node in ast.walk(tree(name))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) == "Exception")
    }
    # The services turn whatever a driver raises at start into one line for the operator.
    assert broad <= {*ONLY_WORKER_AND_EDGE, "idp/services.py"}


def test_the_composition_root_stays_small() -> None:
    assert len(modules()["wsgi.py"].splitlines()) < 100
