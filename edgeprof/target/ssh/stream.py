"""A command that runs on a board, and its streams."""

from __future__ import annotations

import time
from contextlib import suppress

import paramiko

from edgeprof.errors import DeviceError, LinkError
from edgeprof.target.ssh.config import Address
from edgeprof.target.ssh.errors import linked, printable
from edgeprof.target.stop import Stop

WRITE_S = 60.0
"""For the other side to take a piece of what is written."""
PACKET_BYTES = 32768 - 64
"""The most that paramiko puts into one packet; a longer piece would be copied once for each."""
LINE_BYTES = 64 << 20
"""More than any event is long: a device that sends without end must not fill our memory."""
STDERR_BYTES = 8192


class Done:
    """What a command left: its exit status, None if it was killed, and what it printed."""

    def __init__(self, status: int | None, stdout: bytes, stderr: str) -> None:
        self.status = status
        self.stdout = stdout
        self.stderr = stderr


class Stream:
    """A running command. Both of its outputs are taken in whenever one is waited for, so that neither can block it."""

    def __init__(self, channel: paramiko.Channel, device: str, address: Address, stop: Stop) -> None:
        self._stop = stop
        self._channel = channel
        self._device = device
        self._address = address
        self._pending = bytearray()
        self._searched = 0
        self._stderr = bytearray()

    @property
    def stderr(self) -> str:
        """The last that it said there, printable."""
        lines = self._stderr.decode("utf-8", "replace").splitlines()
        return "\n".join(printable(line) for line in lines).strip()

    def write(self, data: bytes | memoryview) -> None:
        """Hand over all of it.

        Raises:
            LinkError: the command or the link has ended, or takes nothing any more.
        """
        self._channel.settimeout(WRITE_S)
        try:
            view = memoryview(data)
            while view:
                view = view[self._channel.send(bytes(view[:PACKET_BYTES])) :]
        except Exception as error:
            raise linked(error, self._device, self._address) from error

    def end_of_input(self) -> None:
        """The command's stdin ends."""
        with suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.shutdown_write()

    def read_line(self, timeout_s: float) -> bytes:
        """The next line, without its end.

        Raises:
            LinkError: the command has ended, the link broke, or no line came in time.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            end = self._pending.find(b"\n", self._searched)
            if end >= 0:
                line = bytes(self._pending[:end])
                del self._pending[: end + 1]
                self._searched = 0
                return line
            self._searched = len(self._pending)
            if self._searched > LINE_BYTES:
                raise DeviceError(f"the device said a line of over {LINE_BYTES >> 20} MiB", where=self._device)
            if not self._fill(deadline):
                raise self._ended()

    def ready(self) -> bool:
        """Whether `read_line` would not wait: a whole line is there, or there will be none."""
        while b"\n" not in self._pending and len(self._pending) <= LINE_BYTES:
            if not self._take():
                return self._over()
        return True

    def wait(self, seconds: float) -> bool:
        """Wait for a line, or for the end; whether `read_line` would not wait now."""
        if not self.ready():
            self._stop.wait([self._channel], seconds)
        return self.ready()

    def finish(self, timeout_s: float) -> Done:
        """Take in all output, and only then the exit status (which may never come while output waits).

        Raises:
            LinkError: the link broke, or it did not end in time.
        """
        deadline = time.monotonic() + timeout_s
        while self._fill(deadline):
            pass
        if not self._channel.status_event.wait(max(0.0, deadline - time.monotonic())):
            raise LinkError("the command did not end in time", where=self._device)
        return Done(self.status, bytes(self._pending), self.stderr)

    @property
    def status(self) -> int | None:
        """The exit status of a command that has ended; None if it was killed or still runs."""
        known = self._channel.status_event.is_set() and self._channel.exit_status >= 0
        return self._channel.exit_status if known else None

    def close(self) -> None:
        """Let go; the command sees its stdin closed. May be called twice."""
        with suppress(Exception):  # the transport may be gone
            self._channel.close()

    def hang_up(self) -> None:
        """Give up the whole connection, which is dead whatever TCP says: the next command connects anew."""
        with suppress(Exception):
            self._channel.get_transport().close()

    def _fill(self, deadline: float) -> bool:
        """Take in what comes; whether more may come.

        Raises:
            LinkError: nothing came until the deadline.
        """
        while True:
            try:
                if self._take():
                    return True
                if self._over():
                    return False
                left = deadline - time.monotonic()
                if left <= 0:
                    raise LinkError("nothing came in time", where=self._device)
                # A time limit beside: an event could slip in between the look and the wait.
                self._stop.wait([self._channel], min(left, 5.0))
            except (OSError, EOFError, paramiko.SSHException) as error:
                raise linked(error, self._device, self._address) from error

    def _take(self) -> bool:
        """Take in what has come on both outputs; whether anything came on the first."""
        channel = self._channel
        if channel.recv_stderr_ready():
            self._stderr += channel.recv_stderr(1 << 16)
            del self._stderr[:-STDERR_BYTES]
        if not channel.recv_ready():
            return False
        data = channel.recv(1 << 18)
        self._pending += data
        return bool(data)

    def _over(self) -> bool:
        """Whether nothing more will come."""
        channel = self._channel
        ended = bool(channel.eof_received or channel.closed)
        return ended and not (channel.recv_ready() or channel.recv_stderr_ready())

    def _ended(self) -> LinkError:
        """Why there is no further line."""
        self._channel.status_event.wait(1.0)
        if self.status is None:
            return LinkError("the link broke", where=self._device)
        said = self.stderr.replace("\n", "; ")
        return LinkError(
            f"the command ended with exit status {self.status}" + (f": {said}" if said else ""), where=self._device
        )
