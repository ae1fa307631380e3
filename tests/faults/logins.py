"""What the tests of logins share: a board with an account made for the test, what a user reads, and all that we run."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from process_tools import await_value
from terminal import Terminal
from testbed.reach import Reach
from testbed.sshd import Sshd

from edgeprof import target
from edgeprof.agent import spool
from edgeprof.progress import Silent
from edgeprof.store import Store
from edgeprof.suite import Suite
from edgeprof.target.protocol import AskFacts, Facts

CLEAN = ("device", "clean", "board")
"""The least that logs in, runs our agent and holds the board."""


class LoginDesk(Desk):
    """A desk whose user sets variables and sits at a terminal; its boards' Python is their own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.variables: dict[str, str] = {}
        self.leases = folder / "leases"
        self.leases.mkdir(mode=0o777)

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, **self.variables}

    def add(
        self, reach: Reach, name: str = "board", *, known: bool = True, port: int | None = None, **keys: Any
    ) -> None:
        """See `Desk.add`. Tests beside this one have leases of their own."""
        lease = str(self.leases) if isinstance(reach, Sshd) else None
        super().add(
            reach, name, known=known, port=port, **{"python": None, "provision": "auto", "lease": lease, **keys}
        )

    def config(self, text: str) -> None:
        """The user's ~/.ssh/config; the device file names nothing but the host `pi` of it."""
        (self.home / ".ssh" / "config").write_text(text)
        told = f'transport = "ssh"\nhost = "pi"\nlease = "{self.leases}"\n'
        (self.root / "devices" / "board.toml").write_text(told)

    def terminal(self, *arguments: str) -> Terminal:
        """Start a command as at a keyboard."""
        return Terminal(self._command(arguments), self.root, self.environment)

    def refused(self, *words: str, command: Sequence[str] = CLEAN, code: int = 5) -> str:
        """What the user reads, when the words are in it and nothing else was printed."""
        done = self.edgeprof(*command, code=code)
        assert done.stdout == ""
        assert "error: " in done.stderr
        assert "\n  hint: " in done.stderr
        for word in words:
            assert word in done.stderr
        assert all(letter.isprintable() or letter == "\n" for letter in done.stderr)
        return str(done.stderr)


def as_shell(folder: Path, words: Sequence[str | Path]) -> str:
    """A program that is run as these words."""
    script = folder / "shell"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
    script.chmod(0o755)
    return str(script)


def on(sshd: Sshd, desk: LoginDesk, *, keys: dict[str, Any] | None = None, **options: Any) -> None:
    """A board whose account is so."""
    for name, value in options.items():
        setattr(sshd, name, value)
    sshd.home.mkdir(exist_ok=True)
    sshd.restart()
    desk.add(sshd, **(keys or {}))


def works(sshd: Sshd, desk: LoginDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is ever run on a board works: the agent that answers, files that are sent, a session, its follower."""
    monkeypatch.setenv("HOME", str(desk.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    sent = desk.root / "sent"
    sent.write_bytes(bytes(range(256)) * 3000)
    sha = hashlib.sha256(sent.read_bytes()).hexdigest()
    device = Suite(desk.root).device("board")
    with target.connect(device, Store(desk.root / ".edgeprof"), Silent()) as board:
        board.hold("a test", "run-1")
        there = Path(board.push({sha: sent})[sha])
        assert there.read_bytes() == sent.read_bytes()
        workdir = there.parent.parent
        session = board.open_session("run-1")
        session.send(AskFacts(full=False))
        assert isinstance(session.receive(60), Facts)
        assert spool.known(str(workdir / "sessions" / "run-1"))
    assert workdir.is_relative_to(sshd.home)


@contextlib.contextmanager
def ssh_agent(folder: Path, *keys: Path) -> Iterator[Path]:
    """OpenSSH's agent, which holds these keys; its socket."""
    at = folder / "agent"
    words = ["ssh-agent", "-D", "-a", str(at)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            await_value(lambda: at.exists() or None)
            for key in keys:
                told = {**os.environ, "SSH_AUTH_SOCK": str(at)}
                subprocess.run(["ssh-add", "-q", str(key)], env=told, check=True, stdin=subprocess.DEVNULL)
            yield at
        finally:
            process.terminate()


class CommandLines:
    """Watches the arguments of all processes of this machine, and what those of a server find in their environment."""

    def __init__(self, secret: str, server: Sshd | None = None) -> None:
        self._secret = secret.encode()
        self._server = server
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.seen: set[str] = set()
        """Where the secret was."""
        self.looked = 0

    def __enter__(self) -> CommandLines:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(0.005):
            self.looked += 1
            theirs = [Path(f"/proc/{pid}/environ") for pid in self._server.processes()] if self._server else []
            for file in (*Path("/proc").glob("[0-9]*/cmdline"), *theirs):
                with contextlib.suppress(OSError):
                    if self._secret in file.read_bytes():
                        self.seen.add(str(file))


def holding(secret: str, *places: Path) -> list[Path]:
    """The files below the places that have the secret in them."""
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*"))]
    return [file for file in files if file.is_file() and secret.encode() in file.read_bytes()]
