"""Host keys that are not known yet: the question to a person, and the answers to a script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeprof.cli import console
from edgeprof.errors import DeviceError

if TYPE_CHECKING:
    from edgeprof.pipeline import Presented
    from edgeprof.records import Device


def decided(seen: Presented, board: Device, fingerprint: str | None) -> bool | None:
    """Whether a person, or the script that a person wrote, takes the key for the board's; None: nobody said so."""
    if fingerprint is not None:
        if fingerprint != seen.fingerprint:
            raise other_key(seen, board, fingerprint)
        return True
    who = f"the jump host {seen.host}, on the way to {board.name}," if seen.jump else f"{board.name} ({board.host})"
    console.say(f"{who} presents the host key {seen.kind} {seen.fingerprint}, which is not known yet.")
    family = next((name for name in ("ed25519", "ecdsa", "rsa") if name in seen.kind), "*")
    console.say(f"  compare it there: ssh-keygen -lf /etc/ssh/ssh_host_{family}_key.pub")
    return True if console.asked_yes(f"Is it the {'jump host' if seen.jump else 'board'}'s key?") else None


def untrusted(seen: Presented, board: Device) -> DeviceError:
    return DeviceError(
        f"the host key{_of_jump(seen)} is not known: {seen.kind} {seen.fingerprint}",
        where=board.name,
        hint=f"compare it there, then: edgeprof device trust {board.name}"
        f" (in scripts: edgeprof device trust {board.name} --fingerprint {seen.fingerprint})",
    )


def _of_jump(seen: Presented) -> str:
    return f" of the jump host {seen.host}" if seen.jump else ""


def other_key(seen: Presented, board: Device, fingerprint: str) -> DeviceError:
    return DeviceError(
        f"the host key{_of_jump(seen)} is not the expected one: it is {seen.fingerprint}, expected is {fingerprint}",
        where=board.name,
        hint="either the expectation is wrong, or this is not the board you think it is; nothing was stored",
    )
