"""What a client needs of a test device: address, keys, and the files that name it."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from pathlib import Path


class Reach:
    """A device that is reached by SSH. Its folder holds the keys and the files for clients."""

    def __init__(self, folder: Path, name: str, user: str, host: str, port: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.name = name
        self.user = user
        self.host = host
        self.port = port
        self.key_file = folder / "id"
        self._host_key = folder / "host_key"
        self._proxies: list[int] = []
        make_key(self.key_file)
        make_key(self._host_key)

    @property
    def known_hosts(self) -> Path:
        """A known_hosts file that has this device alone, as it was at the last start."""
        return self.folder / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        """An ssh_config file that names this device alone."""
        return self.folder / "ssh_config"

    @property
    def host_key(self) -> str:
        """Type and base64 of the public host key."""
        return " ".join(self._host_key.with_suffix(".pub").read_text().split()[:2])

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` prints it: SHA256:..."""
        digest = hashlib.sha256(base64.b64decode(self.host_key.split()[1])).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"

    @property
    def known_hosts_line(self) -> str:
        """For any known_hosts file."""
        return f"{self.host if self.port == 22 else f'[{self.host}]:{self.port}'} {self.host_key}\n"

    def known_hosts_line_at(self, port: int) -> str:
        """The same for a proxy's port on loopback."""
        return f"[127.0.0.1]:{port} {self.host_key}\n"

    @property
    def ssh_config_text(self) -> str:
        """A Host block."""
        return (
            f"Host {self.name}\n  HostName {self.host}\n  Port {self.port}\n  User {self.user}\n"
            f'  IdentityFile "{self.key_file}"\n  IdentitiesOnly yes\n  UserKnownHostsFile "{self.known_hosts}"\n'
            "  StrictHostKeyChecking yes\n  LogLevel ERROR\n"
        )

    def device_toml(self, *lines: str, port: int | None = None) -> str:
        """A device file that reaches it (or a proxy's port on loopback) without any ssh_config; `lines` are added."""
        host = self.host if port is None else "127.0.0.1"
        words = {"transport": "ssh", "host": host, "user": self.user, "key_file": str(self.key_file)}
        table = [f'{key} = "{value}"' for key, value in words.items()]
        return "\n".join([*table, f"port = {port or self.port}", *lines, ""])

    def also_at(self, port: int) -> None:
        """Its `known_hosts` knows it at a proxy's port too."""
        self._proxies.append(port)
        self.write_client_files()

    def ssh(
        self, command: str, port: int | None = None, user: str | None = None, timeout: float = 20
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there by the OpenSSH client, at a proxy's port if one is given."""
        words = ["ssh", "-F", str(self.ssh_config), "-n", "-l", user or self.user]
        if port is not None:
            words += ["-p", str(port), "-o", "HostName=127.0.0.1"]
        words += [self.name, command]
        return subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=False)

    def write_client_files(self) -> None:
        """`known_hosts` and `ssh_config` of what is so now."""
        lines = [self.known_hosts_line, *map(self.known_hosts_line_at, self._proxies)]
        self.known_hosts.write_text("".join(lines))
        self.ssh_config.write_text(self.ssh_config_text)


def make_key(path: Path, passphrase: str = "", kind: str = "ed25519") -> None:
    """A new key pair at `path` and `path`.pub, instead of what is there."""
    path.unlink(missing_ok=True)
    words = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", str(path)]
    subprocess.run(words, check=True, capture_output=True)
