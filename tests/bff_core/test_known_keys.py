"""What is known of keys holds as long as it is fresh, whatever becomes of the database."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from secrets import token_bytes
from typing import Any

import pytest

from bff_core.auth.api_keys import ApiKeys
from bff_core.auth.contract import Presented
from bff_core.auth.key_format import ApiKey, new_key
from bff_core.auth.key_refusals import KeyRefused
from bff_core.auth.key_uses import KeyUses
from bff_core.auth.known_keys import KnownKeys
from bff_core.auth.peppers import Peppers
from bff_core.context import RequestContext, enter, leave
from bff_core.errors import IdentityUnavailable, Unauthenticated
from bff_core.key_settings import KeySettings
from bff_core.principal import Principal
from tests.bff_core.kept_keys import PEPPER, PEPPERS, HeldStore

ACME = Principal("shop", "acme", frozenset({"products:read"}), "acme", "gold")


def now() -> float:
    return asyncio.get_running_loop().time()


def known_keys(store: HeldStore, peppers: Peppers = PEPPERS, **changed: Any) -> KnownKeys:
    """Keys expire by the virtual time too."""
    how = {"issuer": "shop", "environment": "live", "fresh": 10.0, "wall": now, **changed}
    return KnownKeys(store, KeyUses(store, now), peppers, **how)


@asynccontextmanager
async def proof(store: HeldStore) -> AsyncIterator[ApiKeys]:
    keys = ApiKeys("shop", KeySettings(pepper=PEPPER), store)
    await keys.start()
    try:
        yield keys
    finally:
        await keys.close()


async def shown(keys: KnownKeys, key: ApiKey) -> Principal:
    """As a request shows it: what is known is believed, and otherwise asked for."""
    return keys.principal(key.text.encode()) or await keys.asked(key, key.text.encode())


async def is_refused(keys: KnownKeys, key: ApiKey, why: str) -> bool:
    with pytest.raises(KeyRefused) as refused:
        await shown(keys, key)
    return str(refused.value) == why


async def test_an_owner_is_the_principal_of_its_key_and_its_client() -> None:
    store = HeldStore()
    assert await shown(known_keys(store), store.make()) == ACME


async def test_a_key_that_is_known_waits_for_nobody() -> None:
    store = HeldStore()
    keys, key = known_keys(store), store.make()
    await shown(keys, key)
    assert keys.principal(key.text.encode()) == ACME
    assert len(store.questions) == 1


@pytest.mark.parametrize("busy", [True, False])
async def test_a_revoked_key_is_refused_within_ten_seconds(busy: bool) -> None:
    store = HeldStore()
    gateways, key = [known_keys(store), known_keys(store)], store.make()
    for keys in gateways:
        await shown(keys, key)
    await asyncio.sleep(4.9)  # in virtual time
    store.revoke(key)
    revoked = now()
    for _ in range(99 if busy else 0):
        await asyncio.sleep(0.1)
        for keys in gateways:
            keys.principal(key.text.encode())
    await asyncio.sleep(revoked + 10 - now())
    for keys in gateways:
        assert keys.principal(key.text.encode()) is None
        assert await is_refused(keys, key, "it is revoked")


async def test_a_busy_key_never_waits_for_a_slow_database() -> None:
    store = HeldStore()
    keys, key = known_keys(store), store.make()
    await shown(keys, key)
    store.takes = 1.5
    for _ in range(600):
        await asyncio.sleep(0.1)
        assert keys.principal(key.text.encode()) == ACME
    assert 8 <= len(store.questions) <= 14  # of a minute, one for each 5 s or so


async def test_an_answer_is_as_old_as_its_question() -> None:
    store = HeldStore()
    store.takes = 1.9
    keys, key = known_keys(store), store.make()
    asked = asyncio.create_task(shown(keys, key))
    await asyncio.sleep(0.1)
    store.revoke(key)  # the database has read it before
    assert await asked == ACME
    await asyncio.sleep(10 - now())
    assert keys.principal(key.text.encode()) is None


async def test_a_key_that_expires_is_refused_from_that_moment() -> None:
    store = HeldStore()
    keys, key = known_keys(store), store.make(expires_at=7)
    await shown(keys, key)
    await asyncio.sleep(6.99)
    assert keys.principal(key.text.encode()) == ACME
    await asyncio.sleep(0.02)
    assert await is_refused(keys, key, "it is expired")


async def test_known_keys_outlive_the_database_as_long_as_they_are_fresh_and_no_longer() -> None:
    store = HeldStore()
    keys, key, other = known_keys(store), store.make(), store.make()
    await shown(keys, key)
    store.down = True
    for _ in range(99):
        await asyncio.sleep(0.1)
        assert keys.principal(key.text.encode()) == ACME
    with pytest.raises(IdentityUnavailable):
        await keys.asked(other, b"other")
    await asyncio.sleep(0.2)
    for _ in range(100):
        with pytest.raises(IdentityUnavailable, match="it is down"):
            await shown(keys, key)
    assert len(store.questions) < 30  # it is left alone for a moment after each failure

    store.down = False
    await asyncio.sleep(0.5)
    assert await shown(keys, key) == ACME
    assert await shown(keys, other) == ACME


async def test_a_database_that_says_nothing_costs_a_request_two_seconds_at_most() -> None:
    store = HeldStore()
    store.takes = 60.0
    with pytest.raises(IdentityUnavailable):
        await known_keys(store).asked(store.make(), b"shown")
    assert now() == pytest.approx(2.0)


async def test_nobody_waits_longer_than_the_deadline_of_the_request() -> None:
    store = HeldStore()
    store.takes = 1.0
    token = enter(RequestContext(until=0.3))
    try:
        with pytest.raises(IdentityUnavailable):
            await known_keys(store).asked(store.make(), b"shown")
    finally:
        leave(token)
    assert now() == pytest.approx(0.3)


# storms


async def test_equal_requests_are_one_question() -> None:
    store = HeldStore()
    store.takes = 0.1
    keys, key = known_keys(store), store.make()
    assert await asyncio.gather(*(shown(keys, key) for _ in range(100))) == [ACME] * 100
    assert store.questions == [(key.id,)]


async def test_what_is_no_key_is_asked_for_once_while_that_is_fresh() -> None:
    store = HeldStore()
    keys, stranger = known_keys(store), new_key("live")
    for _ in range(50):
        assert await is_refused(keys, stranger, "there is no such key")
    assert len(store.questions) == 1
    await asyncio.sleep(10.1)
    assert await is_refused(keys, stranger, "there is no such key")
    assert len(store.questions) == 2


async def test_guesses_at_a_key_that_there_is_are_refused_without_a_question() -> None:
    store = HeldStore()
    keys, key = known_keys(store), store.make()
    await shown(keys, key)
    for _ in range(50):
        guess = new_key("live")
        wrong = ApiKey("live", key.id, guess.text.replace(guess.id, key.id))
        assert keys.principal(wrong.text.encode()) is None
        assert await is_refused(keys, wrong, "its secret is wrong")
    assert len(store.questions) == 1


async def test_a_storm_of_strangers_is_a_few_questions_and_costs_no_known_key_anything() -> None:
    store = HeldStore()
    keys, key = known_keys(store), store.make()
    await shown(keys, key)
    store.takes = 0.01
    storm = [asyncio.create_task(shown(keys, new_key("live"))) for _ in range(6000)]
    await asyncio.sleep(0.5)
    assert await shown(keys, key) == ACME
    outcomes = await asyncio.gather(*storm, return_exceptions=True)
    assert {type(one) for one in outcomes} == {KeyRefused, IdentityUnavailable}  # the last thousand found no room
    assert len(store.questions) <= 1 + 5000 / 200 + 2


async def test_a_storm_of_strangers_on_a_slow_database_does_not_keep_a_busy_key_from_being_fresh() -> None:
    store = HeldStore()
    keys, key = known_keys(store), store.make()
    await shown(keys, key)
    store.takes = 1.0  # for 200 of them, and there are 500 a second
    storm = []
    for _ in range(300):
        storm += [asyncio.create_task(keys.asked(new_key("live"), token_bytes(8))) for _ in range(50)]
        await asyncio.sleep(0.1)
        assert keys.principal(key.text.encode()) == ACME
    found = await asyncio.gather(*storm, return_exceptions=True)
    assert {type(one) for one in found} == {KeyRefused, IdentityUnavailable}


async def test_a_key_that_was_shown_before_does_not_stand_in_line_with_strangers() -> None:
    store = HeldStore()
    keys, key = known_keys(store), store.make()
    await shown(keys, key)
    store.takes = 0.5
    await asyncio.sleep(11)  # until it is not fresh any more
    storm = [asyncio.create_task(keys.asked(new_key("live"), token_bytes(8))) for _ in range(6000)]
    await asyncio.sleep(0.1)
    assert await shown(keys, key) == ACME
    await asyncio.gather(*storm, return_exceptions=True)


async def test_what_is_remembered_of_strangers_is_bounded() -> None:
    store = HeldStore()
    keys, first = known_keys(store, fresh=300.0), new_key("live")
    await is_refused(keys, first, "there is no such key")
    for _ in range(51):
        await asyncio.gather(*(shown(keys, new_key("live")) for _ in range(200)), return_exceptions=True)
    asked = len(store.questions)
    await is_refused(keys, first, "there is no such key")
    assert len(store.questions) == asked + 1


async def test_nonsense_and_keys_of_elsewhere_are_never_asked_for() -> None:
    store = HeldStore()
    other = store.make("test")
    async with proof(store) as keys:
        for text in (other.text, other.text[:-1], "bff_", "bff_live_x", "x", "", "bff_" * 10_000):
            assert keys.known(Presented(api_key=text).fingerprint) is None
            with pytest.raises(Unauthenticated):
                await keys.principal(Presented(api_key=text))
    assert store.questions == []


async def test_environments_that_are_made_up_hide_no_other_refusal(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bff.audit")
    store = HeldStore()
    async with proof(store) as keys:
        key = store.make()
        store.revoke(key)
        for shows in (*(new_key(f"e{number}") for number in range(100)), key):
            with pytest.raises(Unauthenticated):
                await keys.principal(Presented(api_key=shows.text))
    said = [record.getMessage() for record in caplog.records if record.name == "bff.audit"]
    assert said[0] == "key refused: it is for e0, and here is live"
    assert said[10:] == ["key refused: it is revoked", "key refused 90 more times: it is for another environment"]


# leaving


async def test_who_leaves_takes_the_answer_from_nobody() -> None:
    store = HeldStore()
    store.takes = 0.5
    keys, key = known_keys(store), store.make()
    first, second = (asyncio.create_task(shown(keys, key)) for _ in range(2))
    await asyncio.sleep(0.1)
    first.cancel()
    assert await second == ACME
    assert first.cancelled()
    assert store.questions == [(key.id,)]


async def test_closing_ends_a_question_and_lets_nobody_hang() -> None:
    store = HeldStore()
    async with proof(store) as keys:
        store.takes = 60.0
        waits = asyncio.create_task(keys.principal(Presented(api_key=store.make().text)))
        await asyncio.sleep(0.1)
    with pytest.raises(IdentityUnavailable):
        await waits
    assert now() == pytest.approx(0.1)
    assert store.closed


async def test_a_bug_in_asking_is_logged_and_hangs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    store = HeldStore()
    key = store.make()
    store.keys[key.id] = replace(store.keys[key.id], expires_at="soon")
    with pytest.raises(IdentityUnavailable, match="a bug"):
        await known_keys(store).asked(key, b"shown")
    assert "a bug in asking for keys" in caplog.text


# peppers


async def test_a_key_made_with_an_older_pepper_is_taken_until_that_is_taken_out() -> None:
    store = HeldStore()
    older, newer = b"o" * 32, b"n" * 32
    key = store.make(peppers=Peppers([older]))
    assert await shown(known_keys(store, Peppers([newer, older])), key) == ACME
    assert await is_refused(known_keys(store, Peppers([newer])), key, "the pepper that it was made with is not set")


# uses


async def test_uses_are_written_together_once_a_minute_and_at_the_end() -> None:
    store = HeldStore()
    uses = KeyUses(store, lambda: now() + 1000)
    await uses.start()
    for _ in range(1800):
        await asyncio.sleep(0.1)
        uses.note("a", now())
        uses.note("b", 1.0)
    written = len(store.uses)
    assert 2 <= written <= 4
    assert all(set(one) == {"a", "b"} for one in store.uses)
    uses.note("a", 170.5)
    await uses.close()
    assert store.uses[-1] == {"a": 1170, "b": 1001}
    assert len(store.uses) == written + 1


async def test_uses_that_cannot_be_written_are_written_later(caplog: pytest.LogCaptureFixture) -> None:
    store = HeldStore()
    store.down = True
    uses = KeyUses(store, now)
    await uses.start()
    uses.note("a", 1.0)
    uses.note("b", 1.0)
    await asyncio.sleep(130)
    store.down = False
    uses.note("b", 131.0)
    await uses.close()
    assert store.uses == [{"a": 1, "b": 131}]
    assert caplog.text.count("cannot be written") == 1


async def test_closing_in_the_middle_of_writing_loses_no_use() -> None:
    store = HeldStore()
    uses = KeyUses(store, now)
    await uses.start()
    uses.note("a", 1.0)
    store.takes = 100.0
    await asyncio.sleep(61)
    store.takes = 0.0
    await uses.close()
    assert store.uses == [{"a": 1}]


@pytest.mark.parametrize("shows", [lambda text: Presented(api_key=text), lambda text: Presented(f"bearer  {text}")])
async def test_a_use_is_noted_whichever_way_a_key_is_shown(shows: Callable[[str], Presented]) -> None:
    store = HeldStore()
    async with proof(store) as keys:
        key = store.make()
        assert (await keys.principal(shows(key.text))) == ACME
        assert keys.known(shows(key.text).fingerprint) == ACME
    assert [set(one) for one in store.uses] == [{key.id}]


async def test_a_key_that_is_refused_is_not_used() -> None:
    store = HeldStore()
    uses, key = KeyUses(store, now), store.make()
    keys = KnownKeys(store, uses, PEPPERS, issuer="shop", environment="live", fresh=10.0, wall=now)
    await shown(keys, key)
    store.revoke(key)
    await asyncio.sleep(6)
    assert await shown(keys, key) == ACME  # and it is asked for again
    await asyncio.sleep(1)
    assert await is_refused(keys, key, "it is revoked")
    await uses.close()
    assert store.uses == [{key.id: 6}]


async def test_a_key_is_known_as_it_was_written_of_late_and_forgotten_in_every_writing() -> None:
    store = HeldStore()
    keys, key = known_keys(store), store.make()
    for number in range(6):
        assert await keys.asked(key, b"%d" % number) == ACME
    assert [keys.principal(b"%d" % number) for number in range(6)] == [None, None, ACME, ACME, ACME, ACME]
    await asyncio.sleep(6)
    assert keys.principal(b"5") == ACME  # and it is asked for again
    await asyncio.sleep(1)
    assert [keys.principal(b"%d" % number) for number in range(6)] == [None, None, ACME, ACME, ACME, ACME]
    store.revoke(key)
    await asyncio.sleep(5)
    keys.principal(b"5")
    await asyncio.sleep(6)
    assert [keys.principal(b"%d" % number) for number in range(6)] == [None] * 6


async def test_a_token_that_is_no_key_is_left_to_other_proofs() -> None:
    store = HeldStore()
    async with proof(store) as keys:
        for authorization in ("Bearer eyJ0.e30.x", "Basic bff_", "Bearer", "bff_live"):
            presented = Presented(authorization=authorization)
            assert keys.known(presented.fingerprint) is None
            assert await keys.principal(presented) is None


async def test_a_gateway_starts_while_the_database_is_down(caplog: pytest.LogCaptureFixture) -> None:
    store = HeldStore()
    store.down = True
    async with proof(store) as keys:
        store.down = False
        assert await keys.principal(Presented(api_key=store.make().text)) == ACME
    assert "is not ready" in caplog.text
