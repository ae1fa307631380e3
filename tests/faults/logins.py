"""What the tests of logins share: a board with an account made for the test, what a user reads, and all that we run."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from testbed.sshd import Sshd

from edgeprof import target
from edgeprof.agent import spool
from edgeprof.progress import Silent
from edgeprof.store import Store
from edgeprof.suite import Suite
from edgeprof.target.protocol import AskFacts, Facts


def as_shell(folder: Path, words: Sequence[str | Path]) -> str:
    """A program that is run as these words."""
    script = folder / "shell"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
    script.chmod(0o755)
    return str(script)


def on(sshd: Sshd, desk: Desk, *, keys: dict[str, Any] | None = None, **options: Any) -> None:
    """A board whose account is so."""
    for name, value in options.items():
        setattr(sshd, name, value)
    sshd.home.mkdir(exist_ok=True)
    sshd.restart()
    desk.add(sshd, **{"python": None, "provision": "auto", **(keys or {})})


def refused(desk: Desk, *words: str, command: Sequence[str] = ("device", "clean", "board"), code: int = 5) -> str:
    """What the user reads, when the words are in it and nothing else was printed."""
    done = desk.edgeprof(*command, code=code)
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "\n  hint: " in done.stderr
    for word in words:
        assert word in done.stderr
    assert "\x1b" not in done.stderr
    return str(done.stderr)


def works(sshd: Sshd, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
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
