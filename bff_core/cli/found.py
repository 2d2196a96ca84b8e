"""Gateways, found by name: ``web`` is the package ``bffs.web`` with a ``create`` in its ``app.py``."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI

from bff_core.cli.made_up import made_up
from bff_core.cli.project import project
from bff_core.settings import GatewaySettings, SecretMissing, SettingsError, load

__all__ = ["FoundGateway", "NotFoundError", "find", "find_all", "names"]

_HINT: Final = "While developing, --dev makes up what nobody has set, for this folder alone."


class NotFoundError(Exception):
    """There is no gateway of that name, or none at all."""


@dataclass(frozen=True, slots=True)
class FoundGateway:
    """A gateway that was found, not yet made."""

    name: str
    package: str
    folder: Path

    def settings(self, file: Path | None = None, *, dev: bool = False) -> GatewaySettings:
        """Its settings: from ``file``, or from its own ``settings.toml``; ``dev`` puts what is made up over them."""
        file = file or self.folder / "settings.toml"
        try:
            settings = load(file, partial(_for_developers, self.name) if dev else None)
        except SecretMissing as error:
            if dev:
                raise
            raise SettingsError(f"{error}\n{_HINT}") from error
        if settings.name != self.name:  # or an override for this gateway would be read by nobody
            raise SettingsError(f"{file}: name: {settings.name!r} is not {self.name!r}, the folder of the gateway")
        return settings

    def create(self, settings: GatewaySettings) -> FastAPI:
        """The app."""
        app: FastAPI = import_module(f"{self.package}.app").create(settings)
        return app


def names() -> list[str]:
    """Every gateway there is."""
    return sorted(
        app.parent.name
        for place in _places(project().gateways)
        for app in Path(place).glob("*/app.py")
        if (app.parent / "__init__.py").is_file()
    )


def find(name: str) -> FoundGateway:
    """The gateway of this name, or in this package; ``NotFoundError`` names those there are."""
    if "." in name:
        return _in_package(name)
    if name not in names():
        known = ", ".join(names()) or f"none: {_why_none()}"
        raise NotFoundError(f"there is no gateway {name!r}; there are: {known}")
    return _in_package(f"{project().gateways}.{name}")


def find_all() -> list[FoundGateway]:
    """Every gateway there is; ``NotFoundError`` where there is none."""
    if found := [find(name) for name in names()]:
        return found
    raise NotFoundError(f"there are no gateways: {_why_none()}")


def _in_package(package: str) -> FoundGateway:
    for place in _places(package):
        if (folder := Path(place)).joinpath("app.py").is_file():
            return FoundGateway(folder.name, package, folder)
    raise NotFoundError(f"there is no package {package!r} with an app.py")


def _places(package: str) -> list[str]:
    try:
        spec = find_spec(package)
    except ValueError:  # "..", or a name that begins with a dot
        return []
    except ModuleNotFoundError as error:
        if not f"{package}.".startswith(f"{error.name}."):  # it is there, and imports what is not
            raise
        return []
    return list(spec.submodule_search_locations or ()) if spec else []


def _why_none() -> str:
    package = project().gateways
    if _places(package):
        return f"no package in {package!r} has an app.py"
    return f"there is no package {package!r} in this folder"


def _for_developers(gateway: str, table: str) -> Mapping[str, Any]:
    """What goes over a table of its settings."""
    return {**made_up(gateway, table), **project().dev_settings.get(gateway, {}).get(table, {})}
