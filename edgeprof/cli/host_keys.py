"""Host keys that are not known yet: the question to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeprof.cli import console

if TYPE_CHECKING:
    from edgeprof.api.types import HostKey
    from edgeprof.records import Device


def ask(seen: HostKey, board: Device) -> bool | None:
    """Whether a person takes the key for the board's; None: nobody can be asked."""
    who = f"the jump host {seen.host}, on the way to {board.name}," if seen.jump else f"{board.name} ({board.host})"
    console.say(f"{who} presents the host key {seen.kind} {seen.fingerprint}, which is not known yet.")
    family = next((name for name in ("ed25519", "ecdsa", "rsa") if name in seen.kind), "*")
    console.say(f"  compare it there: ssh-keygen -lf /etc/ssh/ssh_host_{family}_key.pub")
    return console.asked_yes(f"Is it the {'jump host' if seen.jump else 'board'}'s key?")
