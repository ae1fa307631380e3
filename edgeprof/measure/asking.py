"""Asking an agent one thing."""

from __future__ import annotations

from collections.abc import Mapping

from edgeprof.records import DeviceFacts
from edgeprof.target import ANSWER_S, Connection, greet, unexpected
from edgeprof.target.protocol import AskFacts, AskProviders, Call, Event, Facts, Failed, Providers


def facts(
    connection: Connection, *, full: bool = True, now: bool = False, state: Mapping[str, str | int] | None = None
) -> DeviceFacts:
    """What the device is.

    Args:
        full: also what takes a moment of its processor to find out; not while somebody else measures there.
        now: also what goes on there at the moment.
        state: with `now`, whether this could be set there.

    Raises:
        LinkError, DeviceError: it cannot be asked.
    """
    event = ask(connection, AskFacts(sites=connection.sites, full=full, now=now, state=dict(state or {})), ANSWER_S)
    if not isinstance(event, Facts):
        raise unexpected(event)
    return event.facts


def providers(connection: Connection, format: str) -> tuple[str, ...] | None:
    """What the runtime of a format can run on there; None where it cannot be asked.

    Raises:
        LinkError, DeviceError: the device cannot be asked.
    """
    site = connection.sites.get(format, ())
    event = ask(connection, AskProviders(format=format, site=site, timeout_s=ANSWER_S), ANSWER_S + 30)
    if isinstance(event, Providers):
        return event.providers
    if isinstance(event, Failed):
        return None
    raise unexpected(event)


def ask(connection: Connection, call: Call, timeout_s: float) -> Event:
    """Ask an agent of its own one thing.

    Raises:
        LinkError, DeviceError: no agent, or no answer in time.
    """
    channel = connection.start_agent()
    try:
        greet(channel, connection.agent_sha)
        channel.send(call)
        return channel.receive(timeout_s)
    finally:
        channel.close()
