"""What every way to reach a device offers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol

from edgeprof.target.protocol import Call, Event


class AgentChannel(Protocol):
    """A conversation with one agent process on the device."""

    def send(self, call: Call) -> None:
        """Ask the agent something.

        Raises:
            LinkError: the agent is gone.
        """

    def receive(self, timeout_s: float) -> Event:
        """The next event; waits without using the processor.

        Raises:
            LinkError: the agent is gone, or nothing came within `timeout_s`.
            DeviceError: the agent never spoke: the device cannot run it.
        """

    def close(self) -> None:
        """End the agent, and with it whatever it is measuring. May be called twice; never raises for a dead agent."""


class Connection(Protocol):
    """A way to a device. Closed at the end of a `with` block."""

    agent_sha: str
    """sha256 of the agent that `start_agent` runs there."""

    def push(self, files: Mapping[str, Path]) -> dict[str, str]:
        """Have files on the device, sent only if they are not there yet.

        Args:
            files: sha256 -> where the file lies on the host.

        Returns: sha256 -> its path on the device, where it has that sha256.

        Raises:
            LinkError: the link broke.
            DeviceError: the device cannot take them (disk full, read-only).
            RecordError: a file on the host does not have its sha256.
        """

    def start_agent(self) -> AgentChannel:
        """Start an agent on the device. It ends when the channel is closed, and when the host dies.

        Raises:
            LinkError, DeviceError: it cannot be started.
        """

    def close(self) -> None:
        """Let go of the device. May be called twice."""

    def __enter__(self) -> Connection: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
