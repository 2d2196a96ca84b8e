"""What is said of finding instances can be set, and is what holds."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from bff_core.cli.doubts import doubts
from bff_core.discovery import SourceFailed
from bff_core.discovery.name_servers import NameServers
from bff_core.discovery_settings import DiscoverySettings, DnsSettings
from bff_core.lookups import Lookup
from bff_core.settings import GatewaySettings, load
from bff_core.upstream_settings import UpstreamSettings
from tests.bff_core.authority import authority
from tests.bff_core.name_server import SILENCE, NameServer
from tests.docs.reading import DOCS, blocks, rows

PAGE = DOCS / "finding-instances.md"
PAGES = sorted(DOCS.glob("finding-instances*.md"))
TEXT = PAGE.read_text()

SETTINGS = [(key.strip("`"), default) for key, default, *_ in rows(PAGE, "setting")]


def loaded(snippet: str, folder: Path) -> GatewaySettings:
    """The settings of a gateway that says this, and beside it only what every gateway must."""
    file = folder / "settings.toml"
    needed = ['name = "web"', 'listen = "127.0.0.1:8000"', 'admin = "127.0.0.1:9000"', 'deadline = "2s"']
    file.write_text("\n".join([*needed, snippet]))
    return load(file)


@pytest.mark.parametrize("snippet", [snippet for page in PAGES for snippet in blocks(page, "toml")])
def test_what_is_shown_can_be_set_and_is_not_doubted(snippet: str, tmp_path: Path) -> None:
    authority("ours").cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    settings = loaded(re.sub(r'"/etc/bff/[a-z-]+\.pem"', f'"{tmp_path}/ca.pem"', snippet), tmp_path)

    assert doubts(settings, {}) == []
    assert settings.upstreams


@pytest.mark.parametrize("lookup", re.findall(r'`discover = "(.*?)"`', TEXT))
def test_a_lookup_that_is_mentioned_is_one(lookup: str) -> None:
    assert isinstance(UpstreamSettings(discover=lookup).discover, Lookup)


@pytest.mark.parametrize(("key", "default"), SETTINGS)
def test_a_documented_default_is_the_true_one(key: str, default: str) -> None:
    *tables, name = key.removeprefix("discovery.").split(".")
    model: Any = DiscoverySettings()
    for table in tables:
        model = getattr(model, table)
    said = None if default == "none" else default.strip("`").strip('"')
    assert getattr(type(model)(**{name: said}) if said is not None else type(model)(), name) == getattr(model, name)
    assert (said is None) == (getattr(model, name) is None)


def test_every_setting_of_the_dns_is_documented() -> None:
    assert {f"discovery.dns.{name}" for name in DnsSettings.model_fields} <= {key for key, _ in SETTINGS}


def test_over_a_list_instances_are_looked_up_as_it_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (command,) = blocks(PAGE, "console")
    for word in shlex.split(command.removeprefix("$ ")):
        if "=" in word:
            monkeypatch.setenv(*word.split("=", 1))
    settings = loaded('[upstreams.catalog]\ninstances = ["http://127.0.0.1:7001"]', tmp_path)
    assert str(settings.upstreams["catalog"].discover) == "dns:http://catalog:7001"


@pytest.mark.real_time
async def test_a_failure_reads_as_it_is_shown() -> None:
    (shown,) = blocks(PAGE, "text")
    async with NameServer() as broken, NameServer("::1") as silent:
        broken.fail()
        silent.fail(how=SILENCE)
        servers = NameServers(DnsSettings(servers=[broken.address, silent.address], timeout="100ms"))
        with pytest.raises(SourceFailed) as failed:
            await servers.addresses("catalog.internal", "A")
    said = str(failed.value).replace(broken.address, "10.0.0.2:8600").replace(silent.address, "[fd00::2]:8600")
    assert said == shown.strip()
