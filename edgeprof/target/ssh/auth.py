"""Logging in: the agent's keys, keys in files, a password. Secrets come from a person or an environment variable."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
from paramiko.agent import AgentKey, AgentSSH

from edgeprof.errors import DeviceError
from edgeprof.progress import Progress
from edgeprof.records import Device
from edgeprof.target.ssh.config import Address
from edgeprof.target.ssh.keyfile import PassphraseError, load_key

AGENT_S = 30.0
"""An agent may ask its user before it signs."""
PASSWORD_TRIES = 3
"""How often a person may type a password; one from an environment variable is tried once."""


def log_in(transport: paramiko.Transport, address: Address, device: Device, progress: Progress) -> None:
    """Authenticate, each way that the server allows in turn.

    Raises:
        paramiko.SSHException: none of them is accepted; the class tells why.
    """
    refusal: paramiko.SSHException | None = None
    for key in _keys(address, device, progress):
        try:
            transport.auth_publickey(address.user, key)
        except paramiko.BadAuthenticationType as error:
            refusal = error
            break  # the server takes no keys at all
        except paramiko.AuthenticationException as error:
            refusal = error
        if transport.is_authenticated():
            return
    allowed = _allowed(transport, address, refusal)
    if transport.is_authenticated():
        return
    for method in ("password", "keyboard-interactive"):
        if method in allowed:
            refusal = _by_password(transport, address, device, progress, method) or refusal
        if transport.is_authenticated():
            return
    raise refusal or paramiko.AuthenticationException("no key and no password was accepted")


def _allowed(transport: paramiko.Transport, address: Address, refusal: paramiko.SSHException | None) -> tuple[str, ...]:
    if isinstance(refusal, paramiko.BadAuthenticationType):
        return tuple(refusal.allowed_types)
    try:
        transport.auth_none(address.user)
    except paramiko.BadAuthenticationType as error:
        return tuple(error.allowed_types)
    except paramiko.AuthenticationException:
        pass
    return ()


def _by_password(
    transport: paramiko.Transport, address: Address, device: Device, progress: Progress, method: str
) -> paramiko.SSHException | None:
    """Try passwords; the last refusal."""
    refusal: paramiko.SSHException | None = None
    for secret in _secrets(device, progress, f"password of {address.user}@{address.alias}: ", PASSWORD_TRIES):
        try:
            if method == "password":
                transport.auth_password(address.user, secret, fallback=False)
            else:
                transport.auth_interactive(address.user, _answering(secret))
        except paramiko.AuthenticationException as error:
            refusal = error
        else:
            return None
    return refusal


def _answering(secret: str) -> Callable[[str, str, list[tuple[str, bool]]], list[str]]:
    """Gives it for whatever is asked."""
    return lambda _title, _instructions, fields: [secret for _ in fields]


def _secrets(device: Device, progress: Progress, prompt: str, tries: int) -> Iterator[str]:
    """What the device file's environment variable holds, or what a person types."""
    if device.password_env:
        value = os.environ.get(device.password_env)
        if value:
            yield value
            return
    for _ in range(tries):
        typed = progress.secret(prompt)
        if typed is None:
            return
        yield typed


def _keys(address: Address, device: Device, progress: Progress) -> Iterator[paramiko.PKey]:
    """Keys to try, in OpenSSH's order: the agent's that are named in the configuration, its others, those in files."""
    public = {blob for path in address.key_files if (blob := _public_blob(path)) is not None}
    held = _agent_keys(address.agent_socket)
    named = [key for key in held if key.asbytes() in public]
    yield from named
    if not address.identities_only:
        yield from (key for key in held if key.asbytes() not in public)
    offered = {key.asbytes() for key in named}
    for path in address.key_files:
        if path.is_file() and _public_blob(path) not in offered:
            yield from _from_file(path, address, device, progress)


def _agent_keys(path: Path | None) -> tuple[AgentKey, ...]:
    """Those of the ssh-agent that listens at `path`; none where there is no agent."""
    if path is None:
        return ()
    with contextlib.suppress(paramiko.SSHException, OSError):
        agent = AgentSSH()
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(AGENT_S)
        line.connect(str(path))
        agent._connect(line)  # type: ignore[attr-defined]
        return tuple(agent.get_keys())
    return ()


def _from_file(path: Path, address: Address, device: Device, progress: Progress) -> Iterator[paramiko.PKey]:
    """The key in a file, by its passphrase if it has one.

    Raises:
        DeviceError: it is the one that the device file names, and it cannot be used.
    """
    try:
        refusal: DeviceError
        try:
            yield load_key(path, device.name)
            return
        except PassphraseError as error:
            refusal = error
        for secret in _secrets(device, progress, f"passphrase of {path}: ", PASSWORD_TRIES):
            try:
                yield load_key(path, device.name, secret)
                return
            except PassphraseError as error:
                refusal = error
        raise refusal
    except DeviceError:
        if device.key_file is not None and path == Path(device.key_file).expanduser():
            raise


def _public_blob(path: Path) -> bytes | None:
    """The public half that lies beside a key file."""
    with contextlib.suppress(OSError, ValueError, paramiko.SSHException, IndexError):
        import base64

        return base64.b64decode(path.with_name(path.name + ".pub").read_text().split()[1])
    return None
