"""Devices and how to reach them."""

from __future__ import annotations

from edgeprof.errors import DeviceError
from edgeprof.records import Device
from edgeprof.store import Store
from edgeprof.target.connection import AgentChannel, Connection

__all__ = ["AgentChannel", "Connection", "connect"]


def connect(device: Device, store: Store) -> Connection:
    """A way to the device.

    Raises:
        DeviceError: it cannot be reached.
    """
    if device.transport == "local":
        from edgeprof.target.local import LocalConnection

        return LocalConnection(device, store)
    raise DeviceError(
        "SSH devices are not built yet",
        where=f"devices/{device.name}.toml, transport",
        hint="measure on this machine with: --device localhost",
    )
