"""Logs as JSON, one object a line, on standard output."""

import asyncio
import json
import logging
import sys
from itertools import islice
from time import gmtime, strftime
from typing import Any, Final, Protocol

from pydantic_core import PydanticSerializationError, to_json

from bff_core.telemetry.hidden import without_keys
from bff_core.telemetry.outlet import Outlet

__all__ = ["JsonFormatter", "JsonLines", "to_standard_output"]

_BORN_WITH: Final = len(vars(logging.makeLogRecord({})))  # members, before what is logged with it
_OWN: Final = ("asctime", "taskName", "color_message")


class _Stream(Protocol):
    def write(self, lines: bytes) -> object: ...

    def close(self) -> None: ...


class JsonFormatter(logging.Formatter):
    """Whatever is logged with ``extra=`` becomes a member. Control characters are escaped, so that what a client
    sent can never move the cursor of who reads the log (CVE-2020-7694). Secrets of API keys are hidden.
    """

    def __init__(self) -> None:
        super().__init__()
        self._second, self._day_and_time = -1, ""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        return self.line(record).decode("ascii")

    def line(self, record: logging.LogRecord) -> bytes:
        """The same as bytes, without an end."""
        line: dict[str, Any] = {
            "time": self._time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(islice(record.__dict__.items(), _BORN_WITH, None))
        for key in _OWN:
            line.pop(key, None)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return without_keys(_json(line).replace(b"\x7f", b"\\u007f"))  # the one control that JSON lets through

    def _time(self, moment: float) -> str:
        second = int(moment)
        if second != self._second:
            self._second, self._day_and_time = second, strftime("%Y-%m-%dT%H:%M:%S", gmtime(second))
        return f"{self._day_and_time}.{int((moment - second) * 1000):03}+00:00"


class JsonLines(logging.Handler):
    """Writes lines, those of one turn of the loop together: a write costs more than the line.

    Warnings are written at once, and so is everything where no loop runs.
    """

    def __init__(self, stream: _Stream) -> None:
        super().__init__()
        self._stream = stream
        self._lines: list[bytes] = []
        self._writer: asyncio.AbstractEventLoop | None = None
        self._json = JsonFormatter()

    def emit(self, record: logging.LogRecord) -> None:
        """See ``logging.Handler``."""
        try:
            self._lines.append(self._json.line(record))
            loop = _loop()
            if loop is None or record.levelno >= logging.WARNING:
                self.flush()
            elif loop is not self._writer:  # the one that should have written may have ended before it did
                self._writer = loop
                loop.call_soon(self.flush)
        except Exception:  # noqa: BLE001  what every handler of logging does
            self.handleError(record)

    def flush(self) -> None:
        """Write what there is."""
        lock = self.lock
        assert lock is not None
        with lock:
            lines, self._lines, self._writer = self._lines, [], None
            if lines:
                self._stream.write(b"\n".join(lines) + b"\n")

    def close(self) -> None:
        """Write what there is, as far as anyone takes it."""
        self.flush()
        self._stream.close()
        super().close()


def to_standard_output(level: int = logging.INFO) -> None:
    """Send everything that is logged to standard output as JSON."""
    # what no line of ours says: who called, and in which thread and process
    logging._srcfile = None  # the documented way
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    sys.stdout.flush()
    logging.basicConfig(handlers=[JsonLines(Outlet(sys.stdout.fileno(), _lost))], level=level, force=True)


def _lost(lines: int) -> bytes:
    message = f"{lines} lines of the log were lost, because nobody took them"
    record = logging.LogRecord("bff.log", logging.WARNING, "", 0, message, None, None)
    return JsonFormatter().line(record)


def _loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _json(line: dict[str, Any]) -> bytes:
    try:
        return to_json(line, ensure_ascii=True, fallback=str)
    except PydanticSerializationError:  # text that is none, such as half of a surrogate pair
        return json.dumps(line, default=str).encode("ascii")
