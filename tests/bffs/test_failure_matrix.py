"""Every subset of the store's seven services failing, in three ways, behind each gateway: the contract, as data.

The contract is the table of which part is required where. Time is virtual: a service that answers an hour late costs
the test nothing, and the gateway its deadline. A tenth of it is held over real sockets too, where time is not.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, combinations, product
from typing import Any

import pytest
from fastapi import FastAPI

from bff_core.upstream_settings import RetrySettings
from bffs.mobile.app import create as mobile
from bffs.public_api.app import create as public_api
from bffs.web.app import create as web
from tests.listening import Listening, listening
from tests.store import SERVICES, Store, as_alice, babble, client, delay, refuse, settings


@dataclass(frozen=True)
class Contract:
    """Per gateway: where the page is, what cannot be lost, and which services each part that can be lost needs."""

    create: Callable[..., FastAPI]
    path: str
    required: dict[str, str]
    optional: dict[str, set[str]]


CONTRACTS = {
    "web": Contract(
        web,
        "/api/products/pojos-in-action",
        {"product": "catalog"},
        {
            "price": {"pricing"},
            "availability": {"inventory"},
            "rating": {"reviews"},
            "reviews": {"reviews"},
            "purchases": {"orders"},
            "related": {"recommendations", "catalog"},
            "sellers": {"sellers"},
        },
    ),
    "mobile": Contract(
        mobile,
        "/v1/products/pojos-in-action",
        {"product": "catalog"},
        {
            "price": {"pricing"},
            "availability": {"inventory"},
            "rating": {"reviews"},
            "reviews": {"reviews"},
            "related": {"recommendations", "catalog"},
            "purchases": {"orders"},
        },
    ),
    "public_api": Contract(
        public_api,
        "/v1/products/pojos-in-action",
        {"product": "catalog", "price": "pricing"},
        {"availability": {"inventory"}, "rating": {"reviews"}, "sellers": {"sellers"}},
    ),
}

SUBSETS = list(chain.from_iterable(combinations(SERVICES, size) for size in range(len(SERVICES) + 1)))


@dataclass(frozen=True)
class Failing:
    """A way to fail: how it is brought about, what a page without a required part answers, and the reason it gives."""

    bring_about: Callable
    status: int
    kind: str
    reason: str


WAYS = {
    "refusal": Failing(refuse, 502, "/problems/bad-upstream", "unavailable"),
    "delay": Failing(delay, 504, "/problems/timeout", "timeout"),
    "nonsense": Failing(babble, 502, "/problems/bad-upstream", "invalid"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CONTRACTS)
async def test_whatever_fails_the_page_keeps_its_contract(name: str, way: str, store: Store) -> None:
    contract, failing = CONTRACTS[name], WAYS[way]
    for broken in SUBSETS:
        app = contract.create(settings(name), store.internet(broken, failing.bring_about))
        await assert_kept(contract, failing, broken, app)


TENTH = list(product(CONTRACTS, WAYS, SUBSETS))[::10]
LATE, GIVEN_UP = 0.4, 0.04  # seconds after which a service answers that is late, and those after which it is given up
PATIENCE = {"timeout": 5.0}  # with who is well, because a machine that has much to do may stop for half a second


@pytest.mark.real_time
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CONTRACTS)
async def test_whatever_fails_over_real_sockets_the_page_keeps_its_contract(name: str, way: str, store: Store) -> None:
    contract, failing = CONTRACTS[name], WAYS[way]
    bring_about, hurry = failing.bring_about, {}
    if way == "delay":
        bring_about, hurry = partial(delay, seconds=LATE), {"timeout": GIVEN_UP}
    async with listening(store.hosts()) as well, listening(store.hosts(SERVICES, bring_about)) as ill:
        for broken in [broken for *case, broken in TENTH if case == [name, way]]:
            found = settings(name, over_sockets(well, ill, broken, hurry))
            app = contract.create(found.model_copy(update={"deadline": 20.0}))
            async with app.router.lifespan_context(app):
                await assert_kept(contract, failing, broken, app)


def over_sockets(
    well: Listening, ill: Listening, broken: Sequence[str], hurry: dict[str, Any]
) -> Callable[[str], dict[str, Any]]:
    """How services are called of which these are ``broken``, and only those in a ``hurry``."""

    def called(service: str) -> dict[str, Any]:
        if service in broken:
            return {"instances": [ill[f"{service}.test"]], **PATIENCE, **hurry}
        return {"instances": [well[f"{service}.test"]], **PATIENCE}

    return called


async def assert_kept(contract: Contract, failing: Failing, broken: Sequence[str], app: FastAPI) -> None:
    """What the page answers while these services fail in this way."""
    alice = as_alice(app)
    started = asyncio.get_running_loop().time()
    async with client(app) as someone:
        reply = await someone.get(contract.path, headers=alice)
    took = asyncio.get_running_loop().time() - started

    assert took < app.state.settings.deadline, broken
    if set(contract.required.values()) & set(broken):
        assert reply.status_code == failing.status, broken
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json()["type"] == failing.kind
        assert "page-parts" not in reply.headers
    else:
        missing = {part for part, needs in contract.optional.items() if needs & set(broken)}
        assert reply.status_code == 200, broken
        assert_complete_but_for(missing, reply.json(), contract)
        assert parts_of(reply.headers["page-parts"]) == {
            part: failing.reason if part in missing else None for part in {**contract.required, **contract.optional}
        }


def assert_complete_but_for(missing: set[str], body: dict, contract: Contract) -> None:
    """Members of missing parts are there, and null; all others are not null."""
    for part in contract.optional:
        assert (body[part] is None) == (part in missing), part
    if "completeness" in body:
        assert {entry["part"] for entry in body["completeness"] if entry["missing"]} == missing


def parts_of(header: str) -> dict[str, str | None]:
    """``Page-Parts`` as a mapping from part to the reason why it is missing."""
    found: dict[str, str | None] = {}
    for item in header.split(", "):
        name, _, parameter = item.partition(";")
        found[name] = parameter.removeprefix("missing=") or None
    return found


async def test_two_calls_of_a_service_that_hangs_are_waited_for_once_each_and_at_the_same_time(store: Store) -> None:
    found = settings("mobile")
    once = {name: one.model_copy(update={"retry": RetrySettings(attempts=0)}) for name, one in found.upstreams.items()}
    app = mobile(
        found.model_copy(update={"upstreams": once}), store.internet(["pricing", "inventory", "reviews"], delay)
    )
    started = asyncio.get_running_loop().time()
    async with client(app) as someone:
        await someone.get("/v1/products/pojos-in-action")

    assert asyncio.get_running_loop().time() - started == pytest.approx(0.5)
