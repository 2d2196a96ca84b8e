"""Only a request that names one of our hosts, once and well, is answered."""

import pytest
from fastapi import APIRouter

from tests.bff_core.small_gateway import HOST, Visit, small_gateway

router = APIRouter()


@router.get("/")
async def page() -> dict:
    return {}


@pytest.mark.parametrize("host", ["gateway.test", "GATEWAY.test", "gateway.test:8000", "[::1]", "[::1]:8000"])
async def test_our_own_hosts_are_answered_for_with_and_without_a_port(host: str) -> None:
    assert (await Visit(small_gateway(router), headers=[(b"host", host.encode())]).end()).status == 200


MALFORMED = {
    "missing": [],
    "doubled": [HOST, HOST],
    "doubled, another": [HOST, (b"host", b"evil.test")],
    **{
        f"{value!r}": [(b"host", value)]
        for value in (
            b"", b" ", b"gateway.test,evil.test", b"user@gateway.test", b"gateway.test@evil.test", b"gateway.test/path",
            b"gateway.test?x", b"gateway.test#x", b"gateway.test\\x", b"gateway.test:", b"gateway.test:x",
            b"gateway.test:123456", b":8000", b"[::1", b"::1", b"[]", b"gateway.test evil.test", b"gateway.test\t",
            b"gateway.test\x00", b"g\xc3\xa4teway.test", b"gateway.test\n", b"http://gateway.test", b"%67ateway.test",
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("headers", MALFORMED.values(), ids=MALFORMED)
async def test_a_host_that_is_not_there_once_and_well_is_a_malformed_request(headers: list) -> None:
    visit = await Visit(small_gateway(router), headers=headers).end()
    assert visit.status == 400
    assert b"/problems/invalid-request" in visit.body


@pytest.mark.parametrize(
    "host", [b"evil.test", b"127.0.0.1", b"gateway.test.", b"gateway.test.evil.test", b"xgateway.test", b"[::2]", b".."]
)
async def test_a_host_that_is_not_ours_is_misdirected_and_is_not_repeated(host: bytes) -> None:
    visit = await Visit(small_gateway(router), headers=[(b"host", host)]).end()
    assert visit.status == 421
    assert b"/problems/misdirected-request" in visit.body
    assert host.strip(b".[]") not in visit.body or not host.strip(b".[]")


async def test_health_answers_for_our_hosts_alone() -> None:
    app = small_gateway(router)
    assert (await Visit(app, "/livez").end()).status == 200
    assert (await Visit(app, "/livez", headers=[]).end()).status == 400


@pytest.mark.parametrize("target", ["/products/", "/products", "//evil.test", "//evil.test/", "/products//"])
async def test_no_redirect_is_ever_made_from_what_a_client_says(target: str) -> None:
    slashes = APIRouter()
    slashes.add_api_route("/products", page)
    slashes.add_api_route("/sellers/", page)
    for path in (target, target.replace("products", "sellers")):
        visit = await Visit(small_gateway(slashes), path).end()
        assert visit.status in {200, 404}
        assert not visit.values(b"location")
