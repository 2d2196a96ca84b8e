"""What the identity provider remembers: never for too long, never too much, and never in plain."""

import pytest

from demo.identity.attempts import Attempts
from demo.identity.shelf import Shelf
from tests.identity import ACME, Identity


def test_a_thing_is_kept_for_its_time():
    shelf = Shelf(10)
    shelf.put("secret", "thing", 0)
    assert shelf.get("secret", 9.9) == "thing"
    assert shelf.get("secret", 10) is None
    assert shelf.get("other", 0) is None


def test_what_expired_goes_when_something_comes():
    shelf = Shelf(10)
    for number in range(100):
        shelf.put(str(number), number, number)
    assert len(shelf) == 10
    assert list(shelf.all(105)) == [96, 97, 98, 99]
    assert len(shelf) == 4


def test_the_oldest_makes_room_and_what_is_put_again_is_new():
    shelf = Shelf(10, most=2)
    for secret in ("a", "b", "a", "c"):
        shelf.put(secret, secret, 0)
    assert list(shelf.all(0)) == ["a", "c"]


def test_what_is_dropped_or_removed_is_gone():
    shelf, thing = Shelf(10), object()
    for secret in ("a", "b", "c"):
        shelf.put(secret, thing if secret != "c" else object(), 0)
    shelf.drop("nothing")
    shelf.remove(thing)
    assert len(shelf) == 1
    shelf.drop("c")
    assert len(shelf) == 0


def test_secrets_are_not_kept():
    shelf = Shelf(10)
    shelf.put("secret", "thing", 0)
    assert "secret" not in repr(vars(shelf))


def test_five_wrong_passwords_in_any_minute_are_all():
    attempts = Attempts()
    for moment in (0, 20, 40, 50, 59):
        assert attempts.wait("alice", moment) == 0
        attempts.failed("alice", moment)
    assert attempts.wait("alice", 59) == 1
    assert attempts.wait("bob", 59) == 0
    assert attempts.wait("alice", 60) == 0
    attempts.failed("alice", 60)
    assert attempts.wait("alice", 60) == 20


async def test_a_million_tokens_would_not_fill_it(keys):
    identity = Identity(keys, access_lifetime=5)
    provider = identity.app.state.provider
    for _ in range(50):
        await identity.token(ACME, grant_type="client_credentials")
        identity.now += 1
    assert len(provider.access_tokens) == 5


@pytest.mark.parametrize("shelf", ["codes", "refresh_tokens", "access_tokens"])
async def test_nothing_that_opens_anything_can_be_read_from_memory(identity, shelf):
    tokens = await identity.log_in()
    kept = repr(vars(getattr(identity.app.state.provider, shelf)))
    assert "alice" in kept
    for name in ("access_token", "refresh_token"):
        assert tokens[name] not in kept
