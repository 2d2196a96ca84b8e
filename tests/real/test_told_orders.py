"""Who asks, all the way: a client's token, the web gateway, and an orders service that believes nobody else."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bff_core.auth.relay_keys import RelayKeys
from tests.bff_core.relayed import pem
from tests.bff_core.served import Served
from tests.bff_core.token_issuer import TokenIssuer, claims, rs256, token
from tests.processes import ask, free_ports, gateway, listens, process, service
from tests.store import SERVICES

pytestmark = pytest.mark.real

AUDIENCE = "https://web.test"


@contextmanager
def shop(data: Path, issuer: str, **env: str) -> Iterator[tuple[str, dict[str, int]]]:
    """The services that the page cannot do without, orders that is told whom to believe, and the web gateway."""
    ports = dict(zip([*SERVICES, "admin"], free_ports(len(SERVICES) + 1), strict=True))
    jwks = f"web=http://127.0.0.1:{ports['admin']}/jwks"
    words = ["-m", "demo", "orders", "--port", str(ports["orders"]), "--data", str(data), "--relay-jwks", jwks]
    bearer = {"BFF_WEB__BEARER__ISSUER": issuer, "BFF_WEB__BEARER__AUDIENCE": AUDIENCE}
    with ExitStack() as stack:
        stack.enter_context(process(*words))
        stack.enter_context(service("catalog", ports["catalog"], data))
        listens(ports["orders"])
        yield stack.enter_context(gateway("web", ports, {**bearer, **env})), ports


@pytest.mark.parametrize(("keys", "workers"), [([], 1), ([0, 1], 1), ([0], 2)])
async def test_everyone_sees_what_they_bought_themselves_and_nobody_sees_more(
    databases: Path, keys: list[int], workers: int
) -> None:
    pems = [pem(number) for number in keys]
    env = {
        "BFF_WEB__WORKERS": str(workers),
        "BFF_WEB__SESSION__STORE": "redis://127.0.0.1:1",
        **({"BFF_WEB__RELAY__KEYS": "".join(pems)} if pems else {}),
    }
    issuer = TokenIssuer()
    async with Served(issuer) as served:
        issuer.issuer = f"http://127.0.0.1:{served.port}/realms/store"
        issuer.jwks_uri = f"{issuer.issuer}/keys"

        def borne(name: str) -> dict[str, str]:
            said = claims(time.time(), iss=issuer.issuer, aud=AUDIENCE, sub=name)
            return {"authorization": f"Bearer {token(rs256(), said)}"}

        def visits() -> list[Any]:
            with shop(databases, issuer.issuer, **env) as (web, ports):
                page = f"{web}/api/products/pojos-in-action"
                seen = [ask(page, headers=shown) for shown in (borne("alice"), {}, borne("bob"), borne("nobody"))]
                purchases = f"http://127.0.0.1:{ports['orders']}/customers/alice/purchases?product_id=pojos-in-action"
                refused = ask(purchases, headers=borne("alice"))
                return [*seen, refused, ask(f"http://127.0.0.1:{ports['admin']}/jwks")]

        alices, nobodys, bobs, strangers, refused, published = await asyncio.to_thread(visits)
    assert [reply[0] for reply in (alices, nobodys, bobs, strangers)] == [200] * 4
    assert len(alices[2]["purchases"]) == 2
    assert (nobodys[2]["purchases"], bobs[2]["purchases"], strangers[2]["purchases"]) == (None, [], None)
    assert "purchases" not in nobodys[1]["page-parts"]
    assert "purchases;missing=not-found" in strangers[1]["page-parts"]
    assert refused[0] == 401
    assert published[0] == 200
    if pems:
        assert published[2] == json.loads(RelayKeys(pems).published)
