"""Talking to the agent: greeting it, and asking it one thing."""

from __future__ import annotations

from edgeprof.errors import DeviceError
from edgeprof.records import DeviceFacts
from edgeprof.target import AgentChannel, Connection
from edgeprof.target.protocol import PROTOCOL, AskFacts, Call, Event, Facts, Hello, HelloBack, Misunderstood

ANSWER_S = 60.0
"""Deadline for an answer that needs no measuring: Python starts slowly on a small board."""


def facts(connection: Connection) -> DeviceFacts:
    """What the device is.

    Raises:
        LinkError, DeviceError: it cannot be asked.
    """
    event = ask(connection, AskFacts(), ANSWER_S)
    if not isinstance(event, Facts):
        raise unexpected(event)
    return event.facts


def ask(connection: Connection, call: Call, timeout_s: float) -> Event:
    """Ask an agent of its own one thing.

    Raises:
        LinkError, DeviceError: no agent, or no answer in time.
    """
    channel = connection.start_agent()
    try:
        greet(channel, connection)
        channel.send(call)
        return channel.receive(timeout_s)
    finally:
        channel.close()


def greet(channel: AgentChannel, connection: Connection) -> None:
    """Make sure that our agent answers.

    Raises:
        LinkError, DeviceError: none does, or another.
    """
    channel.send(Hello())
    hello = channel.receive(ANSWER_S)
    if not isinstance(hello, HelloBack):
        raise unexpected(hello)
    if hello.protocol != PROTOCOL or hello.agent_sha != connection.agent_sha:
        raise DeviceError(
            f"another agent answered: protocol {hello.protocol}, {hello.agent_sha[:12]};"
            f" ours is {PROTOCOL}, {connection.agent_sha[:12]}"
        )


def unexpected(event: Event) -> DeviceError:
    """The error that an event is out of place."""
    if isinstance(event, Misunderstood):
        return DeviceError(f"the agent did not understand: {event.message}")
    return DeviceError(f"the agent said {type(event).__name__} when something else was due")
