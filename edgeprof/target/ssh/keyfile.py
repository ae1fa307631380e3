"""Private keys in files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import paramiko
from paramiko.pkey import UnknownKeyType

from edgeprof.errors import DeviceError
from edgeprof.target.ssh.errors import printable

PUBLIC = ("ssh-", "ecdsa-", "sk-")
"""What the line of a public key begins with."""


class PassphraseError(DeviceError):
    """The key needs a passphrase, or another one."""


def load_key(path: Path, device: str, passphrase: str | None = None) -> paramiko.PKey:
    """A private key, with the certificate that lies beside it. Without a passphrase none is needed.

    Raises:
        PassphraseError: it has a passphrase, and this is not it.
        DeviceError: the file is missing, unreadable, open to others, no private key, or of a kind that is not known.
    """
    where = str(path)
    try:
        found = path.stat()
        data = path.read_bytes()
    except OSError as error:
        raise DeviceError(
            f"the private key cannot be read: {error.strerror or error}", where=where, hint=_hint(device)
        ) from error
    if data.startswith(tuple(kind.encode() for kind in PUBLIC)):
        raise DeviceError("this is a public key", where=where, hint=f"name the private one: {path.with_suffix('')}")
    if found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) & 0o077:
        raise DeviceError(
            "others may read this private key, so it is not used (OpenSSH does not either)",
            where=where,
            hint=f"chmod 600 '{path}'",
        )
    try:
        return paramiko.PKey.from_path(path)
    except (TypeError, paramiko.PasswordRequiredException):
        pass  # it has a passphrase; paramiko says so in either way
    except Exception as error:  # cryptography has classes of its own for what it does not support
        raise _useless(error, path) from error
    if passphrase is None:
        raise PassphraseError("this key has a passphrase", where=where, hint=_passphrase_hint(path, device))
    try:
        # Bytes, whatever its annotation says: it hands them on to cryptography.
        return paramiko.PKey.from_path(path, password=passphrase.encode())  # type: ignore[arg-type]
    except ValueError as error:
        raise PassphraseError(
            "the passphrase does not open this key", where=where, hint=f"try it: ssh-keygen -y -f '{path}'"
        ) from error
    except Exception as error:
        raise _useless(error, path) from error


def _useless(error: Exception, path: Path) -> DeviceError:
    if isinstance(error, UnknownKeyType):
        return DeviceError(
            "edgeprof cannot use a key of this kind", where=str(path), hint="make one: ssh-keygen -t ed25519"
        )
    return DeviceError(
        f"this is no private key, or one in another format than OpenSSH's: {printable(str(error), 120)}",
        where=str(path),
        hint=f"this rewrites a key in OpenSSH's format: ssh-keygen -p -f '{path}'",
    )


def _hint(device: str) -> str:
    return f"correct key_file in devices/{device}.toml, or IdentityFile in ~/.ssh/config"


def _passphrase_hint(path: Path, device: str) -> str:
    return f"ssh-add '{path}', or name a variable in devices/{device}.toml: password_env = \"NAME\""
