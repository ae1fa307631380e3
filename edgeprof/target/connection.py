"""What every way to reach a device offers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol

import msgspec

from edgeprof.errors import DeviceError, LinkError
from edgeprof.target.protocol import (
    PROTOCOL,
    BoardCall,
    Call,
    Event,
    Hello,
    HelloBack,
    Misunderstood,
    Sites,
)

ANSWER_S = 60.0
"""Deadline for an answer that needs no measuring: Python starts slowly on a small board."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Event).decode


class AgentChannel(Protocol):
    """A conversation with one agent process on the device."""

    unfinished: bool
    """Whether events of a call are due that was sent by an earlier host, of a session that was found again."""

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


class NoRuntime(NamedTuple):
    """Why a device gets no runtime for a format."""

    package: str
    why: str


class Connection(Protocol):
    """A way to a device. Closed at the end of a `with` block."""

    agent_sha: str
    """sha256 of the agent that runs there."""
    sites: Sites
    """Format -> folders on the device with the runtime that was provided."""

    def hold(self, what: str, session: str, wait_s: float = 0.0) -> None:
        """Have the device for us alone until the connection is closed. Whoever names the session that has it gets it.

        Args:
            what: the command, for whoever finds the device in use.
            session: name of what is going to be measured; empty while it has none.

        Raises:
            DeviceBusyError: somebody else measures there, and did not end within `wait_s`.
        """

    def provide(self, formats: Collection[str], *, bring: bool = True) -> dict[str, NoRuntime]:
        """Have the runtimes of these formats on the device, as its file asks for.

        Args:
            bring: fetch and send what is missing; else only what is there already is found.

        Returns: format -> why there is none.

        Raises:
            LinkError, DeviceError: the link broke; the device cannot take them.
        """

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

    def forget(self, shas: Collection[str]) -> None:
        """Remove files that were pushed and are needed no more.

        Raises:
            LinkError, DeviceError: they cannot be removed.
        """

    def start_agent(self) -> AgentChannel:
        """An agent to ask things. It ends when the channel is closed, and when the host dies.

        Raises:
            LinkError, DeviceError: it cannot be started.
        """

    def open_session(self, name: str) -> AgentChannel:
        """An agent to measure with: the one of that name if it is there, else a new one.

        Over a link it goes on when the link drops or the host dies, and the channel takes it up again.

        Raises:
            LinkError, DeviceError: it cannot be started.
        """

    def interrupt(self) -> None:
        """Called by another thread: what waits here, now or later, raises KeyboardInterrupt; `close` still works."""

    def close(self) -> None:
        """Let go of the device. May be called twice."""

    def __enter__(self) -> Connection: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def greet(channel: AgentChannel, agent_sha: str) -> None:
    """Make sure that our agent answers.

    Raises:
        LinkError, DeviceError: none does, or another.
    """
    channel.send(Hello())
    hello = channel.receive(ANSWER_S)
    if not isinstance(hello, HelloBack):
        raise unexpected(hello)
    if hello.protocol != PROTOCOL or hello.agent_sha != agent_sha:
        raise DeviceError(
            f"another agent answered: protocol {hello.protocol}, {hello.agent_sha[:12]};"
            f" ours is {PROTOCOL}, {agent_sha[:12]}"
        )


def unexpected(event: Event) -> DeviceError:
    """The error that an event is out of place."""
    if isinstance(event, Misunderstood):
        return DeviceError(f"the agent did not understand: {event.message}")
    return DeviceError(f"the agent said {type(event).__name__} when something else was due")


def encoded(call: Call | BoardCall) -> bytes:
    """A call as its line."""
    return _encode(call) + b"\n"


def decoded(line: bytes, device: str) -> Event:
    """The event that a line holds.

    Raises:
        LinkError: it holds none.
    """
    try:
        event: Event = _decode(line)
    except msgspec.MsgspecError as error:
        raise LinkError(f"the agent said what is no event: {line[:80]!r} ({error})", where=device) from error
    return event
