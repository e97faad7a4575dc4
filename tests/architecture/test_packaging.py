"""What is shipped and what is installed: the package list, the bounds, the lock files."""

import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ["requirements.lock", "requirements-test.lock"]
TOP_LEVEL = ["keys", "idp", "federation", "flows"]


def config() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def lines(section: str, option: str) -> list[str]:
    return [line for line in config()[section][option].splitlines() if line.strip()]


def requirements() -> list[str]:
    options = [("options", "install_requires"), ("options.extras_require", "test")]
    return [line for where in options for line in lines(*where) if not line.startswith("#")]


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(lock: str) -> dict[str, str]:
    """Each locked distribution with all that stands behind its name."""
    text = (ROOT / lock).read_text("utf-8").replace("\\\n", " ")
    entries = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    return {entry.partition("==")[0]: entry.partition("==")[2] for entry in entries}


def test_every_package_on_disk_is_listed_and_the_other_way_round() -> None:
    on_disk = {
        ".".join(source.parent.relative_to(ROOT).parts)
        for top in TOP_LEVEL
        for source in (ROOT / top).rglob("*.py")
    }
    assert set(lines("options", "packages")) == on_disk | {"idp.templates"}


def test_every_package_has_an_init_file() -> None:
    packages = [name for name in lines("options", "packages") if name != "idp.templates"]
    folders = [ROOT / name.replace(".", "/") for name in packages]
    missing = [folder.name for folder in folders if not (folder / "__init__.py").is_file()]
    assert missing == []


def test_every_file_of_the_templates_is_shipped() -> None:
    patterns = [
        pattern.strip() for pattern in config()["options.package_data"]["idp.templates"].split(",")
    ]
    folder = ROOT / "templates"
    shipped = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    # The mapping for `make translations` is of use in the source tree only.
    there = {path for path in folder.rglob("*") if path.is_file() and path.suffix != ".cfg"}
    assert there - shipped == set()


def test_every_requirement_has_a_lower_and_an_upper_bound() -> None:
    unbounded = [
        line for line in requirements() if "==" not in line and not re.search(r">=.+,<", line)
    ]
    assert unbounded == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_distribution_has_a_version_and_hashes(lock: str) -> None:
    entries = locked(lock)
    assert len(entries) > 20
    wrong = [
        name
        for name, rest in entries.items()
        if not re.fullmatch(r"[\w.]+\s+(--hash=sha256:[0-9a-f]{64}\s*)+(#.*)?", rest)
    ]
    assert wrong == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place_to_download_from(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    assert not re.search(r"://|--index-url|--find-links|--trusted-host|^[/.]|^-e|@", text, re.M)


def test_the_tests_run_on_exactly_what_is_deployed() -> None:
    runtime, test = locked(LOCKS[0]), locked(LOCKS[1])
    different = [name for name in runtime if test.get(name) != runtime[name]]
    assert different == []


def test_every_requirement_is_locked() -> None:
    names = {normalised(re.split(r"[\[<>=]", line)[0]) for line in requirements()}
    assert names - locked(LOCKS[1]).keys() == set()


def test_pyproject_holds_the_build_system_only() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert re.findall(r"^\[(.+)\]$", text, re.M) == ["build-system"]
