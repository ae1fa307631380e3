"""Passwords and passphrases go nowhere but where they belong: no file, argument, word or other server gets them."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
import ready_models
from logins import CLEAN, CommandLines, LoginDesk, holding
from paramiko.common import AUTH_FAILED
from process_tools import await_value
from testbed.fixtures import MakeBoard
from testbed.reach import make_key
from testbed.sshd import Sshd

SECRET = "Qx7-only-for-tests-9fK2"
PROFILE = ("profile", "a.onnx", "--device", "board", "--quick")


@pytest.fixture
def desk(tmp_path: Path) -> LoginDesk:
    made = LoginDesk(tmp_path / "desk")
    made.variables["BOARD_SECRET"] = SECRET
    return made


def test_what_looks_for_the_secret_finds_it(tmp_path: Path) -> None:
    """Else the tests below would say nothing."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"\0" * 100_000 + SECRET.encode() + b"\xff")
    assert holding(SECRET, tmp_path) == [tmp_path / "deep" / "file"]
    with CommandLines(SECRET) as watch, subprocess.Popen(["sh", "-c", "read x", SECRET], stdin=subprocess.PIPE) as one:
        await_value(lambda: watch.seen or None)
        assert one.stdin
        one.stdin.close()
    assert watch.seen == {f"/proc/{one.pid}/cmdline"}


@pytest.mark.slow
def test_a_passphrase_stands_nowhere_after_a_whole_run(sshd: Sshd, desk: LoginDesk, tmp_path: Path) -> None:
    """Looked for in all that the run prints and leaves, here and on the device, and in every process's arguments."""
    make_key(tmp_path / "locked", SECRET)
    sshd.authorized_keys.write_text((tmp_path / "locked.pub").read_text())
    desk.add(
        sshd, key_file=str(tmp_path / "locked"), password_env="BOARD_SECRET", python=sys.executable, provision="never"
    )
    ready_models.onnx_file(desk.root / "a.onnx")
    with CommandLines(SECRET, sshd) as watch:
        done = desk.edgeprof(*PROFILE)
    assert list(desk.root.rglob("report.html"))
    assert watch.looked > 10
    assert watch.seen == set()
    assert SECRET not in done.stdout + done.stderr
    assert holding(SECRET, tmp_path) == []


@pytest.mark.slow
def test_a_password_stands_nowhere_after_a_whole_run(board: MakeBoard, desk: LoginDesk, tmp_path: Path) -> None:
    edge = board(user="edge", password=SECRET)
    desk.add(edge, key_file=None, password_env="BOARD_SECRET")
    with CommandLines(SECRET) as watch:
        done = desk.edgeprof("device", "probe", "board", "--json")
        desk.edgeprof(*CLEAN)
    assert watch.looked > 10
    assert watch.seen == set()
    assert SECRET not in done.stdout + done.stderr
    assert list(edge.path("/home/edge").rglob("blobs"))
    places = [edge.path(place) for place in ("/home", "/tmp", "/run", "/root")]
    assert holding(SECRET, desk.root, desk.home, *places) == []


class Taker(paramiko.ServerInterface):
    """Takes no login and remembers every password that it is told."""

    def __init__(self, told: list[str]) -> None:
        self.told = told

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,password,keyboard-interactive"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return AUTH_FAILED

    def check_auth_password(self, username: str, password: str) -> int:
        self.told.append(password)
        return AUTH_FAILED


class TakingServer:
    """A server that a `Taker` answers for, on a port of its own."""

    def __init__(self, key_file: Path) -> None:
        self.told: list[str] = []
        self.key = paramiko.Ed25519Key(filename=str(key_file))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def known_hosts_line(self) -> str:
        return f"[127.0.0.1]:{self.port} {self.key.get_name()} {self.key.get_base64()}\n"

    def _serve(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.key)
            transport.start_server(server=Taker(self.told), event=threading.Event())

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def taker(tmp_path: Path, desk: LoginDesk) -> Iterator[TakingServer]:
    make_key(tmp_path / "taker")
    made = TakingServer(tmp_path / "taker")
    with (desk.home / ".ssh" / "known_hosts").open("a") as file:
        file.write(made.known_hosts_line)
    yield made
    made.close()


def test_a_passphrase_that_opened_its_key_is_told_to_no_server(
    taker: TakingServer, desk: LoginDesk, tmp_path: Path
) -> None:
    make_key(tmp_path / "locked", SECRET)
    device = desk.root / "devices" / "board.toml"
    told = f'transport = "ssh"\nhost = "127.0.0.1"\nport = {taker.port}\npassword_env = "BOARD_SECRET"\n'
    device.write_text(f'{told}key_file = "{tmp_path / "locked"}"\n')
    desk.refused("keys tried: locked; the server takes publickey, password, keyboard-interactive")
    assert taker.told == []
    device.write_text(told)
    desk.refused("the password was not accepted")
    assert taker.told == [SECRET], "as a password it is meant for this server"


def test_the_boards_password_is_not_told_to_a_jump_host(taker: TakingServer, desk: LoginDesk, loopback: Sshd) -> None:
    desk.add(loopback, key_file=None, password_env="BOARD_SECRET")
    (desk.home / ".ssh" / "config").write_text(
        f"Host 127.0.0.1\n ProxyJump gate\nHost gate\n HostName 127.0.0.1\n Port {taker.port}\n"
    )
    desk.refused("may not log in at gate", "the server takes publickey, password, keyboard-interactive")
    assert taker.told == []
