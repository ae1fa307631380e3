"""Nobody there, or somebody else: each ends in bounded time with exit code 5, one sentence and what to do."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from logins import CLEAN, LoginDesk

TRUST = ("device", "trust", "board")
VOID = """\
ip link set lo up
ip link add v0 type veth peer name v1
ip link set v1 up
ip link set v0 up
ip addr add 10.1.2.1/24 dev v0
ip neigh add 10.1.2.3 lladdr 02:00:00:00:00:01 dev v0"""
"""A network where 10.1.2.3 takes everything and answers nothing."""


@pytest.fixture
def desk(tmp_path: Path) -> LoginDesk:
    return LoginDesk(tmp_path / "desk")


@contextlib.contextmanager
def answering(answer: Callable[[socket.socket], object]) -> Iterator[int]:
    """A port whose connections are handed to a function, each in a thread of its own; they are closed at the end."""
    taken: list[socket.socket] = []

    def serve(link: socket.socket) -> None:
        with contextlib.suppress(OSError):
            answer(link)

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                link = listener.accept()[0]
            except OSError:
                return
            taken.append(link)
            threading.Thread(target=serve, args=(link,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
    for link in taken:
        link.close()


def at(desk: LoginDesk, host: str, port: int | None = None) -> None:
    """A device file that names it."""
    lines = [f'transport = "ssh"\nhost = "{host}"\nuser = "pi"\n', f"port = {port}\n" if port else ""]
    (desk.root / "devices" / "board.toml").write_text("".join(lines))


def http(link: socket.socket) -> None:
    link.sendall(b"HTTP/1.1 400 Bad Request\r\nServer: \x1b[31mx\r\nConnection: close\r\n\r\n<html>\n")
    link.recv(1000)
    link.close()


def endless(link: socket.socket) -> None:
    while True:
        link.sendall(b"\x1b]0;owned\x07" * 100 + b"\n")


def old(link: socket.socket) -> None:
    link.sendall(b"SSH-1.5-old\r\n")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (http, "is open, but no SSH server answered"),
        pytest.param(socket.socket.close, "is open, but no SSH server answered", marks=pytest.mark.slow),
        (endless, "does not speak SSH"),
        pytest.param(old, "Incompatible version (1.5 instead of 2.0)", marks=pytest.mark.slow),
    ],
)
def test_a_port_where_something_else_answers(
    desk: LoginDesk, answer: Callable[[socket.socket], object], words: str
) -> None:
    with answering(answer) as port:
        at(desk, "127.0.0.1", port)
        desk.refused(f"board, pi@127.0.0.1:{port}: ", words)


@pytest.mark.slow
@pytest.mark.parametrize("first", [b"", b"SSH-2.0-OpenSSH_9.9\r\n", b"SSH-2.0-OpenSSH_9.9\r\n\0\0\1\0"])
def test_a_server_that_accepts_and_says_no_more(desk: LoginDesk, first: bytes) -> None:
    """Not to the banner, not to the key exchange."""
    with answering(lambda link: link.sendall(first)) as port:
        (desk.home / ".ssh" / "config").write_text("Host *\n ConnectTimeout 1\n")
        at(desk, "127.0.0.1", port)
        for command in (CLEAN, TRUST):
            desk.refused(f"board, pi@127.0.0.1:{port}: ", command=command)


def test_a_closed_port(desk: LoginDesk) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        at(desk, "127.0.0.1", port)
        for command in (CLEAN, TRUST):
            desk.refused(f"port {port} is closed", "sudo systemctl enable --now ssh", "port = N", command=command)


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("no-such-board.invalid", "there is no host named no-such-board.invalid"),
        ("x..y", "x..y is no host name"),
        pytest.param("a" * 70, "is no host name", marks=pytest.mark.slow),
        ("$(touch${IFS}owned)", "there is no host named $(touch${ifs}owned)"),
    ],
)
def test_a_name_that_nobody_has(desk: LoginDesk, host: str, words: str) -> None:
    at(desk, host)
    desk.refused(words, "correct host in devices/board.toml")
    assert not list(desk.root.rglob("owned"))


class Isolated(LoginDesk):
    """Its commands run where there is no network, not even to a name server."""

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        user = [] if os.geteuid() == 0 else ["--user", "--map-current-user"]
        return ["unshare", *user, "--net", *super()._command(arguments)]


def test_no_network_at_all(tmp_path: Path) -> None:
    desk = Isolated(tmp_path / "desk")
    at(desk, "10.1.2.3")
    desk.refused("there is no way to 10.1.2.3: Network is unreachable", "ping 10.1.2.3")
    at(desk, "pi.local")
    desk.refused("the name server does not answer for pi.local", "is this machine on a network?")


@pytest.mark.slow
def test_an_address_that_swallows_everything(tmp_path: Path) -> None:
    """No answer of any kind, as from a board that is off behind a router; ConnectTimeout bounds it."""
    desk = Isolated(tmp_path / "desk")
    (desk.home / ".ssh" / "config").write_text("Host *\n ConnectTimeout 1\n")
    at(desk, "10.1.2.3")
    words = desk._command(CLEAN)
    inside = ["sh", "-c", f'{VOID}; exec "$@"', "sh"]
    where = words.index("--net") + 1
    done = subprocess.run(
        [*words[:where], *inside, *words[where:]],
        cwd=desk.root,
        env=desk.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 5
    assert "nothing answered in time" in done.stderr
    assert "ping 10.1.2.3" in done.stderr
