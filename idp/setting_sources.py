"""Where settings come from: one TOML file and the environment, read strictly.

Does not own which settings there are, nor what may be written into them (`settings`).
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from idp.errors import SettingsError

PREFIX = "SEKISHO_"


def read(source: Mapping[str, str], known: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, by name, as the types that the defaults have. `known`: dataclass fields by
    name. Raises SettingsError with what to do."""
    given = _from_file(source.get(PREFIX + "CONFIG", ""), known)
    given.update(_from_environment(source, known))
    return {name: _convert(known[name].default, name, text) for name, text in given.items()}


def _from_file(path: str, known: Mapping[str, Any]) -> dict[str, Any]:
    if not path:
        return {}
    try:
        given = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{PREFIX}CONFIG={path} cannot be read: {error}") from error
    for name in given:
        if name not in known:
            raise SettingsError(_unknown(name, path, known))
    return given


def _from_environment(source: Mapping[str, str], known: Mapping[str, Any]) -> dict[str, str]:
    given: dict[str, str] = {}
    for variable, text in source.items():
        if not variable.startswith(PREFIX) or variable == PREFIX + "CONFIG":
            continue
        name = variable.removeprefix(PREFIX).lower()
        stem = name.removesuffix("_file")
        if name in known:
            given[name] = text
        elif stem != name and stem in known and known[stem].metadata["secret"]:
            if PREFIX + stem.upper() in source:
                raise SettingsError(f"{variable} and {PREFIX}{stem.upper()}: give one of them")
            try:
                given[stem] = Path(text).read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                raise SettingsError(f"{variable}={text} cannot be read: {error}") from error
        else:
            raise SettingsError(_unknown(name, "the environment", known, variable))
    return given


def _unknown(name: str, where: str, known: Mapping[str, Any], shown: str = "") -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {PREFIX}{near[0].upper()}?" if near else "; see docs/SETTINGS.md"
    return f"unknown setting {shown or name} in {where}{hint}"


def _convert(default: Any, name: str, given: Any) -> Any:
    shown = PREFIX + name.upper()
    if isinstance(given, dict) or (isinstance(given, list) and not isinstance(default, tuple)):
        raise SettingsError(f"{shown} must be one value, not {given!r}")
    if isinstance(default, bool):
        if isinstance(given, bool):
            return given
        if str(given).lower() in ("1", "true", "yes", "on"):
            return True
        if str(given).lower() in ("0", "false", "no", "off", ""):
            return False
        raise SettingsError(f"{shown} must be true or false, not {given!r}")
    if isinstance(default, int):
        try:
            return int(str(given))
        except ValueError as error:
            raise SettingsError(f"{shown} must be a whole number, not {given!r}") from error
    if isinstance(default, tuple):
        items = given if isinstance(given, list) else str(given).split(",")
        return tuple(str(item).strip() for item in items if str(item).strip())
    if isinstance(default, Path):
        return Path(str(given)).expanduser()
    return str(given)
