"""A conversation with a session on a board, taken up again when the link drops.

The session carries calls out and spools its events whether or not anybody listens. We follow the spool and count the
bytes that were read as whole lines: after a drop it is read on from there, so no event is lost and none counted twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import msgspec

from edgeprof.errors import DeviceError, LinkError
from edgeprof.progress import Progress
from edgeprof.target.connection import decoded, encoded
from edgeprof.target.protocol import Call, Done, End, Event, Misunderstood, Refused
from edgeprof.target.ssh.bootstrap import new_mark, skip_to
from edgeprof.target.ssh.refusals import refusal
from edgeprof.target.ssh.stream import Stream
from edgeprof.target.stop import Stop

ATTACH_S = 30.0
PING_S = 30.0
"""A link that says nothing for so long is asked; a proxy or a router can keep a dead connection open."""
PONG_S = 30.0
END_S = 15.0
"""For the session to put the device's state back and end."""
LONGEST_PAUSE_S = 30.0

GONE = {
    "restarted": "the device was restarted",
    "killed": "the agent was killed on the device (out of memory?)",
    "ended": "the session had ended",
}


T = TypeVar("T")


class GivenUpError(DeviceError):
    """The link did not come back for as long as it was waited for: whoever waits again waits several times as long."""

    transient = True

    def __init__(self, keep_s: float, device: str, last: LinkError) -> None:
        super().__init__(
            f"not reached again within {keep_s:.0f} s: {last.what}",
            where=device,
            hint="run the same command again: it goes on where this one stopped",
        )


class SilentError(LinkError):
    """The link stands, and the agent says nothing: trying the link again is no help."""


class Told(msgspec.Struct, kw_only=True):
    """A control line of the follower: attached, pong or gone."""

    event: str
    calls: int = 0
    alive: bool = True
    ping: int = 0
    why: str = "killed"


class SessionChannel:
    """See `AgentChannel`.

    Args:
        follow: starts a follower of the session, over a new connection where the old one broke.
        number: of the last call there.
        unfinished: whether that call's events were not read to their end.
        keep_s: how long to try to reach the device again.
        take_over: called before the session is ended, so that its lease is ours again.
    """

    def __init__(
        self,
        follow: Callable[[str], Stream],
        device: str,
        progress: Progress,
        *,
        number: int,
        unfinished: bool,
        keep_s: float,
        take_over: Callable[[], None],
        stop: Stop,
    ) -> None:
        self._stop = stop
        self.unfinished = unfinished
        self.number = number
        self.settled = not unfinished
        """Whether all events of the last call were read."""
        self.ended = False
        self.left = False
        """Whether it ended by itself, or was killed: its folder is there still."""
        self._ending = False
        self._take_over = take_over
        self._follow = follow
        self._device = device
        self._progress = progress
        self._keep_s = keep_s
        self._offset = 0
        self._unsent: bytes | None = None
        self._stream: Stream | None = None
        self._pings = 0
        self._heard = time.monotonic()
        self._asked: float | None = None

    def send(self, call: Call) -> None:
        """See `AgentChannel.send`. A call that may not have arrived is sent again after a drop; it counts once."""
        self.number += 1
        self.settled = False
        self._offset = 0
        self._unsent = _numbered(call, self.number)
        self._again(self._hand_over)

    def receive(self, timeout_s: float) -> Event:
        """See `AgentChannel.receive`. Time without a link does not count."""
        event: Event = self._again(lambda: self._next(timeout_s))
        if isinstance(event, (Refused, Misunderstood)) and self.unfinished:
            # How the call of an earlier host ended; ours may fare better.
            self.unfinished, self.settled = False, True
            raise LinkError(f"the session had stopped: {event.message}", where=self._device)
        if isinstance(event, Refused):
            if event.kind == "lease_lost":
                self._drop()  # it ends by itself, and the device is no longer ours
            raise refusal(event, self._device)
        if isinstance(event, Done):
            self.unfinished, self.settled = False, True
        return event

    def close(self) -> None:
        """See `AgentChannel.close`. Without a link the session ends by itself when nobody comes back."""
        # A link that breaks just now is worth another try; one that is known to be down is not.
        tries = 0 if self._stream is None else 2
        while tries and not self.ended:
            tries -= 1
            with suppress(DeviceError):
                self._end()
        self.ended = True
        self._drop()

    def attach(self) -> None:
        """Have the session know at once that it is followed; only then can `close` end it."""
        self._again(lambda: None)

    def _again(self, step: Callable[[], T]) -> T:
        """Do a step; where the link breaks, connect anew until it is done or `keep_s` have passed without a link."""
        if self.ended:
            raise LinkError("the session has ended", where=self._device)
        lost_at: float | None = None
        pause = 1.0
        while True:
            try:
                if self._stream is None:
                    self._attach()
                    if lost_at is not None:
                        gap = f"{time.monotonic() - lost_at:.0f} s"
                        self._progress.note(f"{self._device}: the link is back after {gap}; nothing is lost")
                        lost_at, pause = None, 1.0
                return step()
            except LinkError as error:
                if isinstance(error, SilentError):
                    raise
                self._drop()
                if self.ended:
                    raise
                now = time.monotonic()
                if lost_at is None:
                    lost_at = now
                    self._progress.note(
                        f"{self._device}: {error.what}; it goes on measuring, trying to reach it"
                        f" for {self._keep_s / 60:.0f} min"
                    )
                if now - lost_at + pause > self._keep_s:
                    raise GivenUpError(self._keep_s, self._device, error) from error
                self._stop.wait([], pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)

    def _attach(self) -> None:
        mark = new_mark()
        stream = self._follow(mark)
        try:
            skip_to(stream, mark, ATTACH_S)
            stream.write(msgspec.json.encode({"call": self.number, "offset": self._offset}) + b"\n")
            line = stream.read_line(ATTACH_S)
            if not line.startswith(b"#"):
                raise LinkError(f"the follower said {line[:80]!r}", where=self._device)
            self._control(line)
        except BaseException:
            stream.close()
            raise
        self._stream = stream
        self._heard = time.monotonic()
        self._asked = None
        if self._unsent is not None:
            stream.write(self._unsent)

    def _end(self) -> None:
        try:
            if self._stream is None:
                self._attach()
            assert self._stream is not None
            self._take_over()
            self._ending = True
            self._stream.write(_numbered(End(), self.number + 1))
            deadline = time.monotonic() + END_S
            while time.monotonic() < deadline:
                self._control(self._stream.read_line(deadline - time.monotonic()))
            self.ended = True  # or not; its watchdog ends it
        except BaseException:
            self._drop()
            raise

    def _hand_over(self) -> None:
        if self._stream is not None and self._unsent is not None:
            self._stream.write(self._unsent)

    def _next(self, timeout_s: float) -> Event:
        deadline = time.monotonic() + timeout_s
        while True:
            assert self._stream is not None
            left = deadline - time.monotonic()
            if left <= 0:
                raise SilentError(f"the agent has not said anything for {timeout_s:.0f} s", where=self._device)
            if not self._stream.ready() and not self._wait(min(left, 5.0)):
                continue
            line = self._stream.read_line(min(max(left, 1.0), PONG_S))
            self._heard = time.monotonic()
            self._asked = None
            if line.startswith(b"#"):
                self._control(line)
                continue
            self._offset += len(line) + 1
            self._unsent = None
            return decoded(line, self._device)

    def _wait(self, seconds: float) -> bool:
        """Whether something came; a link that has been quiet for long is asked whether it is there."""
        assert self._stream is not None
        if self._stream.wait(seconds):
            return True
        now = time.monotonic()
        if self._asked is not None and now - self._asked > PONG_S:
            self._stream.hang_up()
            raise LinkError("the link is dead: no answer to a ping", where=self._device)
        if self._asked is None and now - self._heard > PING_S:
            self._pings += 1
            self._asked = now
            self._stream.write(msgspec.json.encode({"ping": self._pings}) + b"\n")
        return False

    def _control(self, line: bytes) -> None:
        if not line.startswith(b"#"):
            return  # an event after the end was asked for
        try:
            told = msgspec.json.decode(line[1:], type=Told)
            said = msgspec.json.decode(line[1:], type=Refused) if told.event == "refused" else None
        except msgspec.MsgspecError as error:
            raise LinkError(f"the follower said {line[:80]!r} ({error})", where=self._device) from error
        if said is not None:
            message = f"the session cannot be followed: {said.message}"
            raise refusal(msgspec.structs.replace(said, message=message), self._device)
        if told.event == "attached" and not told.alive:
            self.left = True
        if told.event == "gone":
            self.left = self.left or not self._ending
            # All that it has spooled was read.
            self.ended = self.settled = True
            raise LinkError(GONE.get(told.why, told.why), where=self._device)

    def _drop(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def _numbered(call: Call, number: int) -> bytes:
    """A call as the follower's line; of two with one number the first counts."""
    fields = msgspec.json.decode(encoded(call))
    return msgspec.json.encode({**fields, "number": number}) + b"\n"
