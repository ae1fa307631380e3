"""The one place where paramiko's and the socket's exceptions become ours.

What may pass is a `LinkError` and is tried again; what cannot is a `DeviceError`. Texts from a server are made
printable, and no text here comes from a password, a passphrase or a key.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import paramiko
from paramiko.ssh_exception import IncompatiblePeer, MessageOrderError, PartialAuthentication

from edgeprof.errors import DeviceError, LinkError
from edgeprof.target.ssh.config import Address

MAX_AUTH_TRIES = 6
"""sshd's default: it hangs up on the client that fails so often."""
NO_ROUTE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EADDRNOTAVAIL}
BROKEN = {errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ENETRESET, errno.ENOTCONN, errno.ESHUTDOWN}
FORBIDDEN = {errno.EACCES, errno.EPERM}
FULL = {errno.EMFILE, errno.ENFILE}
PROHIBITED, CONNECT_FAILED, UNKNOWN_CHANNEL = 1, 2, 3
"""Why a server does not open a channel (RFC 4254)."""


class Tried(NamedTuple):
    """What a login had tried when it was refused."""

    files: tuple[Path, ...] = ()
    """Private keys."""
    agents: int = 0
    """How many keys of the ssh-agent."""
    locked: tuple[Path, ...] = ()
    """Private keys for whose passphrase nobody could be asked."""
    password: bool = False


def linked(
    error: BaseException,
    device: str,
    address: Address,
    *,
    through: Address | None = None,
    tried: Tried | None = None,
) -> DeviceError:
    """What went wrong on the way to a host.

    Args:
        error: an error of ours is given back as it is.
        device: name of the device file.
        address: of the host that was being reached or spoken to.
        through: the jump host through which the connection was being made, if it was.
        tried: in a login; None: whatever was there.
    """
    if isinstance(error, DeviceError):
        return error
    where = f"{device}, {address}"
    if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError) and error.errors:
        return linked(next(iter(error.errors.values())), device, address, through=through)
    if isinstance(error, paramiko.AuthenticationException):
        return _login(error, device, address, where, tried or _all_there(address))
    if isinstance(error, paramiko.ChannelException):
        return _channel(error, address, where, through)
    if isinstance(error, paramiko.SSHException):
        return _protocol(error, device, address, where)
    if isinstance(error, socket.gaierror):
        return _name(error, device, address, where)
    if isinstance(error, EOFError):
        return LinkError("the server closed the connection", where=where)
    if isinstance(error, UnicodeError):
        return DeviceError(f"{printable(address.hostname)} is no host name", where=where, hint=_name_hint(device))
    if isinstance(error, OSError):
        return _socket(error, device, address, where)
    return DeviceError(f"{type(error).__name__}: {printable(str(error))}", where=where)


def printable(text: str | bytes, limit: int = 300) -> str:
    """A text from elsewhere on one line, its control characters shown as `\\x1b`, cut at `limit` characters."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    shown = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text[: limit + 1]
    )
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def _all_there(address: Address) -> Tried:
    return Tried(tuple(path for path in address.key_files if path.is_file()))


def _login(
    error: paramiko.AuthenticationException, device: str, address: Address, where: str, tried: Tried
) -> DeviceError:
    said = str(error)
    keys = ", ".join(printable(path.name, 60) for path in tried.files)
    if isinstance(error, paramiko.PasswordRequiredException):
        return DeviceError(
            "a private key has a passphrase, and there is none for it" + (f" (of {keys})" if keys else ""),
            where=where,
            hint=f"ssh-add {tried.files[0] if tried.files else 'KEY'}, or name a variable in devices/{device}.toml: "
            'password_env = "NAME"',
        )
    if "timeout" in said.lower():
        return LinkError("the server did not answer to the login in time", where=where)
    if "EOF" in said:
        many = len(tried.files) + tried.agents
        if many >= MAX_AUTH_TRIES:
            return DeviceError(
                f"the server hung up during the login, perhaps after too many keys: {_keys(tried)}",
                where=where,
                hint=f"let only one be tried, in ~/.ssh/config: Host {address.alias}, IdentityFile ~/.ssh/KEY, "
                "IdentitiesOnly yes",
            )
        return LinkError(
            "the server hung up during the login" + (f"; keys tried: {_keys(tried)}" if many else ""), where=where
        )
    offered: Sequence[str] = ()
    if isinstance(error, paramiko.BadAuthenticationType | PartialAuthentication):
        offered = [printable(str(method), 40) for method in error.allowed_types][:10]
    told = f"; keys tried: {_keys(tried)}" if _keys(tried) else "; there was no key to try"
    if tried.locked:
        told += f"; not tried, for want of a passphrase: {', '.join(printable(one.name, 60) for one in tried.locked)}"
    missing = ", ".join(printable(str(path)) for path in address.key_files if not path.exists())
    told += f"; missing: {missing}" if missing else ""
    told += "; the password was not accepted" if tried.password else ""
    takes = f"; the server takes {', '.join(offered)}" if offered else ""
    algorithm = f" ({printable(said)})" if "pubkey algorithm" in said else ""
    if isinstance(error, PartialAuthentication):
        takes = f"; the server asks for more: {', '.join(offered)}"
    return DeviceError(
        f"{address.user} may not log in at {address.alias}{algorithm}{told}{takes}",
        where=where,
        hint=_login_hint(device, address, offered, tried),
    )


def _keys(tried: Tried) -> str:
    """The keys that were tried, in words."""
    names = [printable(path.name, 60) for path in tried.files]
    return ", ".join([*names, f"{tried.agents} of the ssh-agent's"] if tried.agents else names)


def _login_hint(device: str, address: Address, offered: Sequence[str], tried: Tried) -> str:
    port = f" -p {address.port}" if address.port != 22 else ""
    if tried.locked:
        return (
            f"ssh-add '{tried.locked[0]}', or name a variable that holds its passphrase in devices/{device}.toml: "
            'password_env = "NAME"'
        )
    if offered and "publickey" not in offered:
        return f'a password is asked for: password_env = "NAME" in devices/{device}.toml names a variable that holds it'
    password = ' (or password_env = "NAME" there)' if "password" in offered else ""
    copy = f"ssh-copy-id{port} {address.user}@{address.alias}"
    return f"{copy}, or another user or key_file in devices/{device}.toml{password}"


def _channel(error: paramiko.ChannelException, address: Address, where: str, through: Address | None) -> DeviceError:
    if through is not None:
        gate = through.alias
        if error.code == PROHIBITED:
            return DeviceError(
                f"the jump host {gate} lets no connection through",
                where=where,
                hint=f"in /etc/ssh/sshd_config of {gate}: AllowTcpForwarding yes (and PermitOpen any)",
            )
        if error.code == CONNECT_FAILED:
            return LinkError(
                f"the jump host {gate} cannot reach {printable(address.hostname)} port {address.port}",
                where=where,
                hint=f"try it there: ssh -J {through} -p {address.port} {address.user}@{address.hostname}",
            )
    if error.code in (PROHIBITED, UNKNOWN_CHANNEL):
        return DeviceError(
            "the server lets this user run no commands",
            where=where,
            hint="look for ForceCommand, MaxSessions and restrict in its sshd_config and authorized_keys",
        )
    return LinkError(f"the server did not open a channel: {printable(error.text)}", where=where)


def _protocol(error: paramiko.SSHException, device: str, address: Address, where: str) -> DeviceError:
    said = printable(str(error))
    if isinstance(error, paramiko.BadHostKeyException):
        return DeviceError("the host key is not the one that is known", where=where)
    if isinstance(error, MessageOrderError):
        return DeviceError(f"the server, or somebody in between, breaks the rules of SSH: {said}", where=where)
    if isinstance(error, IncompatiblePeer):
        return DeviceError(
            f"edgeprof and the server have no algorithm in common: {said}",
            where=where,
            hint="update OpenSSH on the board; what it offers: ssh -vv shows it after 'peer server KEXINIT proposal'",
        )
    if "Indecipherable protocol" in said or "Invalid SSH banner" in said:
        return DeviceError(
            f"what answers at port {address.port} does not speak SSH: {said}", where=where, hint=_port_hint(device)
        )
    if "protocol banner" in said:
        return LinkError(
            f"port {address.port} is open, but no SSH server answered",
            where=where,
            hint=f"is it the right one? {_port_hint(device)}",
        )
    if "Timeout" in said or "timed out" in said:
        return LinkError(
            f"the server did not answer in time: {said}",
            where=where,
            hint=f"is it overloaded? ssh -v -p {address.port} {address.user}@{printable(address.hostname)}",
        )
    if said in ("SSH session not active", "No existing session", "Channel closed.", "Channel is not open"):
        return LinkError("the connection is closed", where=where)
    return LinkError(f"SSH failed: {said or type(error).__name__}", where=where)


def _name(error: socket.gaierror, device: str, address: Address, where: str) -> DeviceError:
    host = printable(address.hostname)
    if error.errno == socket.EAI_AGAIN:
        return LinkError(
            f"the name server does not answer for {host}",
            where=where,
            hint=f"is this machine on a network? An address serves as well: host in devices/{device}.toml",
        )
    # Nobody but the board itself answers for such a name, so one that is starting looks like one that is not there.
    if host.endswith(".local"):
        return LinkError(
            f"no device on this network answers to {host}",
            where=where,
            hint=f"is it on, and is its name right? An address serves as well: host in devices/{device}.toml",
        )
    return DeviceError(f"there is no host named {host}", where=where, hint=_name_hint(device))


def _name_hint(device: str) -> str:
    return f"correct host in devices/{device}.toml: a name, an address, or a Host of ~/.ssh/config"


def _port_hint(device: str) -> str:
    return f"another port is set by: port = N in devices/{device}.toml"


def _socket(error: OSError, device: str, address: Address, where: str) -> DeviceError:
    code = error.errno
    if isinstance(error, TimeoutError) or code == errno.ETIMEDOUT:
        return LinkError(
            "nothing answered in time",
            where=where,
            hint=f"is it on and on this network? ping {printable(address.hostname)}",
        )
    if code == errno.ECONNREFUSED:
        return LinkError(
            f"port {address.port} is closed",
            where=where,
            hint=f"on the board: sudo systemctl enable --now ssh; {_port_hint(device)}",
        )
    if code in BROKEN or code is None:
        return LinkError("the connection broke", where=where)
    why = os.strerror(code)
    if code in NO_ROUTE:
        return LinkError(
            f"there is no way to {printable(address.hostname)}: {why}",
            where=where,
            hint=f"is it on and on this network? ping {printable(address.hostname)}",
        )
    if code in FORBIDDEN:
        return DeviceError(f"this machine does not let us connect: {why}", where=where, hint="look at its firewall")
    if code in FULL:
        return DeviceError(f"this machine has no connection left: {why}", where=where, hint="ulimit -n 4096")
    return LinkError(f"the connection failed: {why}", where=where)
