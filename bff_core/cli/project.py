"""``[tool.bff]`` of the pyproject.toml in this folder: what ``bff`` finds and starts."""

import shlex
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from bff_core.settings import SettingsError

__all__ = ["Project", "project"]


def _package(value: str) -> str:
    if not all(part.isidentifier() for part in value.split(".")):
        raise ValueError(f"{value!r} is no package")
    return value


def _command(value: str) -> str:
    try:
        words = shlex.split(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is no command: {str(error).lower()}") from error
    if not any(words):
        raise ValueError(f"{value!r} is no command")
    return value


class Project(BaseModel):
    """Everything that can be set there."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    gateways: Annotated[str, AfterValidator(_package)] = "bffs"
    """The package in which ``bff run web`` finds ``web``."""

    dev: list[Annotated[str, AfterValidator(_command)]] = []
    """What ``bff dev`` starts beside the gateways; ``{python}`` is the Python that runs ``bff``."""

    dev_settings: dict[str, dict[str, dict[str, Any]]] = {}
    """What ``--dev`` lays over tables of the gateways' settings, as ``[tool.bff.dev_settings.web.session]``: no
    secrets, but those of what is started for development.
    """


def project() -> Project:
    """What is set, or else as it comes. Raises ``SettingsError`` with one line for each thing that is wrong."""
    file = Path("pyproject.toml")
    found: Any = _read(file)
    for key, place in (("tool", "tool"), ("bff", "tool.bff")):
        found = found.get(key, {})
        if not isinstance(found, dict):
            raise SettingsError(f"{file}: {place}: Input should be a table")
    try:
        return Project(**found)
    except ValidationError as error:
        lines = (_line(wrong["loc"], wrong["type"], wrong["msg"]) for wrong in error.errors())
        raise SettingsError("\n".join(f"{file}: {line}" for line in lines)) from error


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: {error}") from error


def _line(place: tuple[int | str, ...], kind: str, reason: str) -> str:
    said = "there is no such setting" if kind == "extra_forbidden" else reason.removeprefix("Value error, ")
    return f"{'.'.join(['tool.bff', *map(str, place)])}: {said}"
