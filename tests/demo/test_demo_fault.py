"""The fault switch."""

import asyncio

import httpx
import pytest

CLEAR = {"latency": 0, "error_rate": 0, "down": False, "malformed": False}


async def test_put_replaces_the_whole_fault_get_shows_it_and_delete_clears_it(visit):
    pricing = visit("pricing")
    assert (await pricing.get("/_fault")).json() == CLEAR
    await pricing.put("/_fault", json={"malformed": True, "error_rate": 0.5})
    await pricing.put("/_fault", json={"error_rate": 0.25})
    assert (await pricing.get("/_fault")).json() == CLEAR | {"error_rate": 0.25}
    assert (await pricing.delete("/_fault")).json() == CLEAR
    assert (await pricing.get("/_fault")).json() == CLEAR


@pytest.mark.parametrize(
    "body",
    ['{"colour": "red"}', '{"latency": -1}', '{"latency": 61}', '{"error_rate": 1.5}', "[]", "{", '{"latency": NaN}'],
)
async def test_a_fault_that_makes_no_sense_is_refused_and_changes_nothing(visit, body):
    pricing = visit("pricing")
    reply = await pricing.put("/_fault", content=body)
    assert reply.status_code == 422
    assert reply.json().keys() == {"error", "detail"}
    assert (await pricing.get("/_fault")).json() == CLEAR


async def test_a_service_that_is_down_resets_the_connection_and_still_answers_its_switch(visit):
    pricing = visit("pricing")
    await pricing.put("/_fault", json={"down": True})
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            await pricing.get("/health")
    await pricing.delete("/_fault")
    assert (await pricing.get("/health")).json() == {"status": "ok", "service": "pricing"}


async def test_errors_come_at_the_rate_asked_and_in_the_same_order_every_time(visit):
    pricing = visit("pricing")
    runs = []
    for _ in range(2):
        await pricing.put("/_fault", json={"error_rate": 0.3})
        runs.append([(await pricing.get("/health")).status_code for _ in range(200)])
    assert runs[0] == runs[1]
    assert 40 <= runs[0].count(500) <= 80


async def test_malformed_answers_take_turns(visit):
    pricing = visit("pricing")
    await pricing.put("/_fault", json={"malformed": True})
    replies = [await pricing.get("/health") for _ in range(8)]
    assert {reply.status_code for reply in replies} == {200}
    assert [reply.content for reply in replies[:4]] == [reply.content for reply in replies[4:]]
    truncated, wrong, html, empty = replies[:4]
    with pytest.raises(ValueError, match="Unterminated"):
        truncated.json()
    assert isinstance(wrong.json()["title"] if "title" in wrong.json() else wrong.json()["id"], list)
    assert html.headers["content-type"].startswith("text/html")
    assert empty.content == b""


async def test_latency_is_waited_for(visit):
    pricing, loop = visit("pricing"), asyncio.get_running_loop()
    await pricing.put("/_fault", json={"latency": 0.02})
    start = loop.time()
    assert (await pricing.get("/health")).status_code == 200
    assert loop.time() - start >= 0.02


async def test_the_switch_of_one_service_leaves_the_others_alone(visit):
    pricing, catalog = visit("pricing"), visit("catalog")
    await pricing.put("/_fault", json={"error_rate": 1})
    assert (await pricing.get("/health")).status_code == 500
    assert (await catalog.get("/health")).status_code == 200


async def test_another_method_on_the_switch_is_refused(visit):
    reply: httpx.Response = await visit("pricing").post("/_fault")
    assert reply.status_code == 405
