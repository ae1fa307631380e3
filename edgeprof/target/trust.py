"""The host key of a device: what it presents, whether it is known, and taking it for known once a person says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from edgeprof.errors import DeviceError, MissingPackageError, UsageError
from edgeprof.progress import Progress
from edgeprof.records import Device


class Presented(NamedTuple):
    """The key that a host presents: the device, or the first jump host on the way to it that is not known."""

    host: str
    kind: str
    """Such as ssh-ed25519."""
    fingerprint: str
    """SHA256:..., as ssh-keygen prints it."""
    known: bool
    jump: bool
    """Whether it is the key of a jump host."""
    address: Any
    key: Any


def presented(device: Device, progress: Progress) -> Presented:
    """Ask for the host key that somebody has to know, without logging in there.

    Raises:
        UsageError: it is not reached over SSH.
        LinkError, DeviceError: it cannot be asked, or its key is another than the known one.
    """
    if device.transport != "ssh":
        raise UsageError(f"{device.name} is this machine: it has no host key", where=f"devices/{device.name}.toml")
    try:
        from edgeprof.target.ssh.hostkeys import fingerprint
        from edgeprof.target.ssh.link import Link
    except ModuleNotFoundError as error:
        raise MissingPackageError(error.name or "paramiko", "ssh") from error
    link = Link(device, progress)
    address, key, known = link.server_key()
    return Presented(
        address.known_as, key.get_name(), fingerprint(key), known, address is not link.address, address, key
    )


def accept(device: Device, seen: Presented) -> Path:
    """Take the key for that host's from now on; returns the file that holds it.

    Raises:
        DeviceError: the file cannot be written.
    """
    from edgeprof.target.ssh.hostkeys import remember

    if device.known_hosts is None:
        raise DeviceError("there is no file for host keys", where=device.name)
    remember(Path(device.known_hosts), seen.address, seen.key)
    return Path(device.known_hosts)
