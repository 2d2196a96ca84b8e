"""What is wrong in the settings, and what nothing would read, stops the start with the key and the reason."""

import re
from collections.abc import Callable
from dataclasses import dataclass, make_dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from bff_core.gateway import gateway
from bff_core.services.catalog import Catalog
from bff_core.services.pricing import Pricing
from bff_core.settings import Duration, GatewaySettings, SettingsError, load
from bff_core.testing import SimulatedInternet
from bff_core.wire.terms import Terms
from tests.bff_core.authority import files_of

GOOD = """
name = "web"
listen = "127.0.0.1:8000"
admin = "127.0.0.1:9000"
deadline = "2s"
regions = { US = "USD", DE = "EUR" }

[sizes]
body = 1000

[upstreams.catalog]
instances = ["http://127.0.0.1:7001"]
timeout = "250ms"
"""

Written = Callable[[str], Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def write(text: str) -> Path:
        file = tmp_path / "settings.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def test_good_settings_are_read(written: Written) -> None:
    settings = load(written(GOOD))
    assert (settings.name, settings.deadline, settings.sizes.body) == ("web", 2.0, 1000)
    assert settings.upstreams["catalog"].timeout == 0.25
    assert list(settings.regions) == ["US", "DE"]


def test_what_is_not_said_has_its_documented_default(written: Written) -> None:
    settings = load(written(GOOD.replace('timeout = "250ms"', "").replace("[sizes]\nbody = 1000", "")))
    sizes = settings.sizes
    assert (sizes.body, sizes.header_block, sizes.headers, sizes.target) == (1024**2, 32 * 1024, 100, 8 * 1024)
    assert settings.upstreams["catalog"].timeout == 0.5
    assert settings.upstreams["catalog"].max_reply == 8 * 1024**2


def test_an_instance_may_be_behind_a_socket(written: Written) -> None:
    settings = load(written(GOOD.replace("http://127.0.0.1:7001", "unix:/run/catalog.sock")))
    assert [place.url for place in settings.upstreams["catalog"].instances] == ["unix:/run/catalog.sock"]


# each: what is changed in the good settings, into what, and what the message says of it
WRONG = {
    "no name": ('name = "web"', "", "name: is missing"),
    "a name that is no name": ('name = "web"', 'name = "Web Site"', "name: "),
    "a name that is no text": ('name = "web"', "name = 7", "name: "),
    "no listener": ('listen = "127.0.0.1:8000"', "", "listen: is missing"),
    "a listener without a port": ("127.0.0.1:8000", "127.0.0.1", "listen: '127.0.0.1' is no address"),
    "a port that is no number": ("127.0.0.1:8000", "127.0.0.1:http", "listen: "),
    "a port that is none": ("127.0.0.1:8000", "127.0.0.1:65536", "listen: "),
    "a port in other digits": ("127.0.0.1:8000", "127.0.0.1:²", "listen: "),
    "no host before the port": ("127.0.0.1:8000", ":8000", "listen: "),
    "operators among the clients": ("127.0.0.1:9000", "127.0.0.1:8000", "admin: the listener for operators"),
    "no deadline": ('deadline = "2s"', "", "deadline: is missing"),
    "a duration without a unit": ('"2s"', "2", "deadline: give a duration with its unit"),
    "a duration in a unit that nobody has": ('"2s"', '"2 fortnights"', "deadline: '2 fortnights' is no duration"),
    "no time at all": ('"2s"', '"0s"', "deadline: "),
    "less than no time": ('"2s"', '"-1s"', "deadline: "),
    "for ever": ('"2s"', '"' + "9" * 400 + 's"', "deadline: "),
    "a timeout that is wrong": ("250ms", "250", "upstreams.catalog.timeout: '250' is no duration"),
    "no instances": ('["http://127.0.0.1:7001"]', "[]", "upstreams.catalog: give either"),
    "instances that are no list": ('["http://127.0.0.1:7001"]', '"http://x"', "upstreams.catalog.instances: "),
    "an instance without a scheme": ("http://127", "127", "upstreams.catalog.instances.0.url: '127.0.0.1:7001' is no"),
    "an instance of another scheme": ("http://127", "ftp://127", "upstreams.catalog.instances.0.url: "),
    "an instance with a path": (":7001", ":7001/v1", "upstreams.catalog.instances.0.url: "),
    "an instance with a query": (":7001", ":7001?x", "upstreams.catalog.instances.0.url: "),
    "an instance with a fragment": (":7001", ":7001#x", "upstreams.catalog.instances.0.url: "),
    "an instance with a user": ("http://127", "http://me@127", "upstreams.catalog.instances.0.url: "),
    "an instance with a password": ("http://127", "http://:pw@127", "upstreams.catalog.instances.0.url: "),
    "an instance with an empty user": ("http://127", "http://@127", "upstreams.catalog.instances.0.url: "),
    "an instance with a port that is none": (":7001", ":99999", "upstreams.catalog.instances.0.url: "),
    "an instance with port 0": (":7001", ":0", "upstreams.catalog.instances.0.url: "),
    "an instance without a host": ("127.0.0.1:7001", ":7001", "upstreams.catalog.instances.0.url: "),
    "an instance at half a host": ("127.0.0.1:7001", "[::1:7001", "upstreams.catalog.instances.0.url: "),
    "an instance at no host": ("127.0.0.1:7001", "a b:7001", "upstreams.catalog.instances.0.url: "),
    "an instance at two hosts": ("127.0.0.1:7001", "a,b:7001", "upstreams.catalog.instances.0.url: "),
    "an instance at no IPv6 address": ("127.0.0.1:7001", "[::g]:7001", "upstreams.catalog.instances.0.url: "),
    "an instance at no IPv4 address": ("127.0.0.1:7001", "999.0.0.1:7001", "upstreams.catalog.instances.0.url: "),
    "a socket at a relative path": ("http://127.0.0.1:7001", "unix:run/x", "upstreams.catalog.instances.0.url: 'unix"),
    "a socket on another machine": ("http://127.0.0.1:7001", "unix://host/x", "upstreams.catalog.instances.0.url: "),
    "a socket of no path": ("http://127.0.0.1:7001", "unix:", "upstreams.catalog.instances.0.url: "),
    "a socket of a path too long": ("http://127.0.0.1:7001", "unix:/" + "x" * 107, "upstreams.catalog.instances.0"),
    "a reply of no bytes": ('timeout = "250ms"', "max_reply = 0", "upstreams.catalog.max_reply: "),
    "no upstreams": (GOOD[GOOD.index("[upstreams") :], "", "upstreams: is missing"),
    "no hosts": ('deadline = "2s"', 'deadline = "2s"\nhosts = []', "hosts: "),
    "a host with its port": ('deadline = "2s"', 'deadline = "2s"\nhosts = ["a.test:80"]', "hosts.0: 'a.test:80' is no"),
    "a host with a scheme": ('deadline = "2s"', 'deadline = "2s"\nhosts = ["http://a.test"]', "hosts.0: "),
    "a host of nothing": ('deadline = "2s"', 'deadline = "2s"\nhosts = [""]', "hosts.0: "),
    "a bare IPv6 host": ('deadline = "2s"', 'deadline = "2s"\nhosts = ["::1"]', "hosts.0: "),
    "a region that is none": ("DE =", "Germany =", "regions.Germany"),
    "a currency that is none": ('"EUR"', '"€"', "regions.DE: "),
    "no regions": ('{ US = "USD", DE = "EUR" }', "{}", "regions: "),
    "a size that is less than nothing": ("body = 1000", "body = -1", "sizes.body: "),
    "a size with a unit": ("body = 1000", 'body = "1 MiB"', "sizes.body: "),
    "an unknown setting": ('deadline = "2s"', 'deadline = "2s"\ntimeout = "1s"', "timeout: there is no such setting"),
    "an unknown setting of an upstream": ('timeout = "250ms"', "retries = 3", "upstreams.catalog.retries: there is no"),
    "an unknown size": ("body = 1000", "bodies = 1", "sizes.bodies: there is no such setting"),
    "a setting of the reader, not of the gateway": ("name =", '_env_file = "x"\nname =', "_env_file: there is no such"),
    "the prefix of the environment": ("name =", '_env_prefix = "X_"\nname =', "_env_prefix: there is no such setting"),
    "no TOML": ("name =", "name", "settings.toml: "),
    "a key said twice": ("[sizes]", "[sizes]\nbody = 1\n", "settings.toml: "),
}  # fmt: skip


LISTED = 'instances = ["http://127.0.0.1:7001"]'
LOOKED_UP = GOOD.replace(LISTED, 'discover = "dns:http://catalog.test:7001"')

# each: what stands in place of "dns:http://catalog.test:7001", and what the message says of it
WRONG_LOOKUPS = {
    "nothing": ('""', "'' is nothing to look up; it begins with dns:, consul:, kubernetes:"),
    "no text": ("7", "7 is nothing to look up"),
    "an instance": ('"http://127.0.0.1:7001"', "'http://127.0.0.1:7001' is nothing to look up"),
    "another way to look up": ('"zookeeper:catalog"', "'zookeeper:catalog' is nothing to look up"),
    "no name": ('"dns:"', "'dns:' is no name; write it like \"dns:http://catalog.internal:7001\""),
    "a name without a scheme": ('"dns:catalog.test:7001"', "'dns:catalog.test:7001' is no name"),
    "a name with another scheme": ('"dns:ftp://catalog.test"', "'dns:ftp://catalog.test' is no name"),
    "an address": ('"dns:http://10.0.0.1:7001"', "'dns:http://10.0.0.1:7001' is no name"),
    "an IPv6 address": ('"dns:http://[::1]:7001"', "'dns:http://[::1]:7001' is no name"),
    "half an address": ('"dns:http://[::1"', "Invalid IPv6 URL"),
    "a name with an empty label": ('"dns:http://a..test"', "'dns:http://a..test' is no name"),
    "a name that is too long": ('"dns:http://' + "a." * 126 + 'test"', "is no name"),
    "a name that is not ASCII": ('"dns:http://b\u00fccher.test"', "is no name"),
    "a name with a blank": ('"dns: http://a.test"', "'dns: http://a.test' holds a blank"),
    "a name with a tab": (r'"dns:http://a\ttest"', r"'dns:http://a\ttest' holds a blank, or what cannot be printed"),
    "a name with a path": ('"dns:http://a.test/v1"', "'dns:http://a.test/v1' holds more than scheme, name and port"),
    "a name with a query": ('"dns:http://a.test?x"', "holds more than scheme, name and port"),
    "a name with a user": ('"dns:http://me@a.test"', "holds more than scheme, name and port"),
    "port 0": ('"dns:http://a.test:0"', "'dns:http://a.test:0' holds more"),
    "a port that is none": ('"dns:http://a.test:99999"', "Port out of range"),
    "a service with a port": ('"dns:http://_http._tcp.a.test:80"', "names a port, and SRV records bring their own"),
    "no service of Consul": ('"consul:"', "'consul:' names no service; write it like \"consul:catalog\""),
    "an option that is not there": ('"consul:catalog?tags=v2"', "tags: there is no such option, or it is empty"),
    "an option of nothing": ('"consul:catalog?tag="', "tag: there is no such option, or it is empty"),
    "an option said twice": ('"consul:catalog?scheme=http&scheme=https"', "scheme is given twice"),
    "a scheme that is none": ('"kubernetes:catalog?scheme=ftp"', "scheme is http or https"),
    "no service of Kubernetes": ('"kubernetes:Catalog"', "'kubernetes:Catalog' names no service"),
}  # fmt: skip


@pytest.mark.parametrize(("lookup", "message"), WRONG_LOOKUPS.values(), ids=WRONG_LOOKUPS)
def test_a_lookup_that_is_wrong_stops_the_start_with_its_key_and_the_reason(
    lookup: str, message: str, written: Written
) -> None:
    with pytest.raises(SettingsError) as refused:
        load(written(LOOKED_UP.replace('"dns:http://catalog.test:7001"', lookup)))
    (line,) = str(refused.value).splitlines()
    assert "settings.toml: upstreams.catalog.discover: " in line
    assert message in line


# each: what stands below the settings of an upstream that is looked up in the DNS, and what the message says of it
WRONG_DISCOVERY = {
    "who is not asked": ("[discovery.consul]", "discovery.consul: no upstream is looked up there"),
    "a name server without a port": ('dns.servers = ["127.0.0.1"]', "dns.servers.0: '127.0.0.1' is no address"),
    "a name server that is a name": ('dns.servers = ["ns.test:53"]', "dns.servers.0: 'ns.test:53' is a name"),
    "a name server at port 0": ('dns.servers = ["[::1]:0"]', "dns.servers.0: '[::1]:0' names no port"),
    "no name server": ("dns.servers = []", "discovery.dns.servers: "),
    "no time": ('dns.timeout = "0s"', "discovery.dns.timeout: "),
    "a time without a unit": ("dns.floor = 5", "discovery.dns.floor: give a duration with its unit"),
    "an unknown setting": ('dns.cache = "1m"', "discovery.dns.cache: there is no such setting"),
    "an unknown source": ('zookeeper.url = "http://a.test"', "discovery.zookeeper: there is no such setting"),
}


@pytest.mark.parametrize(("below", "message"), WRONG_DISCOVERY.values(), ids=WRONG_DISCOVERY)
def test_who_is_asked_is_somebody_and_is_needed(below: str, message: str, written: Written) -> None:
    with pytest.raises(SettingsError) as refused:
        load(written(LOOKED_UP + (below if below.startswith("[") else f"[discovery]\n{below}")))
    (line,) = str(refused.value).splitlines()
    assert message in line


def test_name_servers_for_a_gateway_that_looks_nothing_up_stop_the_start(written: Written) -> None:
    with pytest.raises(SettingsError, match=r"discovery\.dns: no upstream is looked up there"):
        load(written(GOOD + '[discovery.dns]\ntimeout = "1s"\n'))


def test_name_servers_are_read(written: Written) -> None:
    found = load(written(LOOKED_UP + '[discovery.dns]\nservers = ["127.0.0.1:53", "[::1]:8600"]\nfloor = "50ms"\n'))
    assert found.discovery.dns.servers == ["127.0.0.1:53", "[::1]:8600"]
    assert (found.discovery.dns.timeout, found.discovery.dns.floor) == (2.0, 0.05)
    assert str(found.upstreams["catalog"].discover) == "dns:http://catalog.test:7001"


def test_instances_that_are_listed_and_looked_up_stop_the_start(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = "upstreams.catalog: instances and discover are both given: take one out, or set instances to []"
    with pytest.raises(SettingsError, match=re.escape(both)):
        load(written(GOOD.replace(LISTED, f'{LISTED}\ndiscover = "dns:http://catalog.test"')))
    monkeypatch.setenv("BFF_WEB__UPSTREAMS__CATALOG__DISCOVER", "dns:http://catalog.test")
    with pytest.raises(SettingsError, match=re.escape(both)):
        load(written(GOOD))
    monkeypatch.setenv("BFF_WEB__UPSTREAMS__CATALOG__INSTANCES", "[]")
    assert str(load(written(GOOD)).upstreams["catalog"].discover) == "dns:http://catalog.test"


def test_tls_for_a_lookup_without_tls_stops_the_start(written: Written) -> None:
    tls = '[upstreams.catalog.tls]\nserver_name = "catalog.test"'
    with pytest.raises(SettingsError, match=r"upstreams\.catalog\.tls: no instance of this upstream"):
        load(written(LOOKED_UP + tls))
    assert load(written(LOOKED_UP.replace("http://catalog", "https://catalog") + tls)).upstreams["catalog"].tls


HTTPS = GOOD.replace("http://127.0.0.1:7001", "https://catalog.test")


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A folder with ``ca``, ``cert`` and ``key``, some that are wrong, and some that are none."""
    files_of(tmp_path, "other.test")
    (tmp_path / "key.pem").rename(tmp_path / "other-key.pem")
    files_of(tmp_path, "gateway.test")
    (tmp_path / "none.pem").write_text("-----BEGIN NOTHING-----")
    (tmp_path / "both.pem").write_bytes((tmp_path / "cert.pem").read_bytes() + (tmp_path / "key.pem").read_bytes())
    (tmp_path / "locked.pem").write_bytes(
        load_pem_private_key((tmp_path / "key.pem").read_bytes(), None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        )
    )
    return tmp_path


# each: a table for TLS, in which @ is the folder of certificates, and what the message says of it
WRONG_TLS = {
    "a file that is not there": ('ca = "@/missing.pem"', "tls.ca: @/missing.pem: No such file"),
    "a file that is a folder": ('ca = "@"', "tls.ca: @: Is a directory"),
    "a relative path": ('ca = "ca.pem"', "tls.ca: 'ca.pem' is relative"),
    "no certificate": ('ca = "@/none.pem"', "tls.ca: @/none.pem holds no certificate"),
    "a key where a certificate should be": ('cert = "@/key.pem"', "tls.cert: @/key.pem holds no certificate"),
    "a certificate where a key should be": ('cert = "@/cert.pem"\nkey = "@/ca.pem"', "tls.key: @/ca.pem holds no key"),
    "a certificate without its key": ('cert = "@/cert.pem"', "tls.key: @/cert.pem holds no key"),
    "a key without its certificate": ('key = "@/key.pem"', "tls.key: there is no cert"),
    "a key that is not there": ('cert = "@/cert.pem"\nkey = "@/x"', "tls.key: @/x: No such file"),
    "another's key": ('cert = "@/cert.pem"\nkey = "@/other-key.pem"', "tls.key: @/other-key.pem is not that of @/cert"),
    "a key under a password": ('cert = "@/cert.pem"\nkey = "@/locked.pem"', "tls.key: @/locked.pem: a key under a"),
    "a server name that is an address": ('server_name = "10.0.0.1"', "tls.server_name: '10.0.0.1' is no host name"),
    "a switch that is not there": ("verify = false", "tls.verify: there is no such setting"),
}  # fmt: skip


@pytest.mark.parametrize(("table", "message"), WRONG_TLS.values(), ids=WRONG_TLS)
def test_a_certificate_or_key_that_is_wrong_stops_the_start_with_one_line(
    table: str, message: str, written: Written, certificates: Path
) -> None:
    folder = str(certificates)
    with pytest.raises(SettingsError) as refused:
        load(written(HTTPS + "[upstreams.catalog.tls]\n" + table.replace("@", folder)))
    (line,) = str(refused.value).splitlines()
    assert "upstreams.catalog." + message.replace("@", folder) in line


def test_tls_for_an_upstream_without_tls_stops_the_start(written: Written) -> None:
    with pytest.raises(SettingsError, match=r"upstreams\.catalog\.tls: no instance of this upstream"):
        load(written(GOOD + '[upstreams.catalog.tls]\nserver_name = "catalog.test"'))


def test_good_certificates_and_keys_are_read(
    written: Written, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BFF_WEB__UPSTREAMS__CATALOG__TLS__SERVER_NAME", "catalog.internal")
    for table in ('cert = "@/cert.pem"\nkey = "@/key.pem"', 'cert = "@/both.pem"', 'ca = "@/ca.pem"'):
        found = load(written(HTTPS + "[upstreams.catalog.tls]\n" + table.replace("@", str(certificates))))
        terms = Terms.of(found.upstreams["catalog"])
        assert (terms.server_name, terms.accept_encoding) == ("catalog.internal", b"identity")


@pytest.mark.parametrize(("good", "wrong", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_stops_the_start_with_its_key_and_the_reason(
    good: str, wrong: str, message: str, written: Written
) -> None:
    assert good in GOOD
    with pytest.raises(SettingsError) as refused:
        load(written(GOOD.replace(good, wrong, 1)))
    (line,) = str(refused.value).splitlines()
    assert message in line
    assert "settings.toml" in line
    assert "Value error" not in line


def test_everything_that_is_wrong_is_said_at_once_one_line_each(written: Written) -> None:
    with pytest.raises(SettingsError) as refused:
        load(written(GOOD.replace('"2s"', '"soon"').replace("body = 1000", "body = -1").replace('name = "web"', "")))
    assert [line.split(": ")[1] for line in str(refused.value).splitlines()] == ["name", "deadline", "sizes.body"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for file, content in (
        (tmp_path / "missing.toml", None),
        (tmp_path, None),
        (tmp_path / "latin.toml", b"a = '\xe9'"),
    ):
        if content:
            file.write_bytes(content)
        with pytest.raises(SettingsError, match=str(file)):
            load(file)


# the environment


ENVIRONMENT = {
    "BFF_WEB__DEADLINE": ("3s", lambda settings: settings.deadline == 3.0),
    "bff_web__deadline": ("3s", lambda settings: settings.deadline == 3.0),
    "BFF_WEB__UPSTREAMS__CATALOG__TIMEOUT": ("1s", lambda settings: settings.upstreams["catalog"].timeout == 1.0),
    "BFF_WEB__UPSTREAMS__CATALOG__INSTANCES": (
        '["http://a.test", "http://b.test"]',
        lambda settings: (
            [str(place) for place in settings.upstreams["catalog"].instances] == ["http://a.test", "http://b.test"]
        ),
    ),
    "BFF_WEB__UPSTREAMS__STOCK__DISCOVER": (
        "dns:http://stock.test",
        lambda settings: str(settings.upstreams["stock"].discover) == "dns:http://stock.test",
    ),
    "BFF_WEB__SIZES__HEADERS": ("7", lambda settings: (settings.sizes.headers, settings.sizes.body) == (7, 1000)),
    "BFF_WEB__HOSTS": ('["a.test"]', lambda settings: settings.hosts == ["a.test"]),
    "BFF_OTHER__DEADLINE": ("3s", lambda settings: settings.deadline == 2.0),
    "BFF_WEB_TWO__DEADLINE": ("3s", lambda settings: settings.deadline == 2.0),
    "DEADLINE": ("3s", lambda settings: settings.deadline == 2.0),
}


@pytest.mark.parametrize(("name", "value", "holds"), [(name, *rest) for name, rest in ENVIRONMENT.items()])
def test_the_environment_is_over_the_file_and_leaves_the_rest(
    name: str,
    value: str,
    holds: Callable[[GatewaySettings], bool],
    written: Written,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(name, value)
    settings = load(written(GOOD))
    assert holds(settings)
    assert settings.upstreams["catalog"].instances


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("BFF_WEB__DEADLIN", "3s", "environment BFF_WEB__DEADLIN: there is no setting 'deadlin'"),
        ("BFF_WEB__", "3s", "environment BFF_WEB__: there is no setting ''"),
        ("BFF_WEB__DEADLINE", "3", "deadline: '3' is no duration"),
        ("BFF_WEB__DEADLINE", "", "deadline: '' is no duration"),
        ("BFF_WEB__DEADLINE__SECONDS", "3", "deadline"),
        ("BFF_WEB__NAME", "other", "name: "),
        ("BFF_WEB__HOSTS", "a.test", "BFF_WEB__"),
        ("BFF_WEB__UPSTREAMS", "{", "BFF_WEB__"),
        ("BFF_WEB__SIZES__BODIES", "1", "sizes.bodies: there is no such setting"),
        ("BFF_WEB__UPSTREAMS__CATALOG__TIMEOT", "1s", "upstreams.catalog.timeot: there is no such setting"),
        ("BFF_WEB__UPSTREAMS__STOCK__TIMEOUT", "1s", "upstreams.stock: give either instances, or discover"),
    ],
)
def test_an_environment_that_would_not_work_does_not_look_as_if_it_did(
    name: str, value: str, message: str, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load(written(GOOD))
    assert message in str(refused.value)


def test_settings_in_a_dotenv_file_where_the_gateway_was_started_are_not_read(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("BFF_WEB__DEADLINE=3s\n")
    monkeypatch.chdir(tmp_path)
    assert load(written(GOOD)).deadline == 2.0


# durations


DURATION = TypeAdapter(Duration)
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@given(st.integers(1, 10**9), st.integers(0, 999), st.sampled_from(sorted(UNITS)), st.sampled_from(["", " "]))
def test_a_duration_is_a_number_and_a_unit(whole: int, fraction: int, unit: str, between: str) -> None:
    seconds = DURATION.validate_python(f"{whole}.{fraction:03}{between}{unit}")
    assert seconds == pytest.approx((whole + fraction / 1000) * UNITS[unit])


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.none() | st.binary() | st.from_regex(r"\d+[a-z]*"))
def test_anything_else_is_no_duration(value: object) -> None:
    try:
        seconds = DURATION.validate_python(value)
    except ValidationError:
        return
    assert isinstance(value, str)
    assert value.strip().endswith(tuple(UNITS))
    assert 0 < seconds < float("inf")


# what the gateway makes of them


@dataclass(frozen=True)
class OneClient:
    catalog: Catalog


def test_a_service_that_is_called_and_not_set_stops_the_start(written: Written) -> None:
    clients = make_dataclass("clients", [("catalog", Catalog), ("pricing", Pricing)])
    with pytest.raises(SettingsError, match=r"web: upstreams\.pricing: is missing"):
        gateway(load(written(GOOD)), clients, [], wire=SimulatedInternet())


def test_a_service_that_is_set_and_not_called_stops_the_start(written: Written) -> None:
    text = GOOD + '[upstreams.stock]\ninstances = ["http://127.0.0.1:7009"]\n'
    with pytest.raises(SettingsError, match=r"web: upstreams\.stock: this gateway calls no such service"):
        gateway(load(written(text)), OneClient, [], wire=SimulatedInternet())


def test_settings_that_fit_start_a_gateway(written: Written) -> None:
    app = gateway(load(written(GOOD)), OneClient, [], wire=SimulatedInternet())
    assert isinstance(app.state.store, OneClient)
