"""Devices and how to reach them."""

from __future__ import annotations

from edgeprof.errors import MissingPackageError
from edgeprof.progress import Progress, Silent
from edgeprof.records import Device
from edgeprof.store import Store
from edgeprof.target.connection import ANSWER_S, AgentChannel, Connection, NoRuntime, greet, unexpected

__all__ = ["ANSWER_S", "AgentChannel", "Connection", "NoRuntime", "connect", "greet", "unexpected"]


def connect(device: Device, store: Store, progress: Progress | None = None) -> Connection:
    """A way to the device.

    Args:
        progress: told of what the link does, and asked for secrets.

    Raises:
        DeviceError: it cannot be reached.
    """
    if device.transport == "local":
        from edgeprof.target.local import LocalConnection

        return LocalConnection(device, store)
    try:
        from edgeprof.target.ssh.connection import SshConnection
    except ModuleNotFoundError as error:
        raise MissingPackageError(error.name or "paramiko", "ssh") from error
    return SshConnection(device, store, progress or Silent())
