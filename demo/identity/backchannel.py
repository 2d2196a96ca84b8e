"""Telling clients that a session is over (OIDC Back-Channel Logout 1.0)."""

import asyncio
import logging

import httpx

from demo.identity.clients import Client
from demo.identity.provider import Provider
from demo.identity.sessions import Session
from demo.identity.tokens import logout_token

PATIENCE = 2.0  # seconds, for all of them together, because a person waits for it
TOLD = "told"

logger = logging.getLogger("demo.identity")


async def end(provider: Provider, session: Session) -> dict[str, str]:
    """End a session, and return what came of telling each of its clients, who know of it when this returns.

    What goes wrong with that is logged, and keeps nobody logged in here.
    """
    provider.sessions.end(session)
    clients = [client for name in sorted(session.clients) if (client := provider.clients[name]).backchannel_logout_uri]
    told = await asyncio.gather(*(_tell(provider, client, session) for client in clients))
    return {client.id: outcome for client, outcome in zip(clients, told, strict=True)}


async def _tell(provider: Provider, client: Client, session: Session) -> str:
    outcome = await _sent(provider, client, logout_token(provider, client, session))
    if outcome != TOLD:
        logger.warning("identity: %s was not told of a logout: %s", client.id, outcome)
    return outcome


async def _sent(provider: Provider, client: Client, token: str) -> str:
    uri = str(client.backchannel_logout_uri)
    try:
        async with asyncio.timeout(PATIENCE), httpx.AsyncClient(transport=provider.transport, trust_env=False) as http:
            status = (await http.post(uri, data={"logout_token": token})).status_code
    except (httpx.HTTPError, OSError, TimeoutError) as error:
        return type(error).__name__
    return TOLD if status in {200, 204} else f"it answered {status}"  # section 2.8: 204 is a courtesy to some
