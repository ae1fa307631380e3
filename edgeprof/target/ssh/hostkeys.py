"""Host keys: what the known_hosts files say of a host, in the format of sshd(8), and nothing is taken on trust.

Not paramiko's reader: that one knows no markers, patterns or line numbers, and drops keys of kinds that it has not. The
user's files and the system's come first; only for a host that they do not know at all is the suite's asked.
`@cert-authority` lines vouch for certificates, which paramiko does not take from servers; here they count for nothing.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import paramiko

from edgeprof.errors import DeviceError
from edgeprof.target.ssh.config import Address
from edgeprof.target.ssh.syntax import matches_list

MARKERS = {"@revoked": True, "@cert-authority": None}
ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}
"""Key type -> the signature algorithms that are asked for, where they are called otherwise."""
PLAIN_NAME = re.compile(r"[^\s,*?!|@#]+")


class UnknownHostKeyError(DeviceError):
    """Nothing is known of the host's key."""


class KnownKey(NamedTuple):
    """A key that a file names for a host."""

    type: str
    blob: bytes
    revoked: bool
    where: str
    """FILE:LINE"""


class HostKeys:
    """What is known of a host's keys."""

    def __init__(self, address: Address, suite_file: Path | None) -> None:
        """Read the files; those that are missing know nothing.

        Raises:
            DeviceError: a file is there and cannot be read.
        """
        self._files = tuple(_Known(path) for path in address.known_hosts)
        self._suite = (_Known(suite_file),) if suite_file is not None else ()
        self._revoked = _revoked(address.revoked_keys)

    def check(self, address: Address, key: paramiko.PKey) -> None:
        """Let pass a key that is known for this host.

        Raises:
            DeviceError: it is unknown, another one is known, or it is revoked.
        """
        blob = key.asbytes()
        for known in self._named(address, (*self._files, *self._suite)):
            if known.revoked and known.blob == blob:
                raise _revoked_error(address, key, known.where)
        if blob in self._revoked:
            raise _revoked_error(address, key, str(address.revoked_keys))
        for files in (self._files, self._suite):
            known_here = [known for known in _keys(address.known_as, files) if not known.revoked]
            if not known_here and any(known.blob == blob for known in self._named(address, files)):
                return
            if any(known.blob == blob for known in known_here):
                return
            if known_here:
                raise _changed(address, key, known_here)
        raise _unknown(address, key)

    def preferred_types(self, address: Address) -> list[str]:
        """Algorithms of the keys that are known for this host, to be asked for first; a server has several keys."""
        for files in (self._files, self._suite):
            known = [one.type for one in self._named(address, files) if not one.revoked]
            if known:
                return list(dict.fromkeys(name for kind in known for name in ALGORITHMS.get(kind, (kind,))))
        return []

    def _named(self, address: Address, files: Iterable[_Known]) -> Iterator[KnownKey]:
        """Keys under the host's name, then those without its port, by which OpenSSH goes when there are no others."""
        yield from _keys(address.known_as, files)
        if address.host_key_alias is None and address.known_as != address.hostname:
            yield from _keys(address.hostname, files)


def fingerprint(key: paramiko.PKey) -> str:
    """As `ssh-keygen -l` prints it: SHA256:..."""
    return _fingerprint(key.asbytes())


def remember(suite_file: Path, address: Address, key: paramiko.PKey) -> None:
    """Write down a key that somebody has compared; one that is there already is not written twice.

    Raises:
        DeviceError: the file cannot be written, knows another key of this type, or the name does not fit into it.
    """
    name = address.known_as
    if not PLAIN_NAME.fullmatch(name) or not name.isprintable():
        raise DeviceError(f"{name!r} cannot stand in a known_hosts file", where=address.device)
    line = f"{name} {key.get_name()} {key.get_base64()}\n".encode()
    try:
        suite_file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(suite_file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            # Two hosts of a fleet may be trusted at the same time.
            fcntl.flock(file, fcntl.LOCK_EX)
            for known in _keys(name, (_Known(suite_file),)):
                if known.revoked and known.blob == key.asbytes():
                    raise _revoked_error(address, key, known.where)
                if known.blob == key.asbytes():
                    return
                if known.type == key.get_name() and not known.revoked:
                    raise _changed(address, key, [known])
            size = file.seek(0, os.SEEK_END)
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            written = b"\n" + line if torn else line
            try:
                if file.write(written) != len(written):
                    raise OSError("only a part could be written")
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
    except OSError as error:
        raise DeviceError(f"cannot be written: {error.strerror or error}", where=str(suite_file)) from error


class _Line(NamedTuple):
    hosts: str
    key: KnownKey


class _Known:
    """A known_hosts file. Lines that cannot be understood are passed over, as OpenSSH does."""

    def __init__(self, path: Path) -> None:
        self._lines = tuple(_parsed(path))

    def keys(self, name: str) -> Iterator[KnownKey]:
        """Those under a name (in small letters; `[host]:port` for another port than 22)."""
        return (line.key for line in self._lines if _names(line.hosts, name))


def _keys(name: str, files: Iterable[_Known]) -> Iterator[KnownKey]:
    return (key for file in files for key in file.keys(name.lower()))


def _parsed(path: Path) -> Iterator[_Line]:
    for number, line in enumerate(_read(path).split(b"\n"), 1):
        fields = line.decode("utf-8", "surrogateescape").strip(" \t\r").split(None, 4)
        revoked: bool | None = False
        if fields and fields[0].startswith("@"):
            revoked = MARKERS.get(fields.pop(0))
        if revoked is None or len(fields) < 3 or fields[0].startswith("#"):
            continue
        blob = _blob(fields[1], fields[2])
        if blob is not None:
            yield _Line(fields[0], KnownKey(fields[1], blob, revoked, f"{path}:{number}"))


def _blob(kind: str, text: str) -> bytes | None:
    """A public key's bytes, if they are one of this type."""
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    name = kind.encode("utf-8", "surrogateescape")
    return blob if blob.startswith(len(name).to_bytes(4, "big") + name) and len(blob) > 4 + len(name) else None


def _names(hosts: str, name: str) -> bool:
    """Whether the first field of a line means a host: patterns with commas, or one name that is hashed."""
    if not hosts.startswith("|"):
        return matches_list(name, hosts.lower())
    try:
        _, version, salt, digest = hosts.split("|")
        wanted = base64.b64decode(digest, validate=True)
        found = hmac.digest(base64.b64decode(salt, validate=True), name.encode("utf-8", "surrogateescape"), "sha1")
    except (binascii.Error, ValueError):
        return False
    return version == "1" and hmac.compare_digest(found, wanted)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as error:
        raise DeviceError(f"known hosts cannot be read: {error.strerror or error}", where=str(path)) from error


def _revoked(path: Path | None) -> frozenset[bytes]:
    """The keys of a RevokedHostKeys file. One that is missing would, to OpenSSH, revoke every key."""
    if path is None:
        return frozenset()
    data = _read(path)
    if not data or data.startswith(b"SSHKRL\n\0"):
        raise DeviceError(
            "RevokedHostKeys: a binary revocation list is not supported"
            if data
            else "RevokedHostKeys: nothing is there",
            where=str(path),
            hint="name a text file with one public key a line",
        )
    lines = (line.split() for line in data.decode("utf-8", "surrogateescape").splitlines())
    found = (_blob(fields[0], fields[1]) for fields in lines if len(fields) > 1)
    return frozenset(blob for blob in found if blob is not None)


def _fingerprint(blob: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _kind(key: paramiko.PKey) -> str:
    name: str = key.get_name()
    return name


def _unknown(address: Address, key: paramiko.PKey) -> DeviceError:
    family = next((name for name in ("ed25519", "ecdsa", "rsa") if name in _kind(key)), "*")
    return UnknownHostKeyError(
        f"the host key is not known: {_kind(key)} {fingerprint(key)}",
        where=f"{address.device}, {address}",
        hint=f"edgeprof device trust {address.device} (asks; in scripts add --fingerprint {fingerprint(key)}), once "
        f"that host itself says the same: ssh-keygen -lf /etc/ssh/ssh_host_{family}_key.pub",
    )


def _changed(address: Address, key: paramiko.PKey, known: list[KnownKey]) -> DeviceError:
    same = [one for one in known if one.type == _kind(key)] or known
    told = ", ".join(f"{one.type} {_fingerprint(one.blob)} ({one.where})" for one in same)
    file = same[0].where.rpartition(":")[0]
    return DeviceError(
        f"the host key is another one than before, or somebody is in between: it is {_kind(key)} {fingerprint(key)}, "
        f"known is {told}",
        where=f"{address.device}, {address}",
        hint=f"only if the board was set up anew: ssh-keygen -R '{address.known_as}' -f '{file}', "
        f"then: edgeprof device trust {address.device}",
    )


def _revoked_error(address: Address, key: paramiko.PKey, where: str) -> DeviceError:
    return DeviceError(
        f"the host key is revoked, in {where}: {_kind(key)} {fingerprint(key)}",
        where=f"{address.device}, {address}",
        hint="give the board a new key, there: sudo rm /etc/ssh/ssh_host_*_key* && sudo ssh-keygen -A",
    )
