"""Logging in: the agent's keys, keys in files, a password. Secrets come from a person or an environment variable."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
from paramiko.agent import AgentKey, AgentSSH
from paramiko.ssh_exception import PartialAuthentication

from edgeprof.errors import DeviceError
from edgeprof.progress import Progress
from edgeprof.records import Device
from edgeprof.target.ssh.config import Address
from edgeprof.target.ssh.errors import Tried, linked
from edgeprof.target.ssh.keyfile import PUBLIC, PassphraseError, load_key

AGENT_S = 30.0
"""An agent may ask its user before it signs."""
PASSWORD_TRIES = 3
"""How often a person may type a password; one from an environment variable is tried once."""
PASSWORD_METHODS = ("password", "keyboard-interactive")


class Memory:
    """What a person typed, for as long as the link to the device is made anew: nobody may be there to type it again."""

    def __init__(self) -> None:
        self.keys: dict[Path, paramiko.PKey] = {}
        self.passwords: dict[str, str] = {}


def log_in(
    transport: paramiko.Transport,
    address: Address,
    device: Device,
    progress: Progress,
    memory: Memory,
    *,
    jump: bool = False,
) -> None:
    """Authenticate, each way that the server allows in turn.

    Args:
        jump: it is a host on the way: the device's own password is none of its business.

    Raises:
        LinkError, DeviceError: none of them is accepted; it says what was tried.
    """
    _Login(transport, address, device, progress, memory, jump).run()


class _Login:
    """One login, and what was tried in it, for whoever has to hear why it failed."""

    def __init__(
        self,
        transport: paramiko.Transport,
        address: Address,
        device: Device,
        progress: Progress,
        memory: Memory,
        jump: bool,
    ) -> None:
        self._transport = transport
        self._address = address
        self._device = device
        self._progress = progress
        self._memory = memory
        self._jump = jump
        self._allowed: tuple[str, ...] = ()
        self._refusal = paramiko.AuthenticationException("nothing was accepted")
        self._files: list[Path] = []
        self._locked: list[Path] = []
        self._agents = 0
        self._password = False
        self._is_passphrase = False
        """Whether the secret of the environment has opened a key: then no server needs to hear it."""

    def run(self) -> None:
        """See `log_in`."""
        try:
            # As OpenSSH does: it is not counted as a failure, and tells what the server takes.
            self._attempt(lambda: self._transport.auth_none(self._address.user))
            if not self._done and "publickey" in self._allowed:
                self._by_keys()
            for method in PASSWORD_METHODS:
                if not self._done and method in self._allowed:
                    self._by_password(method)
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self._told(error) from error
        if not self._done:
            raise self._told(self._refusal)

    @property
    def _done(self) -> bool:
        return self._transport.is_authenticated()

    def _attempt(self, attempt: Callable[[], list[str]]) -> None:
        """Do one thing; a refusal is remembered.

        Raises:
            paramiko.SSHException: there is no going on: the server hung up, or does not answer.
        """
        try:
            more = attempt()
        except paramiko.BadAuthenticationType as error:
            self._allowed, self._refusal = tuple(error.allowed_types), error
        except paramiko.AuthenticationException as error:
            if not self._transport.is_active() or "timeout" in str(error).lower():
                raise
            self._refusal = error
        else:
            if more:
                self._allowed, self._refusal = tuple(more), PartialAuthentication(more)

    def _by_keys(self) -> None:
        for key in self._keys():
            self._attempt(lambda key=key: self._transport.auth_publickey(self._address.user, key))  # type: ignore[misc]
            if self._done or "publickey" not in self._allowed:
                return

    def _by_password(self, method: str) -> None:
        user = self._address.user
        for secret in self._secrets(f"password of {user}@{self._address.alias}: ", sent=True):
            self._password = True
            if method == "password":
                self._attempt(lambda secret=secret: self._transport.auth_password(user, secret, fallback=False))  # type: ignore[misc]
            else:
                self._attempt(lambda secret=secret: self._transport.auth_interactive(user, _answering(secret)))  # type: ignore[misc]
            if self._done:
                self._memory.passwords[str(self._address)] = secret
            if self._done or method not in self._allowed:
                return

    def _secrets(self, prompt: str, *, sent: bool) -> Iterator[str]:
        """What the device file's environment variable holds, or what a person types.

        Args:
            sent: whether the server gets it.
        """
        if sent and str(self._address) in self._memory.passwords:
            yield self._memory.passwords[str(self._address)]
            return
        name = self._device.password_env
        value = os.environ.get(name) if name else None
        if value and not (sent and (self._jump or self._is_passphrase)):
            yield value
            return
        for _ in range(PASSWORD_TRIES):
            typed = self._progress.secret(prompt)
            if not typed:
                return
            yield typed

    def _keys(self) -> Iterator[paramiko.PKey]:
        """Keys to try, in OpenSSH's order: the agent's that the configuration names, its others, those in files."""
        files = self._address.key_files
        public = {blob for path in files if (blob := _public_blob(path)) is not None}
        held = _agent_keys(self._address.agent_socket)
        named = [key for key in held if key.asbytes() in public]
        others = [] if self._address.identities_only else [key for key in held if key.asbytes() not in public]
        for key in (*named, *others):
            self._agents += 1
            yield key
        offered = {key.asbytes() for key in named}
        for path in files:
            if path.is_file() and _public_blob(path) not in offered:
                yield from self._from_file(path)

    def _from_file(self, path: Path) -> Iterator[paramiko.PKey]:
        """The key in a file, by its passphrase if it has one.

        Raises:
            DeviceError: it is the one that the device file names, and it cannot be used.
        """
        try:
            key = self._unlocked(path)
        except DeviceError as error:
            if self._device.key_file is not None and path == Path(self._device.key_file).expanduser():
                raise
            if isinstance(error, PassphraseError):
                self._locked.append(path)
            return
        self._files.append(path)
        yield key

    def _unlocked(self, path: Path) -> paramiko.PKey:
        if path in self._memory.keys:
            return self._memory.keys[path]
        refusal: DeviceError
        try:
            return load_key(path, self._device.name)
        except PassphraseError as error:
            refusal = error
        for secret in self._secrets(f"passphrase of {path}: ", sent=False):
            try:
                key = load_key(path, self._device.name, secret)
            except PassphraseError as error:
                refusal = error
            else:
                self._is_passphrase = True
                self._memory.keys[path] = key
                return key
        if self._unset is not None:
            refusal.hint = _unset_hint(self._unset)
        raise refusal

    @property
    def _unset(self) -> str | None:
        """The environment variable that the device file names and that holds nothing."""
        name = self._device.password_env
        return name if name and not os.environ.get(name) else None

    def _told(self, error: BaseException) -> DeviceError:
        """The error for the user."""
        plain = type(error) is paramiko.AuthenticationException
        if plain and self._allowed and self._transport.is_active() and "timeout" not in str(error).lower():
            error = paramiko.BadAuthenticationType(str(error), list(self._allowed))
        tried = Tried(tuple(self._files), self._agents, tuple(self._locked), self._password)
        told = linked(error, self._device.name, self._address, tried=tried)
        if self._unset is not None and not told.transient:
            told.hint = _unset_hint(self._unset)
        elif self._password and self._device.password_env and not self._jump:
            told.hint = f"is what {self._device.password_env} holds the password? Otherwise: {told.hint}"
        return told


def _answering(secret: str) -> Callable[[str, str, list[tuple[str, bool]]], list[str]]:
    """Gives it for whatever is asked."""
    return lambda _title, _instructions, fields: [secret for _ in fields]


def _unset_hint(name: str) -> str:
    return f"set the variable {name} to it, which password_env names: read -rs {name} && export {name}"


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


def _public_blob(path: Path) -> bytes | None:
    """The public half that lies beside a key file, or is all there is: its private half is the ssh-agent's then."""
    for file in (path.with_name(path.name + ".pub"), path):
        with contextlib.suppress(OSError, ValueError, IndexError):
            kind, text = file.read_text().split()[:2]
            if kind.startswith(PUBLIC):
                return base64.b64decode(text)
    return None
