"""A user's desk: a suite with a device over SSH, a home folder of its own, and the `edgeprof` command as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from testbed.reach import Reach

from edgeprof import suite as suites


class Desk:
    """Runs commands as a user at `root`, a suite, whose `~/.ssh` knows the boards that were added.

    Args:
        folder: made if it is not there; holds `home/` and the suite.
        root: the suite, instead of a new one without recipes.
    """

    def __init__(self, folder: Path, root: Path | None = None) -> None:
        self.home = folder / "home"
        (self.home / ".ssh").mkdir(parents=True, mode=0o700)
        self.root = root or folder / "suite"
        for name in suites.FOLDERS:
            (self.root / name).mkdir(parents=True, exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        """Of every command: nothing of the tester's own ssh."""
        own = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
        return {**own, "HOME": str(self.home)}

    def add(
        self, reach: Reach, name: str = "board", *, known: bool = True, port: int | None = None, **keys: Any
    ) -> None:
        """Have a device file and the user's ssh know a board, without a word from it.

        Args:
            known: whether the user's known_hosts has its key.
            port: of a proxy before it.
            keys: of the device file; by default its Python is the tester's, which has all runtimes.
        """
        line = reach.known_hosts_line if port is None else reach.known_hosts_line_at(port)
        if known:
            with (self.home / ".ssh" / "known_hosts").open("a", encoding="utf-8") as file:
                file.write(line)
        told: dict[str, Any] = {"transport": "ssh", "host": reach.host, "port": port or reach.port, "user": reach.user}
        told |= {"key_file": str(reach.key_file), "python": sys.executable, "provision": "never", "threads": [1]}
        told |= keys
        lines = [f"{key} = {json.dumps(value)}\n" for key, value in told.items() if value is not None]
        (self.root / "devices" / f"{name}.toml").write_text("".join(lines), encoding="utf-8")

    def edgeprof(self, *arguments: str, code: int | None = 0, timeout: float = 280) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; `code` is the exit code expected, None for any."""
        done = subprocess.run(
            self._command(arguments),
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert code is None or done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command; its stdout and stderr are pipes of lines."""
        return subprocess.Popen(
            self._command(arguments),
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "edgeprof", *arguments]
