"""The rules of the house that no linter knows."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import bff_core

ROOT = Path(__file__).parent.parent
MODULES = [
    importlib.import_module(module.name)
    for module in pkgutil.walk_packages(bff_core.__path__, "bff_core.")
    if not module.name.endswith("__main__")
]
FORBIDDEN_NAMES = {"utils", "helpers", "common", "manager", "misc", "base"}


def sources(*folders: str) -> list[Path]:
    return [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_module_has_a_caption_and_its_public_names_exist(module: ModuleType) -> None:
    assert module.__doc__
    assert set(getattr(module, "__all__", ())) <= set(vars(module))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_what_is_not_private_is_named_as_public(module: ModuleType) -> None:
    if module.__name__ == "bff_core.cli.command":
        return  # its functions are what people type
    own = {
        name
        for name, thing in vars(module).items()
        if (inspect.isclass(thing) or inspect.isfunction(thing)) and inspect.getmodule(thing) is module
    }
    assert {name for name in own if not name.startswith("_")} <= set(getattr(module, "__all__", ()))


@pytest.mark.parametrize("file", sources("bff_core", "bffs"), ids=lambda file: str(file.relative_to(ROOT)))
def test_only_public_names_are_imported(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("bff_core."):
            module = importlib.import_module(node.module)
            for name in node.names:
                is_module = isinstance(getattr(module, name.name), ModuleType)
                assert is_module or name.name in module.__all__, f"{node.module}.{name.name}"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_public_name_promises_something(module: ModuleType) -> None:
    for name in getattr(module, "__all__", ()):
        thing = getattr(module, name)
        if not (inspect.isclass(thing) or inspect.isfunction(thing)) or inspect.getmodule(thing) is not module:
            continue
        assert inspect.getdoc(thing) or issubclass(thing, Exception), f"{module.__name__}.{name}"
        if inspect.isclass(thing):
            for member, value in vars(thing).items():
                if inspect.isfunction(value) and not member.startswith("_"):
                    assert inspect.getdoc(getattr(thing, member)), f"{module.__name__}.{name}.{member}"


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [file for file in sources("bff_core", "bffs", "demo") if file.stem in FORBIDDEN_NAMES] == []


def test_pages_and_views_are_short() -> None:
    for page in ROOT.glob("bffs/*/product_page.py"):
        assert len(page.read_text().splitlines()) <= 60, page
    for views in ROOT.glob("bffs/*/views.py"):
        assert len(views.read_text().splitlines()) <= 120, views


def test_a_page_holds_no_plumbing() -> None:
    pages = [file for file in sources("bffs") if "Composition()" in file.read_text()]
    assert len(pages) >= 5
    for page in pages:
        text = page.read_text()
        assert not re.search(r"\btry\b|status_code|\bhttpx\b|\bgather\b|timeout", text), page


def test_the_page_in_the_guide_is_the_page_in_the_repository() -> None:
    guide = (ROOT / "docs/writing-a-page.md").read_text()
    shown = next(block for block in re.findall(r"```python\n(.*?)```", guide, re.DOTALL) if "product_screen" in block)
    assert shown in (ROOT / "bffs/mobile/product_page.py").read_text()


def test_no_test_lets_respx_bypass_what_it_should_test() -> None:
    needle = 'using="' + 'httpx"'
    assert [file for file in sources("tests") if needle in file.read_text()] == []


def test_no_lock_file_names_a_host() -> None:
    for lock in (ROOT / "requirements").glob("*.lock"):
        text = lock.read_text()
        assert "://" not in text
        assert "--hash=sha256:" in text


def test_every_dependency_has_a_lower_bound() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [project["project"]["dependencies"], *project["dependency-groups"].values()]
    assert [one for group in groups for one in group if isinstance(one, str) and ">=" not in one] == []


@pytest.mark.parametrize(
    ("file", "forbidden"),
    [
        ("bff_core/upstream/broken.py", "import fastapi"),
        ("bff_core/composition/broken.py", "import bff_core.services.catalog"),
        ("bff_core/wire/broken.py", "import bff_core.upstream"),
        ("bff_core/edge/broken.py", "import httpx"),
        ("bffs/web/broken.py", "import bffs.mobile.views"),
        ("demo/broken.py", "import bff_core.errors"),
    ],
)
def test_breaking_an_import_contract_is_seen(tmp_path: Path, file: str, forbidden: str) -> None:
    for folder in ("bff_core", "bffs", "demo"):
        copy(ROOT / folder, tmp_path / folder)
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    (tmp_path / file).write_text(f"{forbidden}\n")

    assert "1 broken" in lint_imports(tmp_path)


def copy(source: Path, target: Path) -> None:
    for file in source.rglob("*.py"):
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.read_bytes())


def lint_imports(folder: Path) -> str:
    code = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout
