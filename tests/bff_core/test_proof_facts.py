"""What operators are told of the ways to prove who one is."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bff_core.auth.api_keys import ApiKeys
from bff_core.auth.contract import Presented
from bff_core.auth.key_format import new_key
from bff_core.cli.facts import GatewayFacts
from bff_core.errors import IdentityUnavailable
from bff_core.key_settings import KeySettings
from bff_core.testing import SimulatedInternet
from tests.bff_core.kept_keys import PEPPER, HeldStore
from tests.bff_core.small_gateway import browser, small_gateway
from tests.bff_core.test_bearer_gateway import BEARER, fresh, router
from tests.bff_core.token_issuer import ISSUER, TokenIssuer

URL = "postgresql+asyncpg://me:hush@db.internal/keys"


def app(issuer: TokenIssuer, **changed: Any) -> Any:
    return small_gateway(router, SimulatedInternet({"id.test": issuer}), bearer=BEARER, **changed)


async def facts(made: Any) -> Any:
    async with browser(made.state.admin) as operator:
        return (await operator.get("/healthz")).json()


async def test_of_tokens_whose_they_are_how_many_keys_there_are_and_how_the_issuer_is() -> None:
    issuer = TokenIssuer()
    made = app(issuer)
    before = (await facts(made))["proofs"]["bearer"]
    assert (before["issuer"], before["known"], before["keys"]["number"]) == (ISSUER, 0, None)
    async with browser(made) as client:
        await client.get("/who", headers=fresh())
    after = (await facts(made))["proofs"]["bearer"]
    assert (after["known"], after["keys"]["number"], after["keys"]["failing_since"]) == (1, len(issuer.signers), None)
    assert datetime.fromisoformat(after["keys"]["fetched_at"]).tzinfo
    assert after["upstream"]["circuit"] == "closed"


async def test_an_issuer_that_fails_is_seen_with_since_when_and_what_was_known_stays() -> None:
    issuer = TokenIssuer()
    made = app(issuer)
    async with browser(made) as client:
        await client.get("/who", headers=fresh())
        issuer.status = 500
        await asyncio.sleep(2 * 3600)
        await client.get("/who", headers=fresh(jti="another"))
        await asyncio.sleep(10)
        found = (await facts(made))["proofs"]["bearer"]["keys"]
    assert found["number"] == len(issuer.signers)
    assert datetime.fromisoformat(found["failing_since"])


def keys(store: HeldStore) -> ApiKeys:
    return ApiKeys("small", KeySettings(pepper=PEPPER, database=URL), store)


async def test_of_keys_where_they_are_kept_and_how_many_are_known() -> None:
    store = HeldStore()
    proof = keys(store)
    await proof.principal(Presented(api_key=store.make().text))
    found = proof.facts()
    assert (found["environment"], found["kept_in"]) == ("live", "PostgreSQL, keys at db.internal")
    assert (found["known"], found["unknown"], found["failing_since"], found["failure"]) == (1, 0, None, None)
    assert datetime.fromisoformat(found["last_answer_at"])
    assert "hush" not in str(found)
    await proof.close()


async def test_a_database_that_fails_is_seen_from_the_start_until_it_answers() -> None:
    store = HeldStore()
    store.down = True
    proof = keys(store)
    await proof.start()
    since = proof.facts()["failing_since"]
    assert (proof.facts()["failure"], bool(since)) == ("it is down", True)
    with pytest.raises(IdentityUnavailable):
        await proof.principal(Presented(api_key=new_key("live").text))
    assert proof.facts()["failing_since"] == since
    store.down = False
    await asyncio.sleep(1)
    await proof.principal(Presented(api_key=store.make().text))
    assert (proof.facts()["failing_since"], proof.facts()["failure"]) == (None, None)
    await proof.close()


async def test_the_picture_of_upstreams_reads_what_it_did() -> None:
    found = await facts(app(TokenIssuer(), keys={"pepper": PEPPER}))
    assert set(found["proofs"]) == {"bearer", "keys"}
    assert set(GatewayFacts.model_validate(found).upstreams) == {"catalog"}


async def test_no_proofs_are_no_facts(tmp_path: Path) -> None:
    assert (await facts(small_gateway(router)))["proofs"] == {}
