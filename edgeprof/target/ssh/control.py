"""Talking with the agent that answers our calls on a board."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from edgeprof.errors import LinkError
from edgeprof.target.connection import decoded, encoded
from edgeprof.target.protocol import BoardCall, Call, Event
from edgeprof.target.ssh.stream import Stream


class AskChannel:
    """See `AgentChannel`: questions to the agent that we talk with. They change nothing there: one whose answer was
    lost with the link is asked again over a new one."""

    unfinished = False

    def __init__(self, ask: Callable[[Call, float], Event]) -> None:
        self._ask = ask
        self._due: deque[Call] = deque()
        self._closed = False

    def send(self, call: Call) -> None:
        """See `AgentChannel.send`."""
        if self._closed:
            raise LinkError("the channel was closed")
        self._due.append(call)

    def receive(self, timeout_s: float) -> Event:
        """See `AgentChannel.receive`."""
        return self._ask(self._due.popleft(), timeout_s)

    def close(self) -> None:
        """See `AgentChannel.close`."""
        self._closed = True


class ControlChannel:
    """The agent that answers questions. Closing it keeps it, unless an answer is still due."""

    unfinished = False

    def __init__(self, stream: Stream, device: str) -> None:
        self.stream = stream
        self._device = device
        self._due = 0
        self.usable = True

    def send(self, call: Call | BoardCall) -> None:
        """See `AgentChannel.send`."""
        self._due += 1
        self.stream.write(encoded(call))

    def receive(self, timeout_s: float) -> Event:
        """See `AgentChannel.receive`."""
        event = decoded(self.stream.read_line(timeout_s), self._device)
        self._due -= 1
        return event

    def ask(self, call: Call | BoardCall, timeout_s: float) -> Event:
        """The answer to one call."""
        try:
            self.send(call)
            return self.receive(timeout_s)
        finally:
            self.close()

    def close(self) -> None:
        """See `AgentChannel.close`."""
        if self._due:
            self.end()

    def end(self) -> None:
        """End the agent itself."""
        self.usable = False
        self.stream.close()
