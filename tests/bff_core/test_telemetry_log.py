"""The log: lines of JSON, in order, none lost, and no request that waits for whoever reads them."""

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from time import monotonic

import pytest

from bff_core.auth.key_format import new_key
from bff_core.telemetry.log import JsonFormatter, JsonLines
from bff_core.telemetry.outlet import Outlet
from bff_core.testing import VirtualTimeLoop
from tests.processes import ROOT, addresses, ask, free_ports, listens, small_project


class Writes:
    """What was written, write by write."""

    def __init__(self) -> None:
        self.made: list[list[str]] = []

    def write(self, lines: bytes) -> None:
        assert lines.endswith(b"\n")
        self.made.append([json.loads(line)["message"] for line in lines.splitlines()])

    def close(self) -> None:
        self.made.append(["closed"])


@pytest.fixture
def writes() -> Writes:
    return Writes()


@pytest.fixture
def log(writes: Writes) -> Iterator[logging.Logger]:
    logger, handler = logging.getLogger("bff.test"), JsonLines(writes)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield logger
    logger.removeHandler(handler)


def the_handler(log: logging.Logger) -> logging.Handler:
    return next(handler for handler in log.handlers if isinstance(handler, JsonLines))


async def test_lines_of_one_turn_are_one_write_in_order(log: logging.Logger, writes: Writes) -> None:
    for name in "abc":
        log.info(name)
    assert writes.made == []
    await asyncio.sleep(0)
    assert writes.made == [["a", "b", "c"]]
    log.info("d")
    await asyncio.sleep(0)
    assert writes.made == [["a", "b", "c"], ["d"]]


async def test_a_warning_is_written_at_once_and_what_came_before_it_too(log: logging.Logger, writes: Writes) -> None:
    log.info("a")
    log.warning("b")
    assert writes.made == [["a", "b"]]
    log.info("c")
    await asyncio.sleep(0)
    assert writes.made == [["a", "b"], ["c"]]


def test_where_no_loop_runs_every_line_is_written_at_once(log: logging.Logger, writes: Writes) -> None:
    log.info("a")
    log.info("b")
    assert writes.made == [["a"], ["b"]]


async def test_another_thread_writes_at_once_and_loses_nothing(log: logging.Logger, writes: Writes) -> None:
    log.info("a")
    thread = Thread(target=log.info, args=("b",))
    thread.start()
    thread.join()
    log.info("c")
    await asyncio.sleep(0)
    assert writes.made == [["a", "b"], ["c"]]


def test_many_threads_lose_nothing(log: logging.Logger, writes: Writes) -> None:
    async def loop(name: str) -> None:
        for number in range(100):
            log.info("%s%d", name, number)
            await asyncio.sleep(0)

    def thread(name: str) -> None:
        asyncio.run(loop(name))

    threads = [Thread(target=thread, args=(name,)) for name in "abcd"]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    the_handler(log).flush()
    written = [line for lines in writes.made for line in lines]
    for name in "abcd":
        assert [line for line in written if line[0] == name] == [f"{name}{number}" for number in range(100)]


def test_a_loop_that_ends_before_it_writes_does_not_silence_the_next(log: logging.Logger, writes: Writes) -> None:
    async def say(word: str) -> None:
        log.info(word)
        asyncio.get_running_loop().stop()

    async def say_and_wait() -> None:
        log.info("b")
        await asyncio.sleep(0)
        assert writes.made[-1][-1] == "b"

    loop = VirtualTimeLoop()
    task = loop.create_task(say("a"))
    loop.run_forever()
    assert (task.done(), writes.made) == (True, [])
    loop.close()
    asyncio.run(say_and_wait())
    assert [line for lines in writes.made for line in lines] == ["a", "b"]


async def test_closing_writes_what_there_is(log: logging.Logger, writes: Writes) -> None:
    log.info("a")
    the_handler(log).close()
    assert writes.made == [["a"], ["closed"]]


async def test_what_cannot_be_a_line_is_no_trouble_for_the_next(
    log: logging.Logger, writes: Writes, capsys: pytest.CaptureFixture[str]
) -> None:
    the_handler(log).handle(logging.LogRecord("bff", logging.INFO, "", 0, "%d", ("no number",), None))
    log.info("a")
    await asyncio.sleep(0)
    assert writes.made == [["a"]]
    assert "no number" in capsys.readouterr().err


@pytest.mark.parametrize("sent", ["\x1b[31mred", "a\nb", "\x00", "\x7f", "\x85\x9b", "\u2028", "\ud800", '"\\'])
def test_nothing_that_a_client_sends_moves_the_cursor_or_ends_the_line(sent: str) -> None:
    record = logging.LogRecord("bff", logging.INFO, "", 0, "%s", (sent,), None)
    record.__dict__["path"] = sent
    line = JsonFormatter().format(record)
    assert line.isascii()
    assert line.isprintable()
    said = json.loads(line)
    assert (said["message"], said["path"]) == (sent, sent)


# Who reads it


class Pipe:
    """A pipe with an outlet, and someone who reads it or not."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.outlet = Outlet(self.writer, lambda lines: b"%d lost" % lines)

    def read(self) -> bytes:
        found = b""
        try:
            while more := os.read(self.reader, 2**16):
                found += more
        except BlockingIOError:
            pass
        return found


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    os.close(made.writer)
    os.close(made.outlet._descriptor)
    os.close(made.reader)


LINE = b"x" * 999 + b"\n"


async def test_a_pipe_that_is_full_is_not_waited_for_and_loses_nothing(pipe: Pipe) -> None:
    for number in range(400):
        pipe.outlet.write(b"%0999d\n" % number)
    read = pipe.read()
    for number in range(400, 500):  # while there is room again
        pipe.outlet.write(b"%0999d\n" % number)
    for _ in range(20):
        read += pipe.read()
        await asyncio.sleep(0.06)
    assert read.splitlines() == [b"%0999d" % number for number in range(500)]


async def test_a_pipe_that_nobody_reads_costs_a_megabyte_and_says_what_was_lost(pipe: Pipe) -> None:
    for _ in range(3000):
        pipe.outlet.write(LINE)
    assert len(pipe.outlet._kept) <= 2**20
    read = b""
    for _ in range(40):
        read += pipe.read()
        await asyncio.sleep(0.06)
    *lines, last = read.splitlines()
    assert set(lines) == {LINE[:-1]}
    assert last == b"%d lost" % (3000 - len(lines))
    assert 1000 < len(lines) < 1200


async def test_whoever_shares_the_pipe_still_waits_for_it(pipe: Pipe) -> None:
    assert os.get_blocking(pipe.writer)


async def test_a_pipe_that_is_closed_is_no_trouble() -> None:
    pipe = Pipe()
    os.close(pipe.reader)
    for _ in range(3000):
        pipe.outlet.write(LINE)
    assert not pipe.outlet._kept
    os.close(pipe.writer)
    os.close(pipe.outlet._descriptor)


@pytest.mark.real_time
async def test_the_end_waits_a_second_for_a_reader_and_no_longer(pipe: Pipe) -> None:
    for _ in range(200):
        pipe.outlet.write(LINE)
    began = monotonic()
    pipe.outlet.close()
    assert 0.9 < monotonic() - began < 2
    reading: list[bytes] = []

    def read() -> None:
        while sum(map(len, reading)) < 200_000:
            reading.append(pipe.read())

    thread = Thread(target=read)
    thread.start()
    pipe.outlet.close()
    thread.join()
    assert b"".join(reading) == LINE * 200


def test_a_file_gets_everything(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        outlet = Outlet(file.fileno(), lambda lines: b"")
        for _ in range(3000):
            outlet.write(LINE)
        outlet.close()
    assert (tmp_path / "log").read_bytes() == LINE * 3000


# Processes


@pytest.mark.real
def test_nothing_is_lost_at_the_end_of_a_process() -> None:
    code = """
import asyncio, logging
from bff_core.auth.key_format import new_key
from bff_core.telemetry.log import to_standard_output

async def main():
    logging.getLogger("a").info("last of the loop")
    asyncio.get_running_loop().stop()

to_standard_output()
loop = asyncio.new_event_loop()
loop.create_task(main())
loop.run_forever()
loop.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=20, check=True
    )
    assert [json.loads(line)["message"] for line in done.stdout.splitlines()] == ["last of the loop"]
    assert done.stderr == ""


TALKING_APP = """
import logging

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bff_core.edge.health import Readiness

log = logging.getLogger("shop")


async def page(request):
    for _ in range(1000):
        log.info("x" * 500)
    log.warning("asked")
    return PlainTextResponse("answered")


def create(settings):
    app = Starlette(routes=[Route("/", page)])
    app.state.readiness, app.state.admin = Readiness(), Starlette()
    return app
"""


@pytest.mark.real
@pytest.mark.parametrize("how", ["closed", "full"])
def test_a_log_that_nobody_reads_does_not_stop_a_gateway(tmp_path: Path, how: str) -> None:
    front, back = free_ports(2)
    small_project(tmp_path, shop=addresses(front, back) + '\ndrain = "100ms"')
    (tmp_path / "shops/shop/app.py").write_text(TALKING_APP)
    reader, writer = os.pipe()
    with (tmp_path / "errors").open("wb") as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", "bff_core.cli", "run", "shop"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=writer,
            stderr=errors,
        )
    os.close(writer)
    try:
        listens(front)
        if how == "closed":
            os.close(reader)
        assert [ask(f"http://127.0.0.1:{front}/")[0] for _ in range(5)] == [200] * 5
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=20) == 0
    finally:
        child.kill()
        child.wait()
        if how == "full":
            os.close(reader)
    assert (tmp_path / "errors").read_text() == ""


def test_a_socket_gets_everything_too() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        Outlet(ours.fileno(), lambda lines: b"").write(LINE)
        assert theirs.recv(2000) == LINE


def test_a_key_in_a_line_is_hidden_wherever_it_came_from() -> None:
    key = new_key("live")
    secret = key.text.split("_")[3]
    record = logging.makeLogRecord(
        {"msg": f"GET /{key.text[:60]} {key.text}", "path": [key.text], "name": "bff_core.x"}
    )
    line = JsonFormatter().format(record)
    assert secret[:3] not in line.replace(key.id, "")
    assert key.id in line
    assert json.loads(line)["path"] == [f"bff_live_{key.id}_..."]
