"""nginx: whether it is here, and its configuration files filled in."""

import shutil
from pathlib import Path
from typing import Final

__all__ = ["configured", "has_lua", "is_here", "modules"]

_MODULES: Final = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/share/nginx/modules")
_CJSON: Final = ("/usr/lib/*/lua/5.1", "/usr/lib*/lua/5.1", "/usr/local/lib*/lua/5.1")


def is_here() -> bool:
    """Whether there is an nginx."""
    return shutil.which("nginx") is not None


def has_lua() -> bool:
    """Whether it can run Lua, and Lua can read JSON."""
    return is_here() and modules() is not None and any(_found(pattern, "cjson.so") for pattern in _CJSON)


def modules() -> Path | None:
    """The folder with the module for Lua."""
    folders = [Path(folder) for folder in _MODULES if (Path(folder) / "ngx_http_lua_module.so").is_file()]
    return folders[0] if folders else None


def configured(template: Path, folder: Path, **words: object) -> list[str]:
    """The command that runs nginx as ``template`` says, each ``{WORD}`` in it replaced.

    It writes to ``folder`` alone.
    """
    text = template.read_text(encoding="utf-8")
    for word, value in {"FOLDER": folder, **words}.items():
        text = text.replace(f"{{{word}}}", str(value))
    file = folder / "nginx.conf"
    file.write_text(text, encoding="utf-8")
    return ["nginx", "-p", str(folder), "-c", str(file), "-e", "stderr"]


def _found(pattern: str, name: str) -> bool:
    return any((folder / name).is_file() for folder in Path("/").glob(pattern.lstrip("/")))
