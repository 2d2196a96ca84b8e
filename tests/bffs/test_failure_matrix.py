"""Every subset of the store's seven services failing, in three ways, behind each gateway: the contract, as data.

The contract is the table of which part is required where. Time is virtual: a service that answers an hour late costs
the test nothing, and the gateway its deadline.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, combinations

import pytest
from fastapi import FastAPI

from bff_core.auth import Visitor, visitor
from bff_core.upstream_settings import RetrySettings
from bffs.mobile.app import create as mobile
from bffs.public_api.app import create as public_api
from bffs.web.app import create as web
from tests.store import SERVICES, Store, babble, client, delay, refuse, settings


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


async def _alice() -> Visitor:
    return Visitor("US", "USD", customer_id="alice")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CONTRACTS)
async def test_whatever_fails_the_page_keeps_its_contract(name: str, way: str, store: Store) -> None:
    contract, failing = CONTRACTS[name], WAYS[way]
    for broken in SUBSETS:
        app = contract.create(settings(name), store.internet(broken, failing.bring_about))
        app.dependency_overrides[visitor] = _alice
        started = asyncio.get_running_loop().time()
        async with client(app) as someone:
            reply = await someone.get(contract.path)
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
