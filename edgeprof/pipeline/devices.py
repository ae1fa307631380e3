"""Devices by themselves: what they are, what would spoil a measurement there, and making room on them."""

from __future__ import annotations

import time
from collections.abc import Collection

import msgspec

from edgeprof import measure as measuring
from edgeprof import target
from edgeprof.errors import UsageError
from edgeprof.progress import Progress
from edgeprof.records import Device, DeviceFacts, Finding, Format
from edgeprof.store import Store
from edgeprof.target.protocol import Cleaned

FORMATS: tuple[Format, ...] = ("onnx", "openvino", "tflite")


def probe(store: Store, device: Device, progress: Progress) -> DeviceFacts:
    """What a device is, asked of its agent; nothing is installed and nobody's measurement there is disturbed.

    Raises:
        LinkError, DeviceError: it cannot be reached or asked.
    """
    with target.connect(device, store, progress) as connection:
        connection.provide(FORMATS, bring=False)
        found = measuring.facts(connection, full=device.transport == "local", now=True)
        told = {one: measuring.providers(connection, one) for one in FORMATS if measuring.has_runtime(one, found)}
        return msgspec.structs.replace(found, providers={one: all_ for one, all_ in told.items() if all_ is not None})


def doctor(store: Store, device: Device, formats: Collection[Format], progress: Progress) -> tuple[Finding, ...]:
    """What would spoil a measurement on a device as it is now, the worst first.

    Args:
        formats: that are to be measured there.

    Raises:
        LinkError, DeviceError: it cannot be reached or asked.
    """
    with target.connect(device, store, progress) as connection:
        missing = connection.provide(formats, bring=False)
        asked_at = time.time()
        facts = measuring.facts(connection, full=False, now=True, state=device.state)
    no_wheels = {format: f"{one.package}: {one.why}" for format, one in missing.items()}
    return measuring.doctor(facts, device, sorted(formats), host_unix_time=asked_at, no_wheels=no_wheels)


def clean(
    store: Store, device: Device, older_than_s: float, everything: bool, wait_s: float, progress: Progress
) -> Cleaned:
    """Remove from a device what was not used for so long, or everything; never what is in use.

    Raises:
        UsageError: nothing is kept there.
        DeviceBusyError: somebody measures there.
        LinkError, DeviceError: it cannot be reached or asked.
    """
    from edgeprof.target.ssh.connection import SshConnection

    with target.connect(device, store, progress) as connection:
        if not isinstance(connection, SshConnection):
            raise UsageError(f"{device.name} is this machine: nothing is kept there but the store")
        connection.hold("edgeprof device clean", "", wait_s)
        return connection.clean(older_than_s, everything)
