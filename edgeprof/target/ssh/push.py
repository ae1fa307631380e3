"""The host's half of sending files; the device's is `edgeprof/agent/blobs.py`, which tells the wire.

They go over the channel of the agent that answers our calls: another command would cost round trips and another Python.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import msgspec

from edgeprof.errors import DeviceError, LinkError, RecordError
from edgeprof.progress import Progress
from edgeprof.records import Record
from edgeprof.target.local import MADE_AGAIN
from edgeprof.target.protocol import Refused
from edgeprof.target.ssh.refusals import refusal

STAGE = "push (MB)"
BLOCK = 8 * (32768 - 64)
"""A multiple of what paramiko puts into one packet."""
MANY = 64
"""A longer list is first asked for by its sha256: an unchanged push of a thousand files moves a few hundred bytes."""
MARGIN_BYTES = 8 << 20
"""What must stay free on the device."""
MB = 10**6
ANSWER_S = 60.0
LAST_WORDS = 4
LAST_WORDS_S = 2.0
HASHED_PER_S = 5 * MB
"""The slowest device that is waited for while it hashes what it has, or writes what it got to a poor card."""


class Stream(Protocol):
    """What a transfer needs of the link."""

    def write(self, data: bytes | memoryview) -> None:
        """Hand over all of it, or raise LinkError."""

    def read_line(self, timeout_s: float) -> bytes:
        """The next line, or LinkError."""

    def ready(self) -> bool:
        """Whether `read_line` would not wait."""


class Have(Record, tag_field="event", tag="have"):
    """What of the files is on the device."""

    offsets: dict[str, int]
    whole: bool
    free_bytes: int


class Unknown(Record, tag_field="event", tag="unknown"):
    """The device does not know that list."""


class Received(Record, tag_field="event", tag="received"):
    """All was taken in, but what did not have its sha256."""

    damaged: tuple[str, ...]


class Listed(Record):
    """A list as it is named by its sha256; the device makes the same bytes."""

    files: tuple[tuple[str, int], ...]


class Receive(Record, tag_field="call", tag="receive"):
    """Files follow."""


class AskFiles(Listed):
    """Have these here."""

    fence: int | None
    lease: str | None


class AskKnown(Record):
    """Have those of a list here that was taken in before."""

    known: str
    fence: int | None
    lease: str | None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Have | Unknown | Received | Refused).decode


def push(
    stream: Stream,
    files: Mapping[str, Path],
    *,
    fence: int | None,
    lease: str | None,
    device: str,
    progress: Progress,
) -> None:
    """Have files on the device, by the agent at the other end of the stream; what is there already is not sent.

    Args:
        files: sha256 -> where the file lies here.
        fence: of the lease that must still be ours, if one is held; `lease`: its folder.

    Raises:
        LinkError: the link broke; over a new one it goes on where this stopped.
        DeviceError: no room there, not writable, or its disk changes what is written.
        RecordError: a file here is not what its sha256 says.
    """
    if not files:
        return
    transfer = _Transfer(stream, files, device, progress)
    stream.write(_encode(Receive()) + b"\n")
    damaged = transfer.send(list(files), fence, lease)
    if damaged:
        # Not hashed while sending: the device does that anyway, and here it would hold up the sending.
        for sha in damaged:
            _check(sha, files[sha])
        damaged = transfer.send(damaged, fence, lease)
    stream.write(b'{"end":true}\n')
    if damaged:
        raise DeviceError(
            f"{len(damaged)} files do not arrive as they were sent; first: {damaged[0][:12]}",
            where=device,
            hint="its disk or card may be failing; see what its kernel says with: dmesg",
        )


class _Transfer:
    def __init__(self, stream: Stream, files: Mapping[str, Path], device: str, progress: Progress) -> None:
        self.stream = stream
        self.files = files
        self.device = device
        self.progress = progress
        self.sizes = {sha: _size(path) for sha, path in files.items()}
        self.to_send = 0
        self.free = 0

    def send(self, shas: Sequence[str], fence: int | None, lease: str | None) -> list[str]:
        """Send what the device lacks of these; returns those that did not arrive well."""
        have = self.ask(shas, fence, lease)
        offsets = {sha: self.sizes[sha] if have.whole else have.offsets.get(sha, 0) for sha in shas}
        if any(not 0 <= offset <= self.sizes[sha] for sha, offset in offsets.items()):
            raise LinkError("the device says that it has more of a file than there is", where=self.device)
        self.to_send = sum(self.sizes[sha] - offset for sha, offset in offsets.items())
        self.free = have.free_bytes
        if self.to_send and self.to_send + MARGIN_BYTES > self.free:
            needed = -(-(self.to_send + MARGIN_BYTES) // MB)
            raise DeviceError(
                f"not enough room: {needed} MB are needed, {self.free // MB} MB are free",
                where=self.device,
                hint=f"make room there: edgeprof device clean {self.device}",
            )
        if self.to_send:
            self.progress.start(STAGE, -(-self.to_send // MB))
        try:
            self.stream_out(offsets)
            answer = self.answer(ANSWER_S + self.to_send / HASHED_PER_S)
        finally:
            if self.to_send:
                self.progress.finish(STAGE)
        if not isinstance(answer, Received):
            raise self.odd(answer)
        if not set(answer.damaged) <= set(shas):
            raise LinkError("the device names files that it was not sent", where=self.device)
        return list(answer.damaged)

    def ask(self, shas: Sequence[str], fence: int | None, lease: str | None) -> Have:
        """What the device has of these."""
        files = tuple((sha, self.sizes[sha]) for sha in shas)
        timeout_s = ANSWER_S + sum(size for _, size in files) / HASHED_PER_S
        if len(files) > MANY:
            known = hashlib.sha256(_encode(Listed(files=files))).hexdigest()
            self.write(_encode(AskKnown(known=known, fence=fence, lease=lease)) + b"\n")
            answer = self.answer(timeout_s)
            if isinstance(answer, Have):
                return answer
            if not isinstance(answer, Unknown):
                raise self.odd(answer)
        self.write(_encode(AskFiles(files=files, fence=fence, lease=lease)) + b"\n")
        answer = self.answer(timeout_s)
        if not isinstance(answer, Have):
            raise self.odd(answer)
        return answer

    def stream_out(self, offsets: Mapping[str, int]) -> None:
        """The rest of each file, end to end in whole blocks."""
        block = memoryview(bytearray(BLOCK))
        filled = 0
        for sha, offset in offsets.items():
            path, left = self.files[sha], self.sizes[sha] - offset
            if not left:
                continue
            with reading(path), path.open("rb", buffering=0) as file:
                file.seek(offset)
                while left:
                    count = file.readinto(block[filled : filled + left])
                    if not count:
                        raise _changed(path, "it has become shorter")
                    filled += count
                    left -= count
                    if filled == BLOCK:
                        self.write(block)
                        self.progress.advance(STAGE, BLOCK / MB, self.device)
                        filled = 0
        if filled:
            self.write(block[:filled])
            self.progress.advance(STAGE, filled / MB, self.device)

    def write(self, data: bytes | memoryview) -> None:
        """Hand over data, unless the device has said that it wants no more."""
        try:
            if self.stream.ready():
                raise self.odd(self.answer(ANSWER_S))
            self.stream.write(data)
        except LinkError as error:
            # Whoever refuses says so and goes; that is what matters then.
            with suppress(LinkError):
                for _ in range(LAST_WORDS):
                    self.answer(LAST_WORDS_S)
            raise error from None

    def answer(self, timeout_s: float) -> Have | Unknown | Received:
        """What the device says."""
        line = self.stream.read_line(timeout_s)
        try:
            answer: Have | Unknown | Received | Refused = _decode(line)
        except msgspec.MsgspecError as error:
            raise LinkError(f"the device said what is no answer: {line[:80]!r} ({error})", where=self.device) from error
        if not isinstance(answer, Refused):
            return answer
        if answer.kind == "disk_full":
            told = f"{answer.message} ({self.to_send // MB + 1} MB were to be sent, {self.free // MB} MB were free)"
            answer = msgspec.structs.replace(answer, message=told)
        raise refusal(answer, self.device)

    def odd(self, answer: Have | Unknown | Received) -> LinkError:
        """The device says something out of turn."""
        return LinkError(f"the device answered with {type(answer).__name__.lower()} out of turn", where=self.device)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """A file of ours that cannot be read is our fault, not the link's."""
    try:
        yield
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror or error}", where=str(path), hint=MADE_AGAIN) from error


def _size(path: Path) -> int:
    with reading(path):
        return path.stat().st_size


def _check(sha: str, path: Path) -> None:
    """Whether a file is what its sha256 says."""
    with reading(path), path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha:
        raise _changed(path, f"its sha256 is {found[:12]}, recorded is {sha[:12]}")


def _changed(path: Path, how: str) -> RecordError:
    return RecordError(
        f"the file was changed or damaged: {how}", where=str(path), hint=f"delete this file; {MADE_AGAIN}"
    )
