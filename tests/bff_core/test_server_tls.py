"""What a gateway says for itself in TLS."""

import asyncio
import ssl
import warnings
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import ValidationError

from bff_core.tls import ServerTlsSettings
from bff_core.tls import server_context as context
from tests.bff_core.served import Client, Served, get
from tests.bff_core.small_gateway import small_gateway
from tests.bff_core.test_server_connection import Desk

pytestmark = pytest.mark.real_time

AUTHORITY = trustme.CA()
LEAF = AUTHORITY.issue_cert("gateway.test")
FOR_OTHERS = trustme.CA().issue_cert("gateway.test")
LOCKED = load_pem_private_key(LEAF.private_key_pem.bytes(), None).private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
)


def files(folder: Path, *, cert: bytes | None = None, key: bytes | None = None) -> ServerTlsSettings:
    (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in LEAF.cert_chain_pems) if cert is None else cert)
    (folder / "key.pem").write_bytes(LEAF.private_key_pem.bytes() if key is None else key)
    return ServerTlsSettings(cert=str(folder / "cert.pem"), key=str(folder / "key.pem"))


def browser(**changed: Any) -> ssl.SSLContext:
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    AUTHORITY.configure_trust(found)
    found.set_alpn_protocols(["h2", "http/1.1"])
    for name, value in changed.items():
        setattr(found, name, value)
    return found


async def connect(served: Served, **changed: Any) -> Client:
    return await served.client(ssl=browser(**changed), server_hostname="gateway.test")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_1_2_and_later_carry_http_1_1(tmp_path: Path, version: ssl.TLSVersion) -> None:
    async with Served(Desk().app, tls=context(files(tmp_path))) as served:
        client = await connect(served, maximum_version=version)
        spoken: ssl.SSLObject = client._writer.get_extra_info("ssl_object")
        assert (spoken.version(), spoken.selected_alpn_protocol()) == (version.name.replace("_", "."), "http/1.1")
        assert (await (await client.say(get("/echo"))).reply()).body == b'"/echo?"'


async def test_tls_1_1_is_refused(tmp_path: Path) -> None:
    old = browser()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")  # as whoever still speaks it does
    async with Served(Desk().app, tls=context(files(tmp_path))) as served:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await served.client(ssl=old, server_hostname="gateway.test")


async def test_no_tls_at_all_ends_the_connection(tmp_path: Path) -> None:
    async with Served(Desk().app, tls=context(files(tmp_path))) as served:
        client = await served.client()
        await client.say(get("/echo"))
        assert b"HTTP" not in await client.rest()


async def test_what_is_refused_is_told_so_in_tls_as_well(tmp_path: Path) -> None:
    async with Served(Desk().app, tls=context(files(tmp_path)), connections=1) as served:
        client = await connect(served)
        await client.say(b"nonsense\r\n\r\n")
        reply = await client.reply()
        assert (reply.status, reply.closes) == (400, True)
        assert (await (await connect(served)).reply()).status == 503


async def test_a_client_that_leaves_ends_its_page_in_tls_as_well(tmp_path: Path) -> None:
    desk = Desk()
    async with Served(desk.app, tls=context(files(tmp_path))) as served:
        client = await connect(served)
        await client.say(get("/wait"))
        await desk.began.wait()
        client.leave()
        assert await asyncio.wait_for(desk.ended.get(), 1) == "cancelled"


async def test_the_end_does_not_wait_for_clients_that_do_not_listen(tmp_path: Path) -> None:
    async with Served(small_gateway(Desk().app.router), tls=context(files(tmp_path))) as served:
        client = await connect(served)
        await (await client.say(get("/nowhere"))).reply()
        client._writer.transport.pause_reading()
        for connection in list(served.state.connections):
            connection.shutdown()
        async with asyncio.timeout(5):
            await served.empty()
        client.vanish()


WRONG = {
    "no certificate": {"cert": b""},
    "no key": {"key": b""},
    "nonsense for a certificate": {"cert": b"nonsense"},
    "the other way round": {"cert": LEAF.private_key_pem.bytes(), "key": LEAF.cert_chain_pems[0].bytes()},
    "the key of another": {"key": FOR_OTHERS.private_key_pem.bytes()},
    "a key that wants a password": {"key": LOCKED},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_files_that_are_none_or_do_not_fit_are_one_clear_line(tmp_path: Path, wrong: dict[str, bytes]) -> None:
    with pytest.raises(ValidationError) as refused:
        files(tmp_path, **wrong)
    reason = refused.value.errors()[0]["msg"]
    assert str(tmp_path) in reason
    assert len(reason.splitlines()) == 1


def test_nobody_is_asked_for_a_password(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"a key under a password cannot be used"):
        files(tmp_path, key=LOCKED)
