"""Several instances of a service: how many, where, and what each has for itself."""

import json
import shlex
import tomllib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
import yaml

from bff_core.settings import load
from demo.app import create_service
from demo.instances import MOST, Instance, instances, port
from demo.services import SERVICES
from tests.store import told

NAMES = list(SERVICES)
ROOT = Path(__file__).parent.parent.parent
GATEWAYS = ("web", "mobile", "public_api")


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ([], ["catalog", "reviews"]),
        (["2"], ["catalog", "catalog-2", "reviews", "reviews-2"]),
        (["catalog=3"], ["catalog", "catalog-2", "catalog-3", "reviews"]),
        (["catalog=2", "reviews=2"], ["catalog", "catalog-2", "reviews", "reviews-2"]),
        (["reviews=1", "2"], ["catalog", "catalog-2", "reviews"]),
        (["catalog=3", "catalog=1"], ["catalog", "reviews"]),
    ],
)
def test_a_number_is_of_each_service_and_one_with_a_name_of_that_service_alone(wanted, names):
    assert [str(one) for one in instances(["catalog", "reviews"], wanted)] == names


def test_further_instances_are_each_a_hundred_ports_above():
    found = instances(NAMES, ["catalog=3", "sellers=2"])
    ports = {str(one): port(one, NAMES, None) for one in found if one.service in {"catalog", "sellers"}}
    assert ports == {"catalog": 7001, "catalog-2": 7101, "catalog-3": 7201, "sellers": 7007, "sellers-2": 7107}


@pytest.mark.parametrize("first", [None, 1, 20_000])
@pytest.mark.parametrize("services", [NAMES, ["reviews", "catalog"]])
def test_no_two_instances_have_the_same_port_however_many_there_are(first, services):
    found = instances(services, [str(MOST)])
    assert len({port(one, services, first) for one in found}) == len(found) == MOST * len(services)


def test_without_a_port_of_its_own_choice_the_store_stays_clear_of_the_gateways():
    assert max(port(one, NAMES, None) for one in instances(NAMES, [str(MOST)])) < 8000


def test_a_port_chosen_is_that_of_the_first_service_named():
    services = ["reviews", "catalog"]
    ports = [port(one, services, 5000) for one in instances(services, ["2"])]
    assert ports == [5000, 5100, 5001, 5101]


def test_free_ports_are_free_for_further_instances_too():
    assert port(Instance("catalog", 3), ["catalog"], 0) == 0


async def test_two_instances_told_to_fail_do_not_fail_in_lockstep(store):
    runs = {}
    for number in (1, 2):
        app = create_service("reviews", store, number=number)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://reviews") as client:
            await client.put("/_fault", json={"error_rate": 0.5})
            runs[number] = [(await client.get("/health")).status_code for _ in range(100)]
    assert runs[1] != runs[2]
    assert all(35 <= run.count(500) <= 65 for run in runs.values())


def _started(words: Sequence[str], host: str) -> dict[str, set[str]]:
    """Where the instances of each service are that these words start."""
    wanted = [number for option, number in pairwise(words) if option == "--instances"]
    found: dict[str, set[str]] = {}
    for one in instances(NAMES, wanted):
        found.setdefault(one.service, set()).add(f"http://{host}:{port(one, NAMES, None)}")
    return found


def test_the_gateways_call_every_instance_that_make_run_starts():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    started = _started(shlex.split(*project["tool"]["bff"]["dev"]), "127.0.0.1")
    assert {name for name, places in started.items() if len(places) > 1} == {"catalog", "reviews"}
    for gateway in GATEWAYS:
        for name, upstream in load(ROOT / "bffs" / gateway / "settings.toml", told).upstreams.items():
            assert {str(place) for place in upstream.instances} == started[name], (gateway, name)


def test_the_gateways_call_every_instance_that_docker_compose_starts():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    started = _started(services["store"]["command"], "store")
    for gateway in GATEWAYS:
        env = services[gateway.replace("_", "-")]["environment"]
        for name in load(ROOT / "bffs" / gateway / "settings.toml", told).upstreams:
            called = json.loads(env[f"BFF_{gateway.upper()}__UPSTREAMS__{name.upper()}__INSTANCES"])
            assert set(called) == started[name], (gateway, name)
