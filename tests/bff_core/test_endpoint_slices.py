"""Of the EndpointSlices of a Service, each instance that may be called, once."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff_core.discovery import Member, SourceFailed
from bff_core.discovery.endpoint_slices import Slices, members
from bff_core.discovery.json_lines import Lines
from bff_core.discovery.kubernetes_api import Gone, _event
from bff_core.discovery.kubernetes_shapes import EndpointSlice, EndpointSliceList, Status
from bff_core.lookups import KubernetesLookup
from tests.bff_core.kubernetes_server import endpoint, endpoint_slice, slice_list

SHAPES = Path(__file__).parent / "shapes"
PORTS = [{"name": "http", "port": 7001}, {"name": "admin", "port": 9001, "protocol": "TCP"}]


def shape(name: str) -> bytes:
    return (SHAPES / f"kubernetes_{name}.json").read_bytes()


def versioned(*slices: dict[str, Any]) -> list[EndpointSlice]:
    """As they are read, the later ones changed later."""
    for number, one in enumerate(slices):
        one["metadata"]["resourceVersion"] = str(999 + number)  # of which one is a digit longer
    text = json.dumps(slice_list(*slices, version=2000))
    return list(Slices("2000", EndpointSliceList.model_validate_json(text).items or ()))


def found(*slices: dict[str, Any], lookup: str = "kubernetes:catalog") -> list[Member]:
    return list(members("catalog", KubernetesLookup.parse(lookup), versioned(*slices)))


def urls(*slices: dict[str, Any], lookup: str = "kubernetes:catalog") -> list[str]:
    return [str(member.instance) for member in found(*slices, lookup=lookup)]


# the shapes that an API server really uses, with values of ours


def test_what_a_cluster_says_is_read() -> None:
    listed = EndpointSliceList.model_validate_json(shape("list"))
    slices = Slices(listed.metadata.resource_version, listed.items or ())
    lookup = KubernetesLookup.parse("kubernetes:store/catalog:http")
    known = members("catalog", lookup, slices)
    assert [(str(member.instance), member.zone, member.weight) for member in known] == [
        ("http://10.42.1.17:7001", "eu-west-1a", 1.0),
        ("http://10.42.2.31:7001", "eu-west-1b", 1.0),
    ]
    seen = []
    for event in json.loads(shape("events"))[:-1]:
        changed = slices.take(_event(json.dumps(event).encode()))
        seen.append((changed, slices.version, len(members("catalog", lookup, slices))))
    assert seen == [(True, "48211020", 3), (False, "48211302", 3), (True, "48211377", 3), (True, "48211409", 0)]


def test_why_a_cluster_refuses_is_read() -> None:
    said = Status.model_validate_json(shape("forbidden"))
    assert (said.code, said.message[:40]) == (403, "endpointslices.discovery.k8s.io is forbi")


# readiness


def test_an_endpoint_that_is_not_ready_is_left_out_and_one_that_does_not_say_counts() -> None:
    one = endpoint_slice("a", endpoint("10.0.0.1"), endpoint("10.0.0.2", ready=False), endpoint("10.0.0.3", ready=None))
    assert urls(one) == ["http://10.0.0.1:8080", "http://10.0.0.3:8080"]


def test_an_endpoint_without_conditions_counts() -> None:
    assert urls(endpoint_slice("a", {"addresses": ["10.0.0.1"]})) == ["http://10.0.0.1:8080"]


GOING = {"ready": False, "serving": True, "terminating": True}


def test_an_endpoint_that_terminates_is_left_out_while_another_is_ready() -> None:
    assert urls(endpoint_slice("a", endpoint("10.0.0.1", **GOING), endpoint("10.0.0.2"))) == ["http://10.0.0.2:8080"]


def test_where_none_is_ready_those_that_still_serve_while_they_terminate_are_used() -> None:
    gone = endpoint("10.0.0.3", ready=False, serving=False, terminating=True)
    failing = endpoint("10.0.0.4", ready=False)
    slices = endpoint_slice("a", endpoint("10.0.0.1", **GOING), gone), endpoint_slice("b", failing)
    assert urls(*slices) == ["http://10.0.0.1:8080"]


def test_an_endpoint_that_is_called_ready_while_it_terminates_counts_because_its_service_publishes_those() -> None:
    one = endpoint_slice("a", endpoint("10.0.0.1", ready=True, terminating=True), endpoint("10.0.0.2"))
    assert urls(one) == ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]


def test_a_service_without_endpoints_is_an_empty_set() -> None:
    nothing: dict[str, Any] = endpoint_slice("a", ports=None)
    assert nothing["endpoints"] is None
    assert urls(nothing) == urls() == []
    assert urls(nothing, lookup="kubernetes:catalog:http") == []


# ports


def test_the_only_port_needs_no_name() -> None:
    dns = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "", "port": 9153, "protocol": "TCP"}]
    assert urls(endpoint_slice("a", endpoint("10.0.0.1"), ports=dns)) == ["http://10.0.0.1:9153"]


@pytest.mark.parametrize(("port", "number"), [("http", 7001), ("7001", 7001), ("admin", 9001), ("9001", 9001)])
def test_one_of_several_ports_is_named_by_name_or_number(port: str, number: int) -> None:
    one = endpoint_slice("a", endpoint("10.0.0.1"), ports=PORTS)
    assert urls(one, lookup=f"kubernetes:catalog:{port}") == [f"http://10.0.0.1:{number}"]


def test_several_ports_of_which_none_is_named_are_told() -> None:
    with pytest.raises(SourceFailed, match=r"kubernetes:catalog: .*several ports.*: admin \(9001\), http \(7001\)"):
        found(endpoint_slice("a", endpoint("10.0.0.1"), ports=PORTS))


def test_several_ports_are_several_where_no_slice_has_both() -> None:
    slices = [endpoint_slice(p["name"], endpoint("10.0.0.1"), ports=[p]) for p in PORTS]
    with pytest.raises(SourceFailed, match="several ports"):
        found(*slices)


@pytest.mark.parametrize("lookup", ["kubernetes:catalog:grpc", "kubernetes:catalog:80", "kubernetes:catalog:dns"])
def test_a_port_that_is_not_there_is_told_with_those_that_are(lookup: str) -> None:
    dns = {"name": "dns", "port": 53, "protocol": "UDP"}
    with pytest.raises(SourceFailed, match=r"no such port: admin \(9001\), http \(7001\)"):
        found(endpoint_slice("a", endpoint("10.0.0.1"), ports=[*PORTS, dns]), lookup=lookup)


@pytest.mark.parametrize("ports", [None, [], [{"name": "http", "port": None}], [{"port": 53, "protocol": "UDP"}]])
def test_endpoints_without_a_tcp_port_are_no_instances_but_a_failure(ports: Any) -> None:
    with pytest.raises(SourceFailed, match="none that is TCP"):
        found(endpoint_slice("a", endpoint("10.0.0.1"), ports=ports))


def test_a_port_of_one_name_may_have_another_number_in_other_pods() -> None:
    old = endpoint_slice("a", endpoint("10.0.0.1"), ports=[{"name": "http", "port": 7001}])
    new = endpoint_slice("b", endpoint("10.0.0.2"), ports=[{"name": "http", "port": 8001}])
    assert urls(old, new) == ["http://10.0.0.1:7001", "http://10.0.0.2:8001"]


def test_endpoints_that_lack_the_port_are_left_out() -> None:
    slices = endpoint_slice("a", endpoint("10.0.0.1"), ports=PORTS), endpoint_slice("b", endpoint("10.0.0.2"))
    assert urls(*slices, lookup="kubernetes:catalog:admin") == ["http://10.0.0.1:9001"]


@pytest.mark.parametrize(
    ("asked", "protocol", "scheme"),
    [
        ("", None, "http"),
        ("", "https", "https"),
        ("", "kubernetes.io/h2c", "http"),
        ("?scheme=http", "https", "http"),
        ("?scheme=https", None, "https"),
    ],
)
def test_the_scheme_is_what_is_asked_for_or_else_what_the_port_is_said_to_speak(
    asked: str, protocol: str | None, scheme: str
) -> None:
    ports = [{"name": "web", "port": 8443, "appProtocol": protocol}]
    one = endpoint_slice("a", endpoint("10.0.0.1"), ports=ports)
    assert urls(one, lookup=f"kubernetes:catalog{asked}") == [f"{scheme}://10.0.0.1:8443"]


# addresses


def test_the_zone_of_an_endpoint_is_that_of_its_instance() -> None:
    slices = endpoint_slice("a", endpoint("10.0.0.1", zone="eu-1a"), endpoint("10.0.0.2"))
    assert [(member.zone, member.weight) for member in found(slices)] == [("eu-1a", 1.0), ("", 1.0)]


def test_an_address_in_two_slices_is_one_instance_as_the_later_one_has_it() -> None:
    old = endpoint_slice("z", endpoint("10.0.0.1", zone="old"), endpoint("10.0.0.2", ready=False))
    new = endpoint_slice("a", endpoint("10.0.0.2", zone="new"), endpoint("10.0.0.1", zone="new"))
    assert [member.zone for member in found(old, new)] == ["new", "new"]
    assert [member.zone for member in found(new, old)] == ["old"]


def test_an_address_with_two_ports_of_one_name_is_two_instances() -> None:
    slices = [
        endpoint_slice(str(port), endpoint("10.0.0.1"), ports=[{"name": "http", "port": port}]) for port in (1, 2)
    ]
    assert urls(*slices) == ["http://10.0.0.1:1", "http://10.0.0.1:2"]


def test_any_address_of_an_endpoint_will_do_and_one_is_used() -> None:
    one = endpoint_slice("a", endpoint("10.0.0.1") | {"addresses": ["10.0.0.1", "10.0.0.9"]})
    assert urls(one) == ["http://10.0.0.1:8080"]


def test_a_pod_with_an_address_of_each_family_is_called_at_its_ipv4_address_alone() -> None:
    four = endpoint_slice("a", endpoint("10.0.0.1", uid="1"), endpoint("10.0.0.2", uid="2"))
    six = endpoint_slice("b", endpoint("fd00::1", uid="1"), endpoint("fd00::3", uid="3"), endpoint("fd00::4"))
    assert urls(four, six) == urls(six, four)
    assert urls(four, six) == [f"http://{host}:8080" for host in ("10.0.0.1", "10.0.0.2", "[fd00::3]", "[fd00::4]")]


def test_a_service_of_ipv6_alone_is_called_there() -> None:
    assert urls(endpoint_slice("b", endpoint("FD00:0::1", uid="1"))) == ["http://[fd00::1]:8080"]


def test_a_slice_of_host_names_is_a_set_of_host_names() -> None:
    names = endpoint_slice("a", endpoint("Shop.Example."), endpoint("other.example"), addressType="FQDN")
    assert urls(names) == ["http://other.example:8080", "http://shop.example:8080"]


# what does not fit


@pytest.mark.parametrize("address", ["", " ", "10.0.0", "10.0.0.256", "fe80::1%eth0", "a b", "a\r\nb", "-a.b", "a..b"])
def test_what_is_no_address_does_not_fit(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        found(endpoint_slice("a", endpoint(address)))


WRONG = {
    "a slice without a name": {"metadata": {"resourceVersion": "1"}},
    "a slice without a version": {"metadata": {"name": "a"}},
    "endpoints that are none": {"metadata": {"name": "a", "resourceVersion": "1"}, "endpoints": {}},
    "no address": {"metadata": {"name": "a", "resourceVersion": "1"}, "endpoints": [{"addresses": []}]},
    "a port beyond all ports": {"metadata": {"name": "a", "resourceVersion": "1"}, "ports": [{"port": 65536}]},
    "a port in words": {"metadata": {"name": "a", "resourceVersion": "1"}, "ports": [{"port": "80"}]},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_an_event_that_does_not_fit_is_a_failure_of_the_source(wrong: dict[str, Any]) -> None:
    with pytest.raises(SourceFailed, match="no event"):
        _event(json.dumps({"type": "ADDED", "object": wrong}).encode())


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
metadata = st.fixed_dictionaries(
    {}, optional={"name": st.text() | json_values, "resourceVersion": st.text() | json_values}
)
endpoints = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "addresses": st.lists(st.sampled_from(["10.0.0.1", "fd00::1", "a.example"]) | st.text()) | json_values,
            "conditions": json_values,
            "zone": json_values,
            "targetRef": json_values,
        },
    )
)
ports = st.lists(
    st.fixed_dictionaries({}, optional={"name": json_values, "port": st.integers(0, 70000), "protocol": json_values})
)
objects = st.fixed_dictionaries(
    {},
    optional={
        "metadata": metadata,
        "endpoints": endpoints | json_values,
        "ports": ports | json_values,
        "code": json_values,
        "message": json_values,
    },
)
kinds = st.sampled_from(["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"])
events = st.fixed_dictionaries({"type": kinds | json_values, "object": objects | json_values})


@given(st.lists(events | json_values | st.binary(), max_size=5))
def test_any_line_as_an_event_is_a_set_or_a_failure_of_the_source(said: list[Any]) -> None:
    slices = Slices("1", ())
    lookup = KubernetesLookup.parse("kubernetes:catalog")
    for one in said:
        with suppress(SourceFailed, Gone):
            slices.take(_event(one if isinstance(one, bytes) else json.dumps(one).encode()))
            assert isinstance(members("catalog", lookup, slices), list)


# lines


@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=10), st.data())
def test_lines_are_whole_however_they_are_cut(whole: list[bytes], data: st.DataObject) -> None:
    text = b"".join(line + b"\n" for line in whole) + b"the rest"
    lines, got, start = Lines(20), [], 0
    while start < len(text):
        end = data.draw(st.integers(start + 1, len(text)))
        got += lines.of(text[start:end])
        start = end
    assert got == whole


@pytest.mark.parametrize("pieces", [[b"a" * 21], [b"a" * 20, b"a"], [b"\n" + b"a" * 20, b"a\n"], [b"a" * 21 + b"\n"]])
def test_a_line_that_is_too_long_is_a_failure_before_it_is_whole(pieces: list[bytes]) -> None:
    lines = Lines(20)
    with pytest.raises(SourceFailed, match="more than 20 bytes"):
        for piece in pieces:
            list(lines.of(piece))
