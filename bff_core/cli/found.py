"""Gateways, found by name: ``web`` is the package ``bffs.web`` with a ``create`` in its ``app.py``."""

import tomllib
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from fastapi import FastAPI

from bff_core.settings import GatewaySettings, SettingsError, load

__all__ = ["FoundGateway", "NotFoundError", "find", "names", "project"]


class NotFoundError(Exception):
    """There is no gateway of that name."""


@dataclass(frozen=True, slots=True)
class FoundGateway:
    """A gateway that was found, not yet made."""

    name: str
    package: str
    folder: Path

    def settings(self, file: Path | None = None) -> GatewaySettings:
        """Its settings: from ``file``, or from its own ``settings.toml``."""
        return load(file or self.folder / "settings.toml")

    def create(self, settings: GatewaySettings) -> FastAPI:
        """The app."""
        app: FastAPI = import_module(f"{self.package}.app").create(settings)
        return app


def project() -> dict[str, Any]:
    """``[tool.bff]`` of the pyproject.toml in this folder."""
    file = Path("pyproject.toml")
    if not file.exists():
        return {}
    try:
        found: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("bff", {})
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: {error}") from error
    return found


def names() -> list[str]:
    """Every gateway there is."""
    spec = find_spec(_package())
    places = spec.submodule_search_locations if spec else None
    return sorted(module.name for module in iter_modules(places or []) if module.ispkg)


def find(name: str) -> FoundGateway:
    """The gateway of this name; ``NotFoundError`` names those there are."""
    if name not in names():
        known = ", ".join(names()) or f"none: there is no package {_package()!r} in this folder"
        raise NotFoundError(f"there is no gateway {name!r}; there are: {known}")
    spec = find_spec(f"{_package()}.{name}")
    assert spec is not None  # noqa: S101  it was listed
    assert spec.origin is not None  # noqa: S101  a package has a file
    return FoundGateway(name, f"{_package()}.{name}", Path(spec.origin).parent)


def _package() -> str:
    return str(project().get("gateways", "bffs"))
