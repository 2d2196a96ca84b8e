"""The decoders of the content codings, in one shape: bytes in, pieces of bounded size out.

The four codings of RFC 9110, 8.4.1, RFC 7932 and RFC 9659. A package is imported when its coding is first met.
"""

import sys
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Final

__all__ = ["CodingError", "Decoder", "decoder"]

_STEP: Final = 64 * 1024  # bytes that come out at a time, or a little more
_MAX_WINDOW: Final = 23  # log2 of bytes: what RFC 9659 lets a server ask a client to keep


class CodingError(Exception):
    """The bytes are not what their coding says."""


class Decoder(ABC):
    """Takes a body of one coding, a chunk at a time."""

    failure: type[Exception]

    @property
    @abstractmethod
    def ended(self) -> bool:
        """The coding says that nothing more comes."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """What ``chunk`` expands to. Raises ``CodingError`` where it is corrupt or comes behind the end."""
        if chunk and self.ended:
            raise CodingError("something behind its end")
        more = True
        while more and not self.ended:
            try:
                piece = self._step(chunk)
            except self.failure as error:
                raise CodingError(str(error)) from error
            chunk = b""
            more = self._has_more(piece)
            if piece:
                yield piece
        if self._left_over():
            raise CodingError("something behind its end")

    @abstractmethod
    def _step(self, chunk: bytes) -> bytes: ...

    @abstractmethod
    def _has_more(self, piece: bytes) -> bool: ...

    @abstractmethod
    def _left_over(self) -> bytes: ...


class _Gzip(Decoder):
    """One member: several, as in a file, are not what servers send, and each would cost more than its bytes."""

    failure = zlib.error
    wbits = 16 + zlib.MAX_WBITS

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(self.wbits)

    @property
    def ended(self) -> bool:
        return self._zlib.eof

    def _step(self, chunk: bytes) -> bytes:
        return self._zlib.decompress(chunk or self._zlib.unconsumed_tail, _STEP)

    def _has_more(self, piece: bytes) -> bool:
        # a full piece may have left something in zlib's window, with all of the input taken
        return bool(self._zlib.unconsumed_tail) or len(piece) >= _STEP

    def _left_over(self) -> bytes:
        return self._zlib.unused_data


class _Deflate(_Gzip):
    """With the header of zlib, as RFC 9110 has it, or bare, as servers have sent it for as long."""

    _begun = False

    def _step(self, chunk: bytes) -> bytes:
        if chunk and not self._begun:
            self._begun = True
            # zlib's header has 8 in its low bits; a bare stream has not, because that would be a stored block with
            # padding that is not zero
            bare = chunk[0] & 0x0F != 8
            self._zlib = zlib.decompressobj(-zlib.MAX_WBITS if bare else zlib.MAX_WBITS)
        return super()._step(chunk)


class _Brotli(Decoder):
    def __init__(self, package: Any) -> None:
        self._brotli = package.Decompressor()
        self.failure = package.error

    @property
    def ended(self) -> bool:
        return bool(self._brotli.is_finished())

    def _step(self, chunk: bytes) -> bytes:
        piece: bytes = self._brotli.process(chunk, output_buffer_limit=_STEP)
        return piece

    def _has_more(self, piece: bytes) -> bool:
        # it may take more input while it still holds output back
        return not self._brotli.can_accept_more_data() or len(piece) >= _STEP

    def _left_over(self) -> bytes:
        return b""  # an error of its own


class _Zstd(Decoder):
    """One frame: several, as in a file, are not what servers send, and each would cost more than its bytes."""

    def __init__(self, package: Any) -> None:
        self._zstd = package.ZstdDecompressor(options={package.DecompressionParameter.window_log_max: _MAX_WINDOW})
        self.failure = package.ZstdError

    @property
    def ended(self) -> bool:
        return bool(self._zstd.eof)

    def _step(self, chunk: bytes) -> bytes:
        piece: bytes = self._zstd.decompress(chunk, _STEP)
        return piece

    def _has_more(self, piece: bytes) -> bool:  # noqa: ARG002  the others need it
        return not self._zstd.needs_input

    def _left_over(self) -> bytes:
        left: bytes = self._zstd.unused_data
        return left


def _brotli() -> Decoder:
    return _Brotli(import_module("brotli"))


def _zstd() -> Decoder:
    return _Zstd(import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"))


_DECODERS: Final[dict[str, Callable[[], Decoder]]] = {
    "gzip": _Gzip,
    "x-gzip": _Gzip,  # RFC 9110, 8.4.1.3: the same
    "deflate": _Deflate,
    "br": _brotli,
    "zstd": _zstd,
}


def decoder(coding: str) -> Decoder:
    """A decoder for one body. Raises ``CodingError`` for a coding that nobody here knows."""
    if coding not in _DECODERS:
        raise CodingError("not known")
    return _DECODERS[coding]()
