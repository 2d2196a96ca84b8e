"""What is written in ``discover`` is a lookup or is refused, and a lookup is shown as it was written."""

from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bff_core.lookups import ConsulLookup, DnsLookup, KubernetesLookup, Lookup
from bff_core.upstream_settings import UpstreamSettings

KINDS: list[type[DnsLookup] | type[ConsulLookup] | type[KubernetesLookup]] = [DnsLookup, ConsulLookup, KubernetesLookup]

SEEDS = ["http://", "https://", "_http._tcp.", "catalog", ".internal", ":7001", "store/", "?tag=v2", "&scheme=https"]
PARTS = st.sampled_from(
    [*SEEDS, "[::1]", "%41", "#", "@", "?", "&", "=", "/", ":", ".", "-", "_", " ", "\t", "\0", "\u00e4"]
)
WRITTEN = st.builds(
    lambda kind, rest: f"{kind}:{rest}",
    st.sampled_from([kind.kind for kind in KINDS]),
    st.lists(PARTS | st.text(max_size=3), max_size=6).map("".join) | st.text(),
)


def looked_up(text: object) -> Lookup | None:
    """As a gateway reads it; ``None`` where it is refused."""
    try:
        return UpstreamSettings(discover=text).discover
    except ValidationError as refused:
        (wrong,) = refused.errors()
        assert wrong["type"] == "value_error"
        assert wrong["loc"] == ("discover",)
        return None


@settings(deadline=None)
@given(WRITTEN | st.text())
@example("dns:http://[")
@example("dns:http://a.test:http")
@example("dns:http://\u2100.test")
@example("dns:http://a.test\n:80")
@example("consul:a?tag=%ff")
@example("kubernetes:a:b:c")
@example("consul:a?datacenter=b&datacenter=c")
def test_any_text_is_a_lookup_or_refused_and_is_shown_as_it_was_written(text: str) -> None:
    if (lookup := looked_up(text)) is not None:
        assert str(lookup) == text
        assert text.startswith(f"{lookup.kind}:")
        assert lookup.scheme in {"http", "https"} or (lookup.scheme is None and lookup.kind == "kubernetes")
        assert text.isprintable()
        assert type(lookup).parse(text) == lookup


@settings(deadline=None)
@given(st.sampled_from(KINDS), WRITTEN | st.text())
def test_each_kind_refuses_with_nothing_but_a_value_error(kind: type[DnsLookup], text: str) -> None:
    with suppress(ValueError):
        assert str(kind.parse(text)) == text


@settings(deadline=None)
@given(
    st.integers()
    | st.floats()
    | st.booleans()
    | st.binary()
    | st.lists(st.text())
    | st.dictionaries(st.text(), st.text())
)
def test_what_is_no_text_is_no_lookup(value: object) -> None:
    assert looked_up(value) is None


LABEL = st.text("abc019-", max_size=61).map(lambda middle: f"a{middle}z")
NAME = st.lists(LABEL, min_size=1, max_size=3).map(".".join)


@settings(deadline=None)
@given(st.sampled_from(["http", "https"]), NAME, st.none() | st.integers(1, 65535), st.sampled_from(["", "."]))
def test_a_name_is_asked_for_addresses_at_a_port(scheme: str, name: str, port: int | None, dot: str) -> None:
    written = f"dns:{scheme}://{name}{dot}" + (f":{port}" if port else "")
    usual = {"http": 80, "https": 443}[scheme]
    assert DnsLookup.parse(written) == DnsLookup(text=written, scheme=scheme, name=name + dot, port=port or usual)


@settings(deadline=None)
@given(NAME, NAME)
def test_a_name_that_begins_with_an_underscore_is_asked_for_services(service: str, name: str) -> None:
    lookup = DnsLookup.parse(f"dns:http://_{service}.{name}")
    assert (lookup.name, lookup.port) == (f"_{service}.{name}", None)


@pytest.mark.parametrize(
    ("text", "lookup"),
    [
        ("dns:http://A.TEST/", DnsLookup(text="dns:http://A.TEST/", scheme="http", name="a.test", port=80)),
        (
            "consul:catalog?tag=v2&tag=eu%20west&datacenter=dc2&scheme=https",
            ConsulLookup(
                text="consul:catalog?tag=v2&tag=eu%20west&datacenter=dc2&scheme=https",
                scheme="https", service="catalog", tags=("v2", "eu west"), datacenter="dc2",
            ),
        ),
        (
            "kubernetes:store/catalog:http?scheme=https",
            KubernetesLookup(
                text="kubernetes:store/catalog:http?scheme=https",
                scheme="https", service="catalog", namespace="store", port="http",
            ),
        ),
        ("kubernetes:catalog", KubernetesLookup(text="kubernetes:catalog", scheme=None, service="catalog")),
    ],
)  # fmt: skip
def test_what_is_written_is_what_is_looked_up(text: str, lookup: Lookup) -> None:
    assert looked_up(text) == lookup
