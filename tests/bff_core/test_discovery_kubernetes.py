"""The instances of a Service are known as soon as the API server knows them, and stay known when it does not answer."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from bff_core.cli.policies import way
from bff_core.discovery import Member, SourceFailed, Watch, source_of
from bff_core.discovery.endpoint_slices import members
from bff_core.discovery.kubernetes import Kubernetes
from bff_core.discovery.kubernetes_shapes import EndpointSliceList
from bff_core.discovery.pace import Pace
from bff_core.discovery_settings import DiscoverySettings, KubernetesSettings
from bff_core.lookups import ConsulLookup, KubernetesLookup
from bff_core.upstream_settings import UpstreamSettings
from tests.bff_core.authority import certificate, files_of, serving
from tests.bff_core.kubernetes_server import (
    KubernetesServer,
    endpoint,
    endpoint_slice,
    kubeconfig,
    service_account,
    slice_list,
)
from tests.bff_core.served import logged

pytestmark = pytest.mark.real_time

PATIENCE = 10  # seconds that a test waits for what should come at once
TOKEN = "eyJhbGciOiJSUzI1NiJ9.good.signature"
LIST = "/apis/discovery.k8s.io/v1/namespaces/store/endpointslices"
SELECTOR = "kubernetes.io/service-name=catalog"

Sets = AsyncGenerator[Sequence[Member], None]


def hosts(found: Sequence[Member]) -> set[str]:
    return {member.instance.host for member in found}


def pods(*numbers: int, **how: Any) -> list[dict[str, Any]]:
    return [endpoint(f"10.0.0.{number}", uid=str(number), **how) for number in numbers]


def addresses(*numbers: int) -> set[str]:
    return {f"10.0.0.{number}" for number in numbers}


@pytest.fixture
def server() -> KubernetesServer:
    """Over TLS, with a private authority, for those who have the token."""
    return KubernetesServer(tls=serving(), tokens={TOKEN})


def found_in(folder: Path, server: KubernetesServer, lookup: str = "kubernetes:catalog", **user: str) -> Kubernetes:
    file = kubeconfig(folder, server.url, **(user or {"token": TOKEN}))
    return Kubernetes("catalog", KubernetesLookup.parse(lookup), KubernetesSettings(kubeconfig=file))


@asynccontextmanager
async def reading(kubernetes: Kubernetes) -> AsyncIterator[Sets]:
    try:
        async with asyncio.timeout(PATIENCE), aclosing(kubernetes.sets()) as sets:
            yield sets
    finally:
        await kubernetes.close()


async def until(sets: Sets, wanted: set[str]) -> None:
    """Read on, until that is what is known."""
    async for found in sets:
        if hosts(found) == wanted:
            return


async def is_watched(server: KubernetesServer, times: int = 1) -> None:
    async with asyncio.timeout(PATIENCE):
        while server.watching != times:
            await asyncio.sleep(0.001)


def watches(server: KubernetesServer) -> list[str]:
    """From which version each was."""
    return [asked.query["resourceVersion"] for asked in server.asked if "watch" in asked.query]


def lists(server: KubernetesServer) -> int:
    return sum("watch" not in asked.query for asked in server.asked)


# what changes in a cluster


async def test_what_is_there_is_known_at_once_and_what_changes_as_soon_as_it_does(
    server: KubernetesServer, tmp_path: Path
) -> None:
    going = {"ready": False, "serving": True, "terminating": True}
    steps = [
        (pods(1, 2, 3), {1, 2, 3}),
        (pods(1, 2), {1, 2}),
        (pods(1) + pods(2, ready=False), {1}),
        (pods(1, **going) + pods(2), {2}),
        (pods(1, 2, **going), {1, 2}),
        (pods(1, **going) + pods(2, ready=False, terminating=True, serving=False), {1}),
        ([], set()),
        (pods(4), {4}),
    ]
    server.put(endpoint_slice("a", *pods(1, 2)))
    async with server, reading(found_in(tmp_path, server)) as sets:
        assert hosts(await anext(sets)) == addresses(1, 2)
        for endpoints, known in steps:
            server.put(endpoint_slice("a", *endpoints))
            assert hosts(await anext(sets)) == addresses(*known)
    assert (lists(server), len(watches(server))) == (1, 1)


async def test_endpoints_that_move_between_slices_are_always_there(server: KubernetesServer, tmp_path: Path) -> None:
    server.put(endpoint_slice("a", *pods(1, 2, 3, 4)))
    changes: list[Sequence[Member]] = []
    async with server:
        watch = Watch("catalog", found_in(tmp_path, server), changes.append)
        running = asyncio.create_task(watch.run())
        await is_watched(server)
        server.put(endpoint_slice("b", *pods(3, 4)))  # in both for a while
        server.put(endpoint_slice("a", *pods(1, 2)))
        server.put(endpoint_slice("c", *pods(1, 2, 3, 4)))
        server.delete("a")
        server.delete("b")
        server.put(endpoint_slice("c", *pods(1, 2, 3, 4, 5)))
        async with asyncio.timeout(PATIENCE):
            while len(changes) < 2:
                await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.wait({running})
    assert [hosts(change) for change in changes] == [addresses(1, 2, 3, 4), addresses(1, 2, 3, 4, 5)]


async def test_a_list_longer_than_a_page_is_read_whole(tmp_path: Path) -> None:
    server = KubernetesServer(tls=serving(), tokens={TOKEN}, page=2)
    for number in range(1, 8):
        server.put(endpoint_slice(f"slice-{number}", *pods(number)))
    async with server, reading(found_in(tmp_path, server)) as sets:
        assert hosts(await anext(sets)) == addresses(*range(1, 8))
    first, *rest = [asked.query for asked in server.asked if "watch" not in asked.query]
    assert first == {"labelSelector": SELECTOR, "limit": "500"}
    assert [sorted(query) for query in rest] == [["continue", "labelSelector", "limit"]] * 3


async def test_other_services_and_other_namespaces_are_not_asked_about(tmp_path: Path) -> None:
    server = KubernetesServer(tls=serving(), tokens={TOKEN})
    server.put(endpoint_slice("a", *pods(1)))
    server.put(endpoint_slice("b", *pods(2), service="pricing"))
    server.put(endpoint_slice("c", *pods(3)), namespace="warehouse")
    async with server:
        for lookup, known in {"catalog": 1, "pricing": 2, "store/pricing": 2, "warehouse/catalog": 3}.items():
            async with reading(found_in(tmp_path, server, f"kubernetes:{lookup}")) as sets:
                assert hosts(await anext(sets)) == addresses(known)
    assert {asked.path for asked in server.asked} == {LIST, LIST.replace("store", "warehouse")}


async def test_it_is_what_the_settings_of_an_upstream_name(server: KubernetesServer, tmp_path: Path) -> None:
    server.put(endpoint_slice("a", *pods(1)))
    async with server:
        asked = DiscoverySettings(
            kubernetes=KubernetesSettings(kubeconfig=kubeconfig(tmp_path, server.url, token=TOKEN))
        )
        kubernetes = source_of("catalog", UpstreamSettings(discover="kubernetes:catalog"), asked)
        assert isinstance(kubernetes, Kubernetes)
        async with reading(kubernetes) as sets:
            assert [str(member.instance) for member in await anext(sets)] == ["http://10.0.0.1:8080"]


async def test_a_server_behind_a_path_is_asked_there(tmp_path: Path) -> None:
    server = KubernetesServer(tls=serving())
    async with server:
        settings = KubernetesSettings(kubeconfig=kubeconfig(tmp_path, f"{server.url}/k8s/clusters/c-1/"))
        kubernetes = Kubernetes("catalog", KubernetesLookup.parse("kubernetes:catalog"), settings)
        with pytest.raises(SourceFailed, match="answered 404"):
            async with reading(kubernetes) as sets:
                await anext(sets)
    assert [asked.path for asked in server.asked] == [f"/k8s/clusters/c-1{LIST}"]


# an empty set


async def test_a_service_without_ready_endpoints_is_an_empty_set(server: KubernetesServer, tmp_path: Path) -> None:
    server.put(endpoint_slice("a", *pods(1, ready=False)))
    async with server, logged("bff.discovery") as lines, reading(found_in(tmp_path, server)) as sets:
        assert await anext(sets) == []
    assert lines.empty()


async def test_a_service_that_does_not_exist_is_an_empty_set_and_said_once(
    server: KubernetesServer, tmp_path: Path
) -> None:
    async with server, logged("bff.discovery") as lines:
        kubernetes = found_in(tmp_path, server, "kubernetes:catalogue")
        for _ in range(2):
            async with reading(kubernetes) as sets:
                assert await anext(sets) == []
        said = lines.get_nowait()
        assert lines.empty()
    assert said.levelno == logging.WARNING
    assert "Service catalogue in the namespace store" in said.getMessage()


# versions


async def test_a_watch_begins_where_the_list_ended_and_again_where_it_was(
    server: KubernetesServer, tmp_path: Path
) -> None:
    server.put(endpoint_slice("a", *pods(1)))
    async with server, reading(found_in(tmp_path, server)) as sets:
        await anext(sets)
        reader = asyncio.create_task(until(sets, addresses(1, 2, 3)))
        await is_watched(server)
        listed = server.version
        server.put(endpoint_slice("b", *pods(2)))
        server.end_watches()
        await is_watched(server, 0)
        seen = server.version
        server.put(endpoint_slice("c", *pods(3)))  # while nobody watches
        await reader
    assert watches(server) == [str(listed), str(seen)]
    assert lists(server) == 1


async def test_a_bookmark_moves_the_version_and_changes_nothing(server: KubernetesServer, tmp_path: Path) -> None:
    server.put(endpoint_slice("a", *pods(1)))
    async with server, reading(found_in(tmp_path, server)) as sets:
        await anext(sets)
        reader = asyncio.create_task(until(sets, addresses(2)))
        await is_watched(server)
        server.bookmark()
        marked = server.version
        server.end_watches()
        await is_watched(server, 0)
        await is_watched(server)
        server.put(endpoint_slice("a", *pods(2)))
        await reader
    assert watches(server)[1:] == [str(marked)]


@pytest.mark.parametrize("as_event", [True, False], ids=["as an event", "as a status"])
async def test_a_version_that_is_gone_is_listed_anew_and_nothing_is_lost_or_kept_too_long(
    as_event: bool, server: KubernetesServer, tmp_path: Path
) -> None:
    server.gone_as_event = as_event
    server.put(endpoint_slice("a", *pods(1)))
    server.put(endpoint_slice("b", *pods(2)))
    async with server, reading(found_in(tmp_path, server)) as sets:
        await anext(sets)
        reader = asyncio.create_task(anext(sets))
        await is_watched(server)
        server.end_watches()
        await is_watched(server, 0)
        server.delete("a")
        server.put(endpoint_slice("c", *pods(3)))
        server.compact()
        assert hosts(await reader) == addresses(2, 3)
        server.put(endpoint_slice("c", *pods(4)))
        assert hosts(await anext(sets)) == addresses(2, 4)
    assert lists(server) == 2


async def test_a_version_that_goes_while_it_is_watched_is_no_failure(server: KubernetesServer, tmp_path: Path) -> None:
    server.put(endpoint_slice("a", *pods(1)))
    async with server, reading(found_in(tmp_path, server)) as sets:
        await anext(sets)
        reader = asyncio.create_task(anext(sets))
        await is_watched(server)
        server.say(b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n')
        assert hosts(await reader) == addresses(1)
    assert lists(server) == 2


async def test_pages_that_expire_are_read_from_the_start(tmp_path: Path) -> None:
    server = KubernetesServer(tls=serving(), tokens={TOKEN}, page=1)
    server.put(endpoint_slice("a", *pods(1)))
    server.put(endpoint_slice("b", *pods(2)))
    server.expiring = 2
    async with server, reading(found_in(tmp_path, server)) as sets:
        assert hosts(await anext(sets)) == addresses(1, 2)
    assert lists(server) == 6

    server.expiring = 100
    server.asked.clear()
    async with server, reading(found_in(tmp_path, server)) as sets:
        with pytest.raises(SourceFailed, match="pages of the list expire before they are read: The provided continue"):
            await anext(sets)
    assert lists(server) == 6


async def test_a_watch_asks_to_be_ended_after_about_five_minutes_each_at_another_moment(
    server: KubernetesServer, tmp_path: Path
) -> None:
    async with server:
        for number in range(1, 6):
            async with reading(found_in(tmp_path, server)) as sets:
                await anext(sets)
                reader = asyncio.create_task(anext(sets))
                while len(watches(server)) < number:
                    await asyncio.sleep(0.001)
                reader.cancel()
                await asyncio.wait({reader})
    asked = [asked.query for asked in server.asked if "watch" in asked.query]
    times = {int(query.pop("timeoutSeconds")) for query in asked}
    assert min(times) >= 270
    assert max(times) <= 330
    assert len(times) > 1
    assert asked[0] == {
        "labelSelector": SELECTOR,
        "watch": "1",
        "resourceVersion": str(server.version),
        "allowWatchBookmarks": "true",
    }


# a server that is not well


def test_what_keeps_ending_at_once_is_begun_again_ever_more_slowly() -> None:
    pace = Pace()
    pauses = [pace.pause(0.01) for _ in range(40)]
    assert all(0.05 * 2**n <= pause <= 0.1 * 2**n for n, pause in enumerate(pauses[:5]))
    assert all(2.5 <= pause <= 5 for pause in pauses[6:])
    assert pace.pause(1.0) == 0
    assert pace.pause(0.99) <= 0.1


async def test_watches_that_end_at_once_do_not_make_it_spin(tmp_path: Path) -> None:
    class Hasty(KubernetesServer):
        def _watch(self, *args: Any) -> Any:
            found = super()._watch(*args)
            found.events.put_nowait(None)
            return found

    async with Hasty(tls=serving()) as server, reading(found_in(tmp_path, server)) as sets:
        await anext(sets)
        reader = asyncio.create_task(anext(sets))
        async with asyncio.timeout(PATIENCE):
            while len(watches(server)) < 5:
                await asyncio.sleep(0.001)
        began = asyncio.get_running_loop().time()
        while len(watches(server)) < 6:
            await asyncio.sleep(0.001)
        assert asyncio.get_running_loop().time() - began > 0.5  # 0.8 to 1.6 by then
        reader.cancel()
        await asyncio.wait({reader})


BAD_LINES = {
    "no JSON": b"gateway timeout\n",
    "no event": b"{}\n",
    "an event of another kind": b'{"type":"RENAMED","object":{}}\n',
    "half a slice": b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n',
    "an error of another kind": b'{"type":"ERROR","object":{"code":500,"message":"etcdserver: no leader"}}\n',
    "nothing": b"\n",
}


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES)
async def test_what_a_watch_should_not_say_is_a_failure(line: bytes, server: KubernetesServer, tmp_path: Path) -> None:
    async with server, reading(found_in(tmp_path, server)) as sets:
        await anext(sets)
        reader = asyncio.create_task(anext(sets))
        await is_watched(server)
        server.say(line)
        with pytest.raises(SourceFailed, match=r"^kubernetes: a watch (said what is no event|failed with 500: etcds)"):
            await reader


async def test_a_line_without_end_is_a_failure(server: KubernetesServer, tmp_path: Path) -> None:
    async with server, reading(found_in(tmp_path, server)) as sets:
        await anext(sets)
        reader = asyncio.create_task(anext(sets))
        await is_watched(server)
        for _ in range(9):
            server.say(b"x" * 1024 * 1024)
        with pytest.raises(SourceFailed, match="a line of more than"):
            await reader


async def test_a_very_busy_watch_is_begun_again_before_it_is_too_long(server: KubernetesServer, tmp_path: Path) -> None:
    async with server, reading(found_in(tmp_path, server)) as sets:
        await anext(sets)
        reader = asyncio.create_task(anext(sets))
        await is_watched(server)
        for number in range(9):
            blanks = b" " * 4 * 1024 * 1024
            server.say(
                b'{"type":"BOOKMARK",%s"object":{"metadata":{"resourceVersion":"%d"}}}\n' % (blanks, 5000 + number)
            )
        async with asyncio.timeout(PATIENCE):
            while len(watches(server)) < 2:
                await asyncio.sleep(0.001)
        reader.cancel()
        await asyncio.wait({reader})
    assert watches(server)[1] in {"5007", "5008"}
    assert lists(server) == 1


REFUSALS = {
    403: (
        "Forbidden",
        'endpointslices.discovery.k8s.io is forbidden: User "x" cannot list',
        r"Role with get, list and w",
    ),
    404: ("NotFound", "the server could not find the requested resource", "could not find"),
    429: ("TooManyRequests", "too many requests, please try again later", "too many requests"),
    503: ("ServiceUnavailable", "apiserver not ready", "apiserver not ready"),
}


@pytest.mark.parametrize("status", REFUSALS)
async def test_a_refusal_says_what_the_server_said(status: int, server: KubernetesServer, tmp_path: Path) -> None:
    reason, message, told = REFUSALS[status]
    server.refusal = status, reason, message
    async with server, reading(found_in(tmp_path, server)) as sets:
        with pytest.raises(SourceFailed, match=told) as failed:
            await anext(sets)
    assert str(failed.value).startswith(f"kubernetes: answered {status} to {LIST}: {message}")


@pytest.mark.parametrize("before", [0, 390])  # the second is cut in the midst of the token
async def test_a_refusal_that_repeats_the_token_does_not_show_it(
    before: int, server: KubernetesServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server, reading(in_pod(tmp_path, server, monkeypatch, TOKEN)) as sets:
        server.refusal = 400, "BadRequest", f"{'-' * before}{TOKEN} is what you sent"
        with pytest.raises(SourceFailed, match="answered 400") as failed:
            await anext(sets)
    assert TOKEN[:2] not in str(failed.value)


async def test_a_watch_that_repeats_the_token_does_not_show_it(
    server: KubernetesServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server, reading(in_pod(tmp_path, server, monkeypatch, TOKEN)) as sets:
        await anext(sets)
        reader = asyncio.create_task(anext(sets))
        await is_watched(server)
        server.say(b'{"type":"ERROR","object":{"code":500,"message":"you sent %s"}}\n' % TOKEN.encode())
        with pytest.raises(SourceFailed, match="failed with 500: you sent") as failed:
            await reader
    assert TOKEN not in str(failed.value)


async def test_a_watch_that_is_refused_is_a_failure(server: KubernetesServer, tmp_path: Path) -> None:
    async with server, reading(found_in(tmp_path, server)) as sets:
        await anext(sets)
        server.refusal = 403, "Forbidden", "cannot watch resource"
        with pytest.raises(SourceFailed, match=r"answered 403 .*cannot watch resource"):
            await anext(sets)


async def test_a_server_that_cannot_prove_itself_is_told_nothing(tmp_path: Path) -> None:
    async with KubernetesServer(tls=serving(certificate("127.0.0.1", by="strangers"))) as server:
        with pytest.raises(SourceFailed, match="certificate verify failed"):
            async with reading(found_in(tmp_path, server)) as sets:
                await anext(sets)
        assert server.asked == []


async def test_who_is_known_by_a_certificate_needs_no_token(tmp_path: Path) -> None:
    server = KubernetesServer(tls=serving(asks=True))
    server.put(endpoint_slice("a", *pods(1)))
    us = files_of(tmp_path, "gateway.test")
    async with server:
        shown = {"client-certificate": us["cert"], "client-key": us["key"]}
        async with reading(found_in(tmp_path, server, **shown)) as sets:
            assert hosts(await anext(sets)) == addresses(1)
    assert server.asked[0].token is None


# a server that comes and goes


async def test_when_the_server_dies_what_is_known_stays_and_when_it_is_back_it_is_made_good(
    server: KubernetesServer, tmp_path: Path
) -> None:
    server.put(endpoint_slice("a", *pods(1)))
    changes: asyncio.Queue[Sequence[Member]] = asyncio.Queue()
    async with server:
        watch = Watch("catalog", found_in(tmp_path, server), changes.put_nowait)
        running = asyncio.create_task(watch.run())
        assert hosts(await changes.get()) == addresses(1)
        await is_watched(server)
        assert watch.facts()["failing_since"] is None
    async with asyncio.timeout(PATIENCE):
        while watch.facts()["failing_since"] is None or "no connection" not in watch.facts()["failure"]:
            await asyncio.sleep(0.001)
    assert changes.empty()
    server.compact()
    server.put(endpoint_slice("a", *pods(2)))
    async with server, asyncio.timeout(PATIENCE):
        assert hosts(await changes.get()) == addresses(2)
        assert watch.facts()["failing_since"] is None
        running.cancel()
        await asyncio.wait({running})


async def test_a_connection_that_breaks_after_a_while_is_no_failure(server: KubernetesServer, tmp_path: Path) -> None:
    server.put(endpoint_slice("a", *pods(1)))
    async with server, reading(found_in(tmp_path, server)) as sets:
        await anext(sets)
        reader = asyncio.create_task(anext(sets))
        await is_watched(server)
        await asyncio.sleep(1.1)  # which is what "a while" is
        server.cut()
        assert hosts(await reader) == addresses(1)
    assert lists(server) == 2


async def test_a_connection_that_breaks_at_once_is_a_failure(server: KubernetesServer, tmp_path: Path) -> None:
    async with server, reading(found_in(tmp_path, server)) as sets:
        await anext(sets)
        reader = asyncio.create_task(anext(sets))
        await is_watched(server)
        server.cut()
        with pytest.raises(SourceFailed, match="before the whole reply was there"):
            await reader


async def test_a_server_can_be_driven_from_a_thread_of_its_own(tmp_path: Path) -> None:
    server = KubernetesServer(tls=serving(), tokens={TOKEN}).start()
    try:
        server.put(endpoint_slice("a", *pods(1)))
        async with reading(found_in(tmp_path, server)) as sets:
            assert hosts(await anext(sets)) == addresses(1)
            server.put(endpoint_slice("a", *pods(2)))
            await until(sets, addresses(2))
    finally:
        server.stop()
    server.start()  # at the same port
    try:
        async with reading(found_in(tmp_path, server)) as sets:
            assert hosts(await anext(sets)) == addresses(2)
    finally:
        server.stop()


# who asks


def in_pod(folder: Path, server: KubernetesServer, monkeypatch: pytest.MonkeyPatch, token: str) -> Kubernetes:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
    settings = KubernetesSettings(service_account=service_account(folder, token))
    return Kubernetes("catalog", KubernetesLookup.parse("kubernetes:catalog"), settings)


async def test_a_pod_asks_with_its_service_account_in_its_namespace(
    server: KubernetesServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put(endpoint_slice("a", *pods(1)))
    async with server, reading(in_pod(tmp_path, server, monkeypatch, TOKEN)) as sets:
        assert hosts(await anext(sets)) == addresses(1)
    assert (server.asked[0].path, server.asked[0].token) == (LIST, TOKEN)


async def test_a_token_that_was_renewed_is_read_as_soon_as_the_old_one_is_refused(
    server: KubernetesServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put(endpoint_slice("a", *pods(1)))
    async with server, reading(in_pod(tmp_path, server, monkeypatch, TOKEN)) as sets:
        await anext(sets)
        reader = asyncio.create_task(until(sets, addresses(2)))
        await is_watched(server)
        (tmp_path / "token").write_text("renewed")
        server.tokens = {"renewed"}
        server.end_watches()
        await is_watched(server, 0)
        server.put(endpoint_slice("a", *pods(2)))
        await reader
    assert [asked.token for asked in server.asked] == [TOKEN, TOKEN, TOKEN, "renewed"]


async def test_who_is_not_known_is_a_failure_that_tells_no_token(
    server: KubernetesServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.tokens = {"another"}
    async with server, logged("bff") as lines:
        for kubernetes in (in_pod(tmp_path, server, monkeypatch, TOKEN), found_in(tmp_path, server)):
            with pytest.raises(
                SourceFailed, match=r"answered 401 .*Unauthorized \(it does not know who asks"
            ) as failed:
                async with reading(kubernetes) as sets:
                    await anext(sets)
            assert TOKEN not in f"{failed.value} {kubernetes!r} {vars(kubernetes)!r}"
    assert lines.empty()
    assert len(server.asked) == 3  # a file is read again, and what is written down is not


async def test_after_a_failure_a_kubeconfig_is_read_anew_and_old_connections_end(
    server: KubernetesServer, tmp_path: Path
) -> None:
    server.put(endpoint_slice("a", *pods(1)))
    async with server:
        kubernetes = found_in(tmp_path, server, token="old")
        with pytest.raises(SourceFailed, match="401"):
            async with aclosing(kubernetes.sets()) as sets:
                await anext(sets)
        kubeconfig(tmp_path, server.url, token=TOKEN)
        async with reading(kubernetes) as sets:
            assert hosts(await anext(sets)) == addresses(1)
            while server.connected != 1:
                await asyncio.sleep(0.001)


# leaving


async def test_whoever_leaves_at_whatever_step_leaves_nothing_behind(tmp_path: Path) -> None:
    server = KubernetesServer(tls=serving(), tokens={TOKEN}, page=1)
    server.put(endpoint_slice("a", *pods(1)))
    server.put(endpoint_slice("b", *pods(2)))

    async def read(kubernetes: Kubernetes) -> None:
        async with aclosing(kubernetes.sets()) as sets:
            await anext(sets)
            server.put(endpoint_slice("b", *pods(3)))
            await anext(sets)

    async with server:
        before = asyncio.all_tasks()
        for steps in count():
            assert steps < 2000
            kubernetes = found_in(tmp_path, server)
            run = asyncio.create_task(read(kubernetes))
            for _ in range(steps):
                await asyncio.sleep(0)
            over = run.done()
            run.cancel()
            await asyncio.wait({run})
            async with asyncio.timeout(PATIENCE):
                await kubernetes.close()
                while asyncio.all_tasks() - before:  # those of the server among them, for each connection
                    await asyncio.sleep(0)
            if over:
                assert run.exception() is None
                break
        assert steps > 10


async def test_a_source_that_was_never_read_can_be_closed(tmp_path: Path) -> None:
    await found_in(tmp_path, KubernetesServer()).close()


# whatever happens


names = st.sampled_from("abcd")
states = st.sampled_from(
    [
        {},
        {"ready": False},
        {"ready": False, "serving": True, "terminating": True},
        {"ready": False, "serving": False, "terminating": True},
    ]
)
some_pods = st.lists(st.tuples(st.integers(1, 6), states, st.sampled_from(["a", "b"])), max_size=5)
steps = st.one_of(
    st.tuples(st.just("put"), names, some_pods, st.booleans()),
    st.tuples(st.just("delete"), names),
    st.tuples(st.sampled_from(["cut", "end", "compact", "bookmark", "other", "look"])),
)


def slice_of(name: str, given_pods: list[tuple[int, dict[str, Any], str]], six: bool) -> dict[str, Any]:
    made = [
        endpoint(
            f"fd00::{number}" if six else f"10.0.0.{number}", uid=str(number), zone=zone, **{"ready": True} | state
        )
        for number, state, zone in given_pods
    ]
    return endpoint_slice(name, *made, addressType="IPv6" if six else "IPv4")


async def play(server: KubernetesServer, step: tuple[Any, ...]) -> None:
    match step:
        case ("put", name, given_pods, six):
            server.put(slice_of(name, given_pods, six))
        case ("delete", name):
            with suppress(KeyError):
                server.delete(name)
        case ("cut",):
            server.cut()
        case ("end",):
            server.end_watches()
        case ("compact",):
            server.compact()
        case ("bookmark",):
            server.bookmark()
        case ("other",):
            server.put(endpoint_slice("other", *pods(99), service="other"))
        case ("look",):
            with suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    await is_watched(server)


def computed(server: KubernetesServer) -> list[Member]:
    listed = EndpointSliceList.model_validate(slice_list(*server.slices(), version=1), strict=False)
    slices = sorted(listed.items or (), key=lambda one: int(one.metadata.resource_version))
    return list(members("catalog", KubernetesLookup.parse("kubernetes:catalog"), slices))


@effort(deadline=None, max_examples=40)
@given(
    steps=st.lists(st.tuples(steps, st.integers(0, 40)), max_size=25),
    page=st.integers(1, 3),
    seed=st.integers(0, 2**16),
    as_event=st.booleans(),
)
async def test_whatever_happens_in_a_cluster_what_is_known_in_the_end_is_what_is_there(
    steps: list[tuple[Any, int]], page: int, seed: int, as_event: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = KubernetesServer(page=page, seed=seed)
    server.gone_as_event = as_event
    known: list[Member] = []

    async def read(kubernetes: Kubernetes) -> None:
        while True:
            with suppress(SourceFailed):
                async with aclosing(kubernetes.sets()) as sets:
                    async for found in sets:
                        known[:] = found

    async with server:
        file = kubeconfig(tmp_path_factory.getbasetemp(), server.url)
        lookup = KubernetesLookup.parse("kubernetes:catalog")
        kubernetes = Kubernetes("catalog", lookup, KubernetesSettings(kubeconfig=file))
        reader = asyncio.create_task(read(kubernetes))
        for step, turns in steps:
            await play(server, step)
            for _ in range(turns):  # of the loop, so that what is under way is met anywhere
                await asyncio.sleep(0)
        server.put(endpoint_slice("last", endpoint("10.9.9.9")))
        wanted = computed(server)
        async with asyncio.timeout(PATIENCE):
            while known != wanted:
                await asyncio.sleep(0.001)
        reader.cancel()
        await asyncio.wait({reader})
        await kubernetes.close()


# settings


def test_a_lookup_says_no_scheme_unless_it_is_asked_to() -> None:
    assert KubernetesLookup.parse("kubernetes:catalog").scheme is None
    assert KubernetesLookup.parse("kubernetes:store/catalog:http?scheme=https").scheme == "https"
    assert ConsulLookup.parse("consul:catalog").scheme == "http"
    with pytest.raises(ValueError, match="scheme is http or https"):
        KubernetesLookup.parse("kubernetes:catalog?scheme=ftp")


@pytest.mark.parametrize(("lookup", "taken"), [("", True), ("?scheme=https", True), ("?scheme=http", False)])
def test_terms_of_tls_are_taken_where_https_may_be_spoken(lookup: str, taken: bool) -> None:
    settings = {"discover": f"kubernetes:catalog{lookup}", "tls": {"server_name": "catalog.store.svc"}}
    if taken:
        assert UpstreamSettings.model_validate(settings).tls is not None
    else:
        with pytest.raises(ValueError, match="no instance of this upstream is reached over https"):
            UpstreamSettings.model_validate(settings)


@pytest.mark.parametrize(
    ("lookup", "said"), [("", "TLS where their port says https"), ("?scheme=https", "TLS"), ("?scheme=http", None)]
)
def test_people_are_told_whether_it_is_tls(lookup: str, said: str | None) -> None:
    found = way(UpstreamSettings.model_validate({"discover": f"kubernetes:catalog{lookup}"}))
    assert found.splitlines()[1:] == ([said] if said else [])
