"""A name server over UDP and TCP whose zone, and how badly it answers, a test can change while it runs."""

import asyncio
import threading
from collections.abc import Coroutine, Iterable
from contextlib import closing, suppress
from typing import Any, NamedTuple, Self

import dns.message
import dns.name
import dns.rcode
import dns.rrset

__all__ = ["SILENCE", "Asked", "NameServer"]

SILENCE = "SILENCE"
"""How not to answer at all."""

EVERYTHING = "*"


class Asked(NamedTuple):
    """One question. ``over`` is ``udp`` or ``tcp``; ``payload`` is the size of a datagram that may come back."""

    name: str
    kind: str
    over: str
    payload: int


class NameServer:
    """Serves in the running loop, as ``async with NameServer() as server``, or between ``start`` and ``stop`` in a
    thread of its own. Begun again, it is at the same address.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._host = host
        self._zone: dict[tuple[str, str], dns.rrset.RRset] = {}
        self._faults: dict[tuple[str, str], str] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self.port = 0
        self.asked: list[Asked] = []
        """Every question, oldest first."""
        self.delay = 0.0
        """Seconds before each answer."""
        self.loses = 0
        """So many datagrams are lost from now on."""
        self.along: Iterable[str] = ("A", "AAAA")
        """What of the targets of SRV records comes along with them."""
        self.at_once = 0
        """The most questions that were ever open at once."""

    @property
    def address(self) -> str:
        """As it is written in settings."""
        return f"[{self._host}]:{self.port}" if ":" in self._host else f"{self._host}:{self.port}"

    def say(self, name: str, kind: str, *records: str, ttl: int = 0) -> None:
        """From now on these are the records; none at all, but the name is there, where none are given."""
        owner = dns.name.from_text(name)
        found = dns.rrset.from_text_list(owner, ttl, "IN", kind, records) if records else dns.rrset.RRset(owner, 1, 1)
        self._zone[_key(name, kind)] = found

    def forget(self, name: str) -> None:
        """There is no such name any more."""
        self._zone = {key: found for key, found in self._zone.items() if key[0] != _key(name)[0]}

    def fail(self, name: str = EVERYTHING, kind: str = EVERYTHING, how: str = "SERVFAIL") -> None:
        """Answer with this code, or with ``SILENCE``, to questions for this name and kind."""
        self._faults[_key(name, kind)] = how

    def mend(self) -> None:
        """Nothing fails any more."""
        self._faults.clear()

    def start(self) -> None:
        """Serve in a thread, and come back when that has begun."""
        begun = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(begun)))
        self._thread.start()
        assert begun.wait(10)

    def stop(self) -> None:
        """End what ``start`` began."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)

    async def _serve(self, begun: threading.Event) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        async with self:
            begun.set()
            await self._ended.wait()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for _ in range(50):  # because a port that is free for the one may be taken for the other
            self._server = await asyncio.start_server(self._accept, self._host, self.port)
            port = self._server.sockets[0].getsockname()[1]
            try:
                self._datagrams, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self), local_addr=(self._host, port)
                )
            except OSError:
                self._server.close()
            else:
                self.port = port
                return self
        raise OSError("no port is free for both")

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._datagrams.close()
        for task in self._answering:
            task.cancel()
        if self._answering:
            await asyncio.wait(self._answering)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._begin(self._converse(reader, writer))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    def received(self, data: bytes, whence: tuple[str, int], datagrams: asyncio.DatagramTransport) -> None:
        """One datagram."""
        if self.loses:
            self.loses -= 1
        else:
            self._begin(self._reply(data, whence, datagrams))

    async def _reply(self, data: bytes, whence: tuple[str, int], datagrams: asyncio.DatagramTransport) -> None:
        if (reply := await self._answer(data, "udp")) is not None:
            datagrams.sendto(reply, whence)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(OSError, asyncio.IncompleteReadError):  # the other side left, as it may
            while True:
                data = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
                if (reply := await self._answer(data, "tcp")) is not None:
                    writer.write(len(reply).to_bytes(2) + reply)
                    await writer.drain()

    async def _answer(self, data: bytes, over: str) -> bytes | None:
        query = dns.message.from_wire(data)
        (question,) = query.question
        name, kind = question.name.to_text().lower(), question.rdtype.name
        self.asked.append(Asked(name, kind, over, query.payload))
        self.at_once = max(self.at_once, len(self._answering))
        fault = self._fault(name, kind)
        await asyncio.sleep(self.delay)
        if fault == SILENCE:
            return None
        reply = dns.message.make_response(query, recursion_available=True)
        if fault is None:
            self._fill(reply, name, kind)
        else:
            reply.set_rcode(dns.rcode.from_text(fault))
        room = 65535 if over == "tcp" else max(query.payload, 512)
        return reply.to_wire(max_size=room, prefer_truncation=True)

    def _fault(self, name: str, kind: str) -> str | None:
        keys = ((name, kind), (name, EVERYTHING), (EVERYTHING, kind), (EVERYTHING, EVERYTHING))
        return next((self._faults[key] for key in keys if key in self._faults), None)

    def _fill(self, reply: dns.message.Message, name: str, kind: str) -> None:
        while (name, kind) not in self._zone and (alias := self._zone.get((name, "CNAME"))):
            reply.answer.append(alias)
            name = alias[0].target.to_text().lower()
        if name not in {known for known, _ in self._zone}:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif found := self._zone.get((name, kind)):
            reply.answer.append(found)
            if kind == "SRV":
                targets = {record.target.to_text().lower() for record in found}
                keys = [(target, family) for target in targets for family in self.along]
                reply.additional.extend(self._zone[key] for key in keys if self._zone.get(key))


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._server.received(data, addr, self._transport)


def _key(name: str, kind: str = EVERYTHING) -> tuple[str, str]:
    return (name if name == EVERYTHING else dns.name.from_text(name).to_text().lower(), kind)
