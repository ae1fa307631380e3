"""A home folder with an ssh_config, as edgeprof and as OpenSSH's own client read it."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edgeprof.records import Device
from edgeprof.target.ssh.config import Address, resolve


@dataclass
class Machine:
    """A home folder and a system folder of their own."""

    home: Path
    system: Path

    def write(self, config: str, name: str = "config") -> Path:
        path = self.home / ".ssh" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(config)
        path.chmod(0o600)
        return path

    def address(self, config: str = "", **device: object) -> Address:
        self.write(config)
        return resolve(Device(name="board", transport="ssh", **{"host": "pi", **device}), self.home, self.system)  # type: ignore[arg-type]

    def openssh(self, host: str, *options: str) -> dict[str, list[str]] | str:
        """What OpenSSH's client makes of the configuration, or what it refuses it with."""
        assert shutil.which("ssh"), "the oracle of these tests is OpenSSH's client"
        done = subprocess.run(
            ["ssh", "-G", "-F", str(self.home / ".ssh" / "config"), *options, host],
            env={**os.environ, "HOME": str(self.home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode:
            return done.stderr
        said: dict[str, list[str]] = {}
        for line in done.stdout.splitlines():
            key, _, value = line.partition(" ")
            said.setdefault(key, []).append(value)
        return said
