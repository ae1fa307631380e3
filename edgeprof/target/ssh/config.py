"""A device file and the user's ssh_config -> where to connect, as whom, by which keys, through which hosts.

Read as OpenSSH reads it: `~/.ssh/config`, then `/etc/ssh/ssh_config`; the first value found counts, and what the device
file says comes before both. Not honoured, on purpose: `StrictHostKeyChecking`, `NoHostAuthenticationForLocalhost` and
`VerifyHostKeyDNS` (host keys are always verified, by known hosts alone). Refused with a reason: `ProxyCommand`,
`Match exec`, the token `%C`. `CanonicalizeHostname` asks no name server; names go to the resolver as they are.
"""

from __future__ import annotations

import getpass
import os
import pwd
import re
import socket
from dataclasses import dataclass, replace
from pathlib import Path

from edgeprof.errors import DeviceError
from edgeprof.records import Device
from edgeprof.target.ssh.configfile import Options, canonical, expand_home, expand_hostname, read_options
from edgeprof.target.ssh.syntax import jump_hosts

CONNECT_S = 10.0
"""For a connection when nothing says how long: without a limit the kernel tries for two minutes."""
PORT = 22
MAX_HOPS = 10
DEFAULT_KEYS = ("id_rsa", "id_ecdsa", "id_ed25519")
"""OpenSSH's default identity files, in its order, without the kinds that paramiko has not."""
SYSTEM = Path("/etc/ssh")
TOKEN = re.compile("%(?P<token>.?)")


@dataclass(frozen=True)
class Address:
    """Where a host is and how to log in there."""

    device: str
    """Name of the device file."""
    alias: str
    """The host as the device file or a ProxyJump writes it."""
    hostname: str
    port: int
    user: str
    key_files: tuple[Path, ...]
    """Private keys to try, first one first; those named somewhere may be missing."""
    identities_only: bool
    """Whether the ssh-agent's other keys are left alone."""
    agent_socket: Path | None
    """Of the ssh-agent; None: none is to be asked."""
    known_hosts: tuple[Path, ...]
    """The user's, then the system's; they may be missing."""
    revoked_keys: Path | None
    """File of public keys that are never accepted."""
    host_key_alias: str | None
    timeout_s: float
    """For the connection."""
    jumps: tuple[Address, ...] = ()
    """Hosts to go through, the first one first; they have none themselves."""

    @property
    def no_agent(self) -> bool:
        """Whether no ssh-agent is to be asked."""
        return self.agent_socket is None

    @property
    def known_as(self) -> str:
        """The name under which known_hosts files hold its key."""
        if self.host_key_alias is not None:
            return self.host_key_alias
        return self.hostname if self.port == PORT else f"[{self.hostname}]:{self.port}"

    def __str__(self) -> str:
        host = f"[{self.hostname}]" if ":" in self.hostname else self.hostname
        return f"{self.user}@{host}" + (f":{self.port}" if self.port != PORT else "")


@dataclass(frozen=True)
class _Hop:
    """A host as a device file or a ProxyJump names it."""

    host: str
    user: str | None = None
    port: int | None = None
    key_file: str | None = None


def resolve(device: Device, home: Path | None = None, system: Path = SYSTEM) -> Address:
    """Where and how to reach a device.

    Args:
        home: in place of `$HOME`, for `~` and `~/.ssh`.
        system: in place of `/etc/ssh`.

    Raises:
        DeviceError: a file of the configuration cannot be read or understood, or asks for what edgeprof does not do.
    """
    if not device.host:
        raise DeviceError("host is missing", where=f"devices/{device.name}.toml", hint='host = "NAME or address"')
    hop = _Hop(device.host, device.user, device.port, device.key_file)
    return _Resolver(device.name, home or Path.home(), system).address(hop, None, ())


class _Resolver:
    """The configuration of one user on this machine."""

    def __init__(self, device: str, home: Path, system: Path) -> None:
        self._device, self._home, self._system = device, home, system
        self._me = _local_user()

    def address(self, hop: _Hop, before: tuple[_Hop, ...] | None, passed: tuple[str, ...]) -> Address:
        """The address of a host. `before`: the hosts to go through, None: those that its configuration names."""
        asked = Options(user=hop.user, port=hop.port, identity_files=(hop.key_file,) if hop.key_file else ())
        found = read_options(asked, hop.host, self._me, self._home, self._system)
        made = Address(
            device=self._device,
            alias=hop.host,
            hostname=canonical(expand_hostname(found.hostname, hop.host)),
            port=found.port or PORT,
            user=found.user or self._me,
            key_files=(),
            identities_only=bool(found.identities_only),
            agent_socket=None,
            known_hosts=(),
            revoked_keys=None,
            host_key_alias=found.host_key_alias and found.host_key_alias.lower(),
            timeout_s=found.connect_timeout_s or CONNECT_S,
        )
        return replace(
            made,
            key_files=self._key_files(found, made),
            agent_socket=self._agent(found.identity_agent, made),
            known_hosts=self._known_hosts(found, made),
            revoked_keys=self._revoked(found.revoked_host_keys, made),
            jumps=self._jumps(found, made, before, passed),
        )

    def _key_files(self, found: Options, address: Address) -> tuple[Path, ...]:
        if found.identity_files:
            named = (one for one in found.identity_files if one.lower() != "none")
            return tuple(dict.fromkeys(Path(self._expand(one, address)) for one in named))
        defaults = (self._home / ".ssh" / name for name in DEFAULT_KEYS)
        return tuple(path for path in defaults if path.exists())

    def _known_hosts(self, found: Options, address: Address) -> tuple[Path, ...]:
        users = found.user_known_hosts
        if users is None:
            users = tuple(str(self._home / ".ssh" / name) for name in ("known_hosts", "known_hosts2"))
        else:
            users = tuple(self._expand(one, address) for one in users if one.lower() != "none")
        systems = found.global_known_hosts
        if systems is None:
            systems = tuple(str(self._system / name) for name in ("ssh_known_hosts", "ssh_known_hosts2"))
        else:
            systems = tuple(expand_home(one, self._home) for one in systems if one.lower() != "none")
        return tuple(Path(one) for one in (*users, *systems))

    def _agent(self, said: str | None, address: Address) -> Path | None:
        if said is not None and said.lower() == "none":
            return None
        if said is None or said == "SSH_AUTH_SOCK":
            path = os.environ.get("SSH_AUTH_SOCK", "")
        elif re.fullmatch(r"\$[A-Za-z_]\w*", said):
            path = os.environ.get(said[1:], "")
        else:
            path = self._expand(said, address)
        return Path(path) if path else None

    def _revoked(self, said: str | None, address: Address) -> Path | None:
        return None if said is None or said.lower() == "none" else Path(self._expand(said, address))

    def _jumps(
        self, found: Options, address: Address, before: tuple[_Hop, ...] | None, passed: tuple[str, ...]
    ) -> tuple[Address, ...]:
        if before is None:
            if found.proxy_command_at:
                raise DeviceError(
                    f"the way to {address.alias} is a ProxyCommand, which edgeprof does not run",
                    where=found.proxy_command_at,
                    hint="where it is ssh -W %h:%p HOST or ssh HOST nc %h %p, write instead: ProxyJump HOST",
                )
            before = () if found.jump in (None, "none") else self._hops(found.jump or "", address)
        if not before:
            return ()
        if str(address) in passed or len(passed) >= MAX_HOPS:
            raise DeviceError(
                f"ProxyJump goes round in a circle: {' -> '.join((*passed, str(address)))}",
                where=str(self._home / ".ssh" / "config"),
                hint=f'above the line ProxyJump write: Match originalhost "{address.alias}", below it: ProxyJump none',
            )
        last = self.address(before[-1], before[:-1] or None, (*passed, str(address)))
        return (*last.jumps, replace(last, jumps=()))

    def _hops(self, said: str, address: Address) -> tuple[_Hop, ...]:
        """The hosts of a ProxyJump."""
        return tuple(
            _Hop(
                self._expand(one.host, address, "hnpr", plain=True),
                one.user and self._expand(one.user, address, "hnpr", plain=True),
                one.port,
            )
            for one in jump_hosts(said, f"ProxyJump of {address.alias}")
        )

    def _expand(self, text: str, address: Address, tokens: str = "dhiklLnpru", plain: bool = False) -> str:
        """A value with its tokens and, unless `plain`, its `~` and `${VARIABLE}`s."""
        host = socket.gethostname()
        values = {
            "%": "%",
            "d": str(self._home),
            "h": address.hostname,
            "i": str(os.getuid()),
            "k": address.host_key_alias or address.alias,
            "l": host,
            "L": host.partition(".")[0],
            "n": address.alias,
            "p": str(address.port),
            "r": address.user,
            "u": self._me,
        }

        def value(token: re.Match[str]) -> str:
            if token[1]:
                if token[1] not in os.environ:
                    raise DeviceError(
                        f"the environment variable {token[1]} of {text!r} is not set", where=address.alias
                    )
                return os.environ[token[1]]
            if token[2] != "%" and token[2] not in tokens:
                raise DeviceError(f"edgeprof does not know the token %{token[2]} of {text!r}", where=address.alias)
            return values[token[2]]

        if plain:
            return re.sub(r"(\0)?%(.?)", value, text)
        return re.sub(r"\$\{([^}]*)\}|%(.?)", value, expand_home(text, self._home))


def _local_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container that runs as a number
        try:
            return getpass.getuser()
        except (KeyError, OSError):
            return str(os.getuid())
