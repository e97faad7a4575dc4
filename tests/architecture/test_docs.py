"""The documents say what the code does: settings, commands, routes, targets, modules, links."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from flask import Flask

from idp import migrations, services
from idp.audit import Event
from idp.cli import cli, operations
from idp.settings import load
from keys.sealing import Sealer
from wsgi import create_app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/*.md")]
ARCHITECTURE = ROOT / "docs" / "ARCHITECTURE.md"
CONNECTING = ROOT / "docs" / "CONNECTING.md"
NAMES_OF_PAGES = [str(page.relative_to(ROOT)) for page in PAGES]
IMPLICIT_METHODS = {"HEAD", "OPTIONS"}
GROUPS = {("db",), ("org",), ("user",), ("client",), ("keys",), ("terms",)}


def text(page: Path | str) -> str:
    return (ROOT / page).read_text("utf-8")


def code(page: Path | str) -> str:
    """What stands in code blocks and code spans, one a line."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", text(page), re.M | re.S)
    rest = re.sub(r"^ *```\w*\n.*?^ *```", "", text(page), flags=re.M | re.S)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", rest)]
    return "\n".join([*blocks, *spans])


def commands(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command that can be run, as the words behind `sekisho`."""
    if not isinstance(group, click.Group):
        yield path
        return
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield from commands(found, (*path, name))


def named_commands(page: Path | str) -> set[tuple[str, ...]]:
    """The commands of `sekisho` on a page, cut to the words that may name one."""
    found = re.findall(
        r"(?:^ *|/bin/|\| )sekisho(?:-run)? ([a-z]+)(?: ([a-z][a-z-]*))?", code(page), re.M
    )
    return {tuple(word for word in words if word) for words in found}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The application with every route there can be."""
    folder = tmp_path_factory.mktemp("data")
    (folder / services.MASTER_KEY_FILE).write_text(Sealer.new_master_key_text(), "ascii")
    settings = load({}, data_dir=folder, base_url="http://localhost:8420", demo=True)
    migrations.upgrade(settings)
    application = create_app(settings)
    yield application
    application.extensions["sekisho"].close()


def routes(app: Flask) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        found.setdefault(rule.rule, set()).update((rule.methods or set()) - IMPLICIT_METHODS)
    return found


def documented_routes(page: Path) -> dict[str, set[str]]:
    """The rows of a table whose first cell names paths and whose second names methods."""
    found: dict[str, set[str]] = {}
    for paths, methods in re.findall(r"^\| (`/.+?) \| ([A-Z, ]+) \|", text(page), re.M):
        for path in re.findall(r"`([^`]+)`", paths):
            found[path] = set(methods.split(", ")) - IMPLICIT_METHODS
    return found


def test_the_page_of_settings_is_what_the_command_prints() -> None:
    assert text("docs/SETTINGS.md") == operations.reference()


@pytest.mark.parametrize("page", NAMES_OF_PAGES)
def test_every_setting_that_is_named_exists(page: str) -> None:
    known = set(re.findall(r"`(SEKISHO_[A-Z0-9_]+)`", operations.reference()))
    secret = set(re.findall(r"`(SEKISHO_[A-Z0-9_]+)` \(secret\)", operations.reference()))
    known |= {f"{name}_FILE" for name in secret} | {"SEKISHO_CONFIG", "SEKISHO_"}
    assert set(re.findall(r"SEKISHO_[A-Z0-9_]*", text(page))) - known == set()


def test_every_setting_of_the_example_environment_exists() -> None:
    lines = text("deploy/sekisho.env.example").splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert load(given).base_url == given["SEKISHO_BASE_URL"]


@pytest.mark.parametrize("page", NAMES_OF_PAGES)
def test_every_command_that_is_named_exists(page: str) -> None:
    known = set(commands(cli))
    known |= {path[:1] for path in known}
    unknown = {words for words in named_commands(page) if not {words, words[:1]} & known} | {
        words for words in named_commands(page) if words[:1] in GROUPS and words not in known
    }
    assert unknown == set()


def test_every_command_is_documented() -> None:
    named = set().union(*(named_commands(page) for page in PAGES))
    missing = [
        " ".join(path)
        for path in commands(cli)
        if not any(words[: len(path)] == path for words in named)
    ]
    assert missing == []


def test_the_table_of_routes_is_complete_and_true(app: Flask) -> None:
    assert documented_routes(ARCHITECTURE) == routes(app)


def test_the_endpoints_for_applications_exist(app: Flask) -> None:
    documented, known = documented_routes(CONNECTING), routes(app)
    assert documented
    assert {path: known.get(path) for path in documented} == documented


@pytest.mark.parametrize("page", NAMES_OF_PAGES)
def test_every_address_of_the_demo_that_is_named_exists(app: Flask, page: str) -> None:
    paths = re.findall(r"http://localhost:8420(/[a-z./_-]+)", text(page))
    assert set(paths) - set(routes(app)) == set()


@pytest.mark.parametrize("page", NAMES_OF_PAGES)
def test_every_make_target_that_is_named_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", text("Makefile"), re.M))
    assert set(re.findall(r"(?:^ *|&& )make ([a-z][a-z-]*)", code(page), re.M)) - targets == set()


def test_every_audit_event_is_documented_and_no_other() -> None:
    listed = re.search(
        r"^Audit events, all there are: (.+?)\.\n\n", text(ARCHITECTURE), re.M | re.S
    )
    assert listed is not None
    assert set(re.findall(r"`([^`]+)`", listed[1])) == {event.value for event in Event}


def test_every_module_is_in_the_architecture() -> None:
    modules = {
        str(source.relative_to(ROOT))
        for top in ("keys", "idp", "federation", "flows")
        for source in (ROOT / top).rglob("*.py")
        if source.name != "__init__.py" and source.parent.name != "versions"
    }
    assert {module for module in modules if f"`{module}`" not in text(ARCHITECTURE)} == set()


@pytest.mark.parametrize("page", NAMES_OF_PAGES)
def test_every_file_that_is_named_exists(page: str) -> None:
    named = re.findall(r"\b(?:keys|idp|federation|flows|tests|deploy)/[\w/.-]+\.\w+", text(page))
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_every_function_of_the_walk_and_of_the_defences_exists() -> None:
    sections = re.split(r"^## ", text(ARCHITECTURE), flags=re.M)
    told = "".join(s for s in sections if s.startswith(("One sign-in", "What protects what")))
    sources: dict[str, str] = {}  # A page may be called like the module behind it.
    for top in ("keys", "idp", "flows"):
        for path in (ROOT / top).rglob("*.py"):
            sources[path.stem] = sources.get(path.stem, "") + path.read_text("utf-8")
    missing = [
        f"{module}.{name}"
        for module, name in re.findall(r"`(\w+)\.(\w+)`", told)
        if module in sources
        and name != "py"
        and not re.search(rf"\b(?:def|class) {name}\b", sources[module])
    ]
    assert missing == []


@pytest.mark.parametrize("page", NAMES_OF_PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        file = (ROOT / page).parent / name if name else ROOT / page
        if not file.is_file() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """The names that Markdown viewers give to headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_names_every_account_of_the_demo_and_its_password() -> None:
    from idp.demo import seed

    readme = text("README.md")
    rows = [f"| `{p.email}` | `{p.login_id}` | {p.role.value} |" for p in seed.PEOPLE]
    assert [row for row in rows if row not in readme] == []
    assert f"`{seed.PASSWORD}`" in readme


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = re.findall(r"^## (\d+)\. .+ \(\d{4}-\d\d-\d\d\)$", text("docs/DECISIONS.md"), re.M)
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]
    assert len(numbers) == len(re.findall(r"^## ", text("docs/DECISIONS.md"), re.M))
