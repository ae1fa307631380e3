"""Lines and bytes that arrive mixed on one descriptor."""

from __future__ import annotations

import os
import select

from .refusal import Refused

BLOCK = 1 << 20
IDLE_S = 600.0
"""When nothing came for so long, whoever sends is believed to be gone."""


class SourceEndedError(Exception):
    """Whoever sends has closed its end, or is gone."""


class Source:
    """Reads a descriptor into one buffer that is used again and again.

    Args:
        read: what has been read from it already.
    """

    def __init__(self, descriptor: int, read: bytes = b"") -> None:
        self._descriptor = descriptor
        self._buffer = memoryview(bytearray(max(BLOCK, len(read))))
        self._buffer[: len(read)] = read
        self._begin = 0
        self._end = len(read)

    def rest(self) -> bytes:
        """What was read and not used."""
        return bytes(self._buffer[self._begin : self._end])

    def line(self, limit: int) -> bytes:
        """The next line without its newline.

        Raises:
            SourceEndedError: it ended before.
            Refused: it is longer than `limit`.
        """
        parts = []
        size = 0
        while True:
            data = bytes(self.some(BLOCK))
            line, newline, rest = data.partition(b"\n")
            parts.append(line)
            size += len(line)
            if size > limit:
                raise Refused("other", "a line of more than %d bytes" % limit)
            if newline:
                self._begin -= len(rest)
                return b"".join(parts)

    def some(self, most: int) -> memoryview:
        """From 1 to `most` bytes, as soon as there are any; valid until the next call.

        Raises:
            SourceEndedError: there are no more.
        """
        if self._begin == self._end:
            if not select.select([self._descriptor], [], [], IDLE_S)[0]:
                raise SourceEndedError
            self._begin, self._end = 0, os.readv(self._descriptor, [self._buffer])
            if not self._end:
                raise SourceEndedError
        begin = self._begin
        self._begin = min(self._end, begin + most)
        return self._buffer[begin : self._begin]
