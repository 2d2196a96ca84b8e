"""What is written of refusals, however many there are."""

import asyncio
import logging

import pytest

from bff_core.auth.audit import Refusals
from tests.bff_core.small_gateway import browser
from tests.bff_core.test_bearer_gateway import fresh, made
from tests.bff_core.token_issuer import TokenIssuer


@pytest.fixture
def audit(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "bff.audit")
    return caplog


def said(audit: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in audit.records if record.name == "bff.audit"]


async def test_of_a_storm_ten_lines_are_kept_and_how_many_were_left_out(audit: pytest.LogCaptureFixture) -> None:
    refusals = Refusals("key")
    for _ in range(1000):
        refusals.note("there is no such key", key_id="abc")
    await asyncio.sleep(9.9)
    refusals.note("there is no such key")
    assert said(audit) == ["key refused: there is no such key"] * 10

    await asyncio.sleep(0.2)
    assert said(audit)[10:] == ["key refused 991 more times: there is no such key"]
    assert (audit.records[-1].why, audit.records[-1].times) == ("there is no such key", 991)
    assert not hasattr(audit.records[-1], "key_id")

    refusals.note("there is no such key", key_id="abc")
    assert said(audit)[11:] == ["key refused: there is no such key"]


async def test_what_is_not_many_is_written_whole_and_nothing_follows(audit: pytest.LogCaptureFixture) -> None:
    refusals = Refusals("key")
    for number in range(10):
        refusals.note("it is revoked", key_id=str(number), owner="acme")
    await asyncio.sleep(30)
    assert [(record.key_id, record.owner) for record in audit.records] == [(str(one), "acme") for one in range(10)]


async def test_one_reason_does_not_hide_another(audit: pytest.LogCaptureFixture) -> None:
    refusals = Refusals("key")
    for _ in range(1000):
        refusals.note("there is no such key")
    refusals.note("it is revoked", key_id="abc", owner="acme")
    assert said(audit)[-1] == "key refused: it is revoked"


async def test_reasons_that_are_made_up_are_bounded_too(audit: pytest.LogCaptureFixture) -> None:
    refusals = Refusals("key")
    for number in range(10_000):
        refusals.note(f"it is for {number}, and here is live")
    await asyncio.sleep(11)
    lines = said(audit)
    assert len(lines) == 30 + 10 + 1
    assert lines[-1] == f"key refused {10_000 - 40} more times: for other reasons"


async def test_who_ends_says_what_was_left_out_so_far(audit: pytest.LogCaptureFixture) -> None:
    refusals = Refusals("token")
    for _ in range(12):
        refusals.note("it is stale")
    refusals.close()
    assert said(audit)[-1] == "token refused 2 more times: it is stale"
    await asyncio.sleep(20)
    assert len(said(audit)) == 11


async def test_how_many_were_left_out_is_said_of_no_request(audit: pytest.LogCaptureFixture) -> None:
    app = made(TokenIssuer())
    async with app.router.lifespan_context(app), browser(app) as client:
        for _ in range(12):
            await client.get("/who", headers={"authorization": "Bearer nonsense"})
        await asyncio.sleep(11)
    *ten, many = audit.records
    assert all(one.request_id for one in ten)
    assert many.times == 2
    assert not hasattr(many, "request_id")


async def test_a_token_that_is_refused_is_a_line_with_the_reason_and_without_the_token(
    audit: pytest.LogCaptureFixture,
) -> None:
    shown = fresh(exp=1)
    async with browser(made(TokenIssuer())) as client:
        reply = await client.get("/who", headers=shown)
    (record,) = audit.records
    assert record.getMessage().startswith("token refused: ")
    assert (record.event, record.request_id) == ("refused", reply.headers["x-request-id"])
    assert shown["authorization"].partition(" ")[2][:20] not in str(vars(record))


async def test_a_storm_of_bad_tokens_is_not_a_storm_of_lines(audit: pytest.LogCaptureFixture) -> None:
    app = made(TokenIssuer())
    async with app.router.lifespan_context(app), browser(app) as client:
        for _ in range(50):
            await client.get("/who", headers={"authorization": "Bearer nonsense"})
    lines = said(audit)
    assert len(lines) == 11
    assert "40 more times" in lines[-1]


async def test_a_storm_of_keys_in_urls_is_none_either(audit: pytest.LogCaptureFixture) -> None:
    async with browser(made(TokenIssuer())) as client:
        for _ in range(50):
            assert (await client.get("/who?api_key=x")).status_code == 400
        await asyncio.sleep(11)
    assert len(said(audit)) == 11
