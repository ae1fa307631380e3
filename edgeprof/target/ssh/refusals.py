"""What a board refuses, as our errors."""

from __future__ import annotations

from edgeprof.errors import DeviceBusyError, DeviceError
from edgeprof.target.protocol import Holder, Refused


def refusal(event: Refused, device: str) -> DeviceError:
    """The error of a refused call, with what to do about it."""
    if event.kind == "busy":
        busy = DeviceBusyError(
            f"it is in use: {told(event.holder) if event.holder else event.message}",
            where=device,
            hint="wait for it: --wait 30m",
        )
        busy.session = event.holder.session if event.holder else None
        return busy
    if event.kind == "lease_lost":
        return DeviceBusyError(
            f"another edgeprof has the device now: {event.message}",
            where=device,
            hint="run the same command again with --wait 30m; what was measured is kept",
        )
    hints = {
        "disk_full": f"make room there: edgeprof device clean {device}",
        "read_only": f"name a folder that can be written as workdir in devices/{device}.toml",
        "sudo": f"allow it there without a password (sudoers), or take it out of devices/{device}.toml",
        "unsupported": f"take it out of devices/{device}.toml",
    }
    return DeviceError(event.message, where=device, hint=hints.get(event.kind))


def told(holder: Holder) -> str:
    """Who holds a board, for whoever finds it in use; a name from elsewhere cannot steer the terminal."""
    text = f"{holder.owner}: {holder.what}"
    return "".join(char if char.isprintable() else "?" for char in text)
