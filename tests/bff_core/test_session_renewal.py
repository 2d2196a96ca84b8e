"""How long a session lasts, and how it is renewed: once, by one, for all who wait."""

import asyncio
from base64 import b64encode

import pytest

from bff_core.auth.memory_sessions import MemorySessions
from bff_core.auth.sealed import Sealed
from bff_core.auth.sessions import Sessions
from bff_core.errors import IdentityUnavailable
from bff_core.session_settings import SessionSettings
from tests.bff_core.played_provider import ISSUER, PlayedProvider

KEY = b64encode(b"k" * 32).decode()
HOUR = 3600.0


class Desk:
    """Sessions of one process, whose clock a test moves; and those of other processes beside it."""

    def __init__(self, store=None, **settings) -> None:
        self.settings = SessionSettings(
            origin="https://shop.test",
            issuer=ISSUER,
            client_id="web",
            client_secret="s",
            keys=KEY,
            scopes=("openid", "orders:read"),
            **settings,
        )
        self.now = 1_800_000_000.0
        self.store = store or MemorySessions()
        self.provider = PlayedProvider()
        self.sessions = self.process()

    def process(self) -> Sessions:
        sealed = Sealed(self.settings.sealing_keys, "session")
        return Sessions(self.settings, self.store, self.provider, sealed, lambda: self.now)

    async def log_in(self) -> str:
        return (await self.sessions.begin(self.provider.granted(), nonce="n", instead_of=None)).id

    async def found(self, session_id: str) -> str | None:
        session = await self.sessions.find(session_id)
        return None if session is None else session.access_token


@pytest.fixture
def desk():
    return Desk()


async def later(desk, seconds):
    """Both clocks move: that of the session, and that of the loop by which stores forget."""
    desk.now += seconds
    await asyncio.sleep(seconds)


async def test_what_has_not_expired_is_not_renewed(desk):
    session_id = await desk.log_in()
    await later(desk, 299)
    assert await desk.found(session_id) == "access-1"
    assert desk.provider.refreshed == 0


async def test_fifty_requests_at_once_renew_it_once(desk):
    session_id = await desk.log_in()
    await later(desk, 301)
    found = await asyncio.gather(*(desk.found(session_id) for _ in range(50)))
    assert found == ["access-2"] * 50
    assert desk.provider.refreshed == 1


async def test_fifty_requests_at_two_processes_renew_it_once(desk):
    session_id = await desk.log_in()
    other = desk.process()
    await later(desk, 301)
    found = await asyncio.gather(*(one.find(session_id) for _ in range(25) for one in (desk.sessions, other)))
    assert [one.access_token for one in found] == ["access-2"] * 50
    assert desk.provider.refreshed == 1


async def test_each_refresh_token_is_shown_once(desk):
    session_id = await desk.log_in()
    for number in range(2, 6):
        await later(desk, 301)
        assert await desk.found(session_id) == f"access-{number}"


async def test_a_request_that_leaves_does_not_stop_a_renewal(desk):
    session_id = await desk.log_in()
    await later(desk, 301)
    first = asyncio.create_task(desk.found(session_id))
    await asyncio.sleep(0.01)
    first.cancel()
    assert await desk.found(session_id) == "access-2"
    assert desk.provider.refreshed == 1


async def test_what_the_provider_renews_no_longer_has_ended(desk):
    session_id = await desk.log_in()
    await later(desk, 301)
    desk.provider.refuses = "invalid_grant"
    assert await desk.found(session_id) is None
    desk.provider.refuses = None
    assert await desk.found(session_id) is None
    assert desk.provider.refreshed == 1


@pytest.mark.parametrize("refuses", ["invalid_client", "unauthorized_client", "temporarily_unavailable"])
async def test_what_is_wrong_with_us_ends_nobodys_session(refuses, desk):
    session_id = await desk.log_in()
    await later(desk, 301)
    desk.provider.refuses = refuses
    with pytest.raises(IdentityUnavailable):
        await desk.found(session_id)
    desk.provider.refuses = None
    assert await desk.found(session_id) == "access-2"


async def test_while_the_provider_is_down_nobody_knows_and_nothing_is_lost(desk):
    session_id = await desk.log_in()
    await later(desk, 301)
    desk.provider.down = True
    with pytest.raises(IdentityUnavailable):
        await desk.found(session_id)
    desk.provider.down = False
    assert await desk.found(session_id) == "access-2"


async def test_a_renewal_never_gives_more_than_the_login(desk):
    session_id = await desk.log_in()
    desk.provider.scopes = frozenset({"openid", "orders:read", "admin"})
    await later(desk, 301)
    session = await desk.sessions.find(session_id)
    assert session.scopes == {"openid", "orders:read"}


async def test_a_renewal_may_give_less(desk):
    session_id = await desk.log_in()
    desk.provider.scopes = frozenset({"openid"})
    await later(desk, 301)
    assert (await desk.sessions.find(session_id)).scopes == {"openid"}
    desk.provider.scopes = frozenset({"openid", "orders:read"})
    await later(desk, 301)
    assert (await desk.sessions.find(session_id)).scopes == {"openid"}


async def test_a_renewal_for_somebody_else_ends_the_session(desk):
    session_id = await desk.log_in()
    desk.provider.subject = "bob"
    await later(desk, 301)
    assert await desk.found(session_id) is None


async def test_what_ends_while_it_is_renewed_does_not_come_back(desk):
    session_id = await desk.log_in()
    await later(desk, 301)
    ending = []
    desk.provider.meanwhile = lambda: ending.append(asyncio.create_task(desk.sessions.end(session_id, "logged out")))
    renewing = asyncio.create_task(desk.found(session_id))
    await asyncio.sleep(0.04)
    await desk.sessions.end(session_id, "logged out")
    assert await renewing is None
    assert await desk.found(session_id) is None
    await asyncio.gather(*ending)
    await asyncio.sleep(1)
    assert "refresh-2" in desk.provider.revoked


async def test_who_does_nothing_for_half_an_hour_is_logged_out(desk):
    session_id = await desk.log_in()
    await later(desk, 1799)
    assert await desk.found(session_id) is not None
    await later(desk, 1799)
    assert await desk.found(session_id) is not None
    await later(desk, 1801)
    assert await desk.found(session_id) is None


async def test_after_twelve_hours_everybody_is(desk):
    session_id = await desk.log_in()
    for _ in range(28):
        await later(desk, 1500)
        assert await desk.found(session_id) is not None
    await later(desk, 1201)
    assert await desk.found(session_id) is None


async def test_no_session_outlives_its_refresh_token(desk):
    desk.provider.refresh_expires_in, desk.provider.expires_in = 600.0, 1000.0
    session_id = await desk.log_in()
    await later(desk, 599)
    assert await desk.found(session_id) is not None
    await later(desk, 2)
    assert await desk.found(session_id) is None


async def test_a_refresh_token_that_goes_on_ends_when_it_was_said_to(desk):
    desk.provider.refresh_expires_in = 600.0
    session_id = await desk.log_in()
    desk.provider.refresh = silent(desk.provider)
    await later(desk, 301)
    assert (await desk.sessions.find(session_id)).ends == desk.now + 299


def silent(provider):
    """It says neither another refresh token nor how long that lasts."""

    async def refresh(refresh_token):
        return provider.granted()._replace(refresh_token=None, refresh_expires_in=None)

    return refresh


async def test_a_renewal_that_another_has_finished_meanwhile_ends_nothing(desk):
    session_id = await desk.log_in()
    other, refresh = desk.process(), desk.provider.refresh
    await later(desk, 301)

    async def paused(refresh_token):
        await asyncio.sleep(16)  # longer than a lock is held
        return await refresh(refresh_token)

    desk.provider.refresh = paused
    late = asyncio.create_task(desk.found(session_id))
    await asyncio.sleep(15.5)
    desk.provider.refresh = refresh
    assert (await other.find(session_id)).access_token == "access-2"
    assert await late == "access-2"


async def test_without_a_refresh_token_a_session_lasts_by_itself(desk):
    granted = desk.provider.granted()._replace(refresh_token=None)
    session_id = (await desk.sessions.begin(granted, nonce="n", instead_of=None)).id
    for _ in range(20):
        await later(desk, 1500)
        assert await desk.found(session_id) == granted.access_token
    assert desk.provider.refreshed == 0


async def test_an_id_of_any_other_shape_is_looked_for_nowhere(desk):
    class Nothing:
        """A store that nobody may ask."""

    desk.store = Nothing()
    sessions = desk.process()
    for session_id in ("", "x", "ü" * 43, "x" * 44, "../" * 14 + "x"):
        assert await sessions.find(session_id) is None


async def test_keys_are_replaced_one_after_the_other(desk):
    session_id = await desk.log_in()
    new = b64encode(b"n" * 32).decode()
    for keys, is_known in ((f"{new},{KEY}", True), (new, False)):
        desk.settings = desk.settings.model_copy(update={"keys": type(desk.settings.keys)(keys)})
        desk.sessions = desk.process()
        assert (await desk.found(session_id) is not None) is is_known
