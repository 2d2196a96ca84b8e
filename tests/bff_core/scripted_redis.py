"""A Redis that answers exactly what a test wrote for it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from tests.bff_core.raw_server import RawServer

__all__ = ["Answer", "ScriptedRedis"]

Answer = Callable[[int, list[bytes]], Awaitable[bytes | None]]
"""The bytes that answer a command of the so-manyeth connection, from 1 on; ``None`` closes it."""

_HELLO: Final = b"%1\r\n$5\r\nproto\r\n:3\r\n"


class ScriptedRedis(RawServer):
    """Greetings are answered; everything else as ``answer`` says, and noted."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(self._talk)
        self._answer = answer
        self.commands: list[bytes] = []

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.instance.port}"

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self.accepted
        while True:
            words = await _command(reader)
            if words[0] == b"HELLO":
                writer.write(_HELLO)
                continue
            self.commands.append(words[0])
            answer = await self._answer(number, words)
            if answer is None:
                return
            writer.write(answer)


async def _command(reader: asyncio.StreamReader) -> list[bytes]:
    words = []
    for _ in range(int((await reader.readuntil(b"\r\n"))[1:])):
        length = int((await reader.readuntil(b"\r\n"))[1:])
        words.append((await reader.readexactly(length + 2))[:-2])
    return words
