"""Host keys, always verified: unknown, changed, known in one file or another, of the board and of hosts on the way."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import ready_models
from logins import CLEAN, LoginDesk
from testbed.reach import make_key
from testbed.sshd import Sshd

TRUST = ("device", "trust", "board")


@pytest.fixture
def desk(tmp_path: Path) -> LoginDesk:
    return LoginDesk(tmp_path / "desk")


def fingerprint(key: Path) -> str:
    said = subprocess.run(["ssh-keygen", "-lf", str(key)], capture_output=True, text=True, check=True).stdout
    return said.split()[1]


def suites(desk: LoginDesk) -> str:
    """What the suite's own known hosts hold."""
    file = desk.root / "devices" / "known_hosts"
    return file.read_text() if file.exists() else ""


def test_an_unknown_key_is_refused_until_the_right_fingerprint_is_said(
    loopback: Sshd, desk: LoginDesk, tmp_path: Path
) -> None:
    """Also with the option by which OpenSSH would take it."""
    (desk.home / ".ssh" / "config").write_text("Host *\n StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n")
    desk.add(loopback, known=False)
    unknown = f"the host key is not known: ssh-ed25519 {loopback.fingerprint}"
    desk.refused(
        unknown, f"hint: edgeprof device trust board (asks; in scripts add --fingerprint {loopback.fingerprint})"
    )
    desk.refused(unknown, f"edgeprof device trust board --fingerprint {loopback.fingerprint})", command=TRUST)
    make_key(tmp_path / "other")
    wrong = fingerprint(tmp_path / "other")
    both = f"it is {loopback.fingerprint}, expected is {wrong}"
    desk.refused(both, "nothing was stored", command=(*TRUST, "--fingerprint", wrong))
    assert suites(desk) == ""
    done = desk.edgeprof(*TRUST, "--fingerprint", loopback.fingerprint)
    assert done.stdout == f"board: ssh-ed25519 {loopback.fingerprint} is trusted now, in devices/known_hosts\n"
    assert suites(desk) == loopback.known_hosts_line
    desk.edgeprof(*CLEAN)
    assert "was trusted already" in desk.edgeprof(*TRUST).stdout
    desk.refused(both, command=(*TRUST, "--fingerprint", wrong))
    assert suites(desk) == loopback.known_hosts_line


def test_a_person_at_a_terminal_is_asked(loopback: Sshd, desk: LoginDesk) -> None:
    desk.add(loopback, known=False)
    for answer in ("no", "yes"):
        with desk.terminal(*TRUST) as terminal:
            terminal.read_until(f"board (127.0.0.1) presents the host key ssh-ed25519 {loopback.fingerprint}")
            terminal.read_until("Is it the board's key? (yes/no)")
            assert suites(desk) == ""
            terminal.type(answer)
            assert terminal.end() == (0 if answer == "yes" else 5)
    assert suites(desk) == loopback.known_hosts_line


def test_a_changed_key_is_refused_by_every_command_with_both_fingerprints(sshd: Sshd, desk: LoginDesk) -> None:
    ready_models.onnx_file(desk.root / "a.onnx")
    desk.add(sshd)
    before = sshd.fingerprint
    sshd.change_host_key()
    trust = (*TRUST, "--fingerprint", sshd.fingerprint)
    add = ("device", "add", "board", f"{sshd.user}@127.0.0.1:{sshd.port}", "--key-file", str(sshd.key_file))
    profile = ("profile", "a.onnx", "--device", "board")
    known = desk.home / ".ssh" / "known_hosts"
    for command in (CLEAN, trust, add, profile):
        desk.refused(
            f"it is ssh-ed25519 {sshd.fingerprint}, known is ssh-ed25519 {before} ({known}:1)",
            f"ssh-keygen -R '[127.0.0.1]:{sshd.port}' -f '{known}', then: edgeprof device trust board",
            command=command,
        )
    assert suites(desk) == ""
    subprocess.run(["ssh-keygen", "-R", f"[127.0.0.1]:{sshd.port}", "-f", str(known)], check=True, capture_output=True)
    desk.edgeprof(*trust)
    desk.edgeprof(*CLEAN)


@pytest.mark.parametrize(
    "where", ["suite", *(pytest.param(one, marks=pytest.mark.slow) for one in ("hashed", "named file"))]
)
def test_a_key_may_be_known_in_any_of_the_files(loopback: Sshd, desk: LoginDesk, where: str) -> None:
    desk.add(loopback, known=False)
    mine = desk.home / ".ssh" / "known_hosts"
    if where == "suite":
        (desk.root / "devices" / "known_hosts").write_text(loopback.known_hosts_line)
    elif where == "hashed":
        mine.write_text(loopback.known_hosts_line)
        subprocess.run(["ssh-keygen", "-H", "-f", str(mine)], check=True, capture_output=True)
        assert "127.0.0.1" not in mine.read_text()
    else:
        config = f'Host 127.0.0.1\n UserKnownHostsFile "{loopback.known_hosts}"\n'
        (desk.home / ".ssh" / "config").write_text(config)
    desk.edgeprof(*CLEAN)


# --- hosts on the way


@pytest.fixture
def gate(tmp_path: Path, sshd: Sshd, desk: LoginDesk) -> Iterator[Sshd]:
    """A jump host, which the user's ssh_config names for the board `pi`."""
    with Sshd(tmp_path / "gate", name="gate") as gate:
        keys = f" IdentityFile {sshd.key_file}\nHost gate\n HostName localhost\n IdentityFile {gate.key_file}\n"
        desk.config(
            f"Host pi\n HostName 127.0.0.1\n Port {sshd.port}\n User {sshd.user}\n ProxyJump gate\n{keys}"
            f" Port {gate.port}\n User {gate.user}\n"
        )
        yield gate


@pytest.mark.slow
def test_both_keys_of_a_way_over_a_jump_host_are_trusted_one_after_the_other(
    gate: Sshd, sshd: Sshd, desk: LoginDesk
) -> None:
    name = f"[localhost]:{gate.port}"
    desk.refused(f"the host key is not known: ssh-ed25519 {gate.fingerprint}", f"{gate.user}@localhost:{gate.port}")
    board = (*TRUST, "--fingerprint", sshd.fingerprint)
    desk.refused(f"the host key of the jump host {name} is not the expected one", command=board)
    done = desk.edgeprof(*TRUST, "--fingerprint", gate.fingerprint)
    assert done.stdout.startswith(f"jump host {name}: ssh-ed25519 {gate.fingerprint} is trusted now")
    assert "next, the key of board itself: edgeprof device trust board" in done.stderr
    desk.refused(f"the host key is not known: ssh-ed25519 {sshd.fingerprint}")
    told = json.loads(desk.edgeprof(*board, "--json").stdout)
    assert told["host_key"] == sshd.fingerprint
    desk.edgeprof(*CLEAN)
    assert gate.sessions() == []


def test_a_person_is_asked_for_both_in_one_go_and_told_whose_they_are(gate: Sshd, sshd: Sshd, desk: LoginDesk) -> None:
    with desk.terminal("device", "add", "new", "pi") as terminal:
        terminal.read_until(f"the jump host [localhost]:{gate.port}, on the way to new, presents the host key")
        terminal.read_until(gate.fingerprint)
        terminal.read_until("Is it the jump host's key? (yes/no)")
        terminal.type("yes")
        terminal.read_until(f"new (pi) presents the host key ssh-ed25519 {sshd.fingerprint}")
        terminal.read_until("Is it the board's key? (yes/no)")
        terminal.type("yes")
        assert terminal.end() == 0, terminal.said
    assert len(suites(desk).splitlines()) == 2
    assert (desk.root / "devices" / "new.toml").exists()


@pytest.mark.slow
def test_a_jump_host_that_forwards_nothing_and_one_that_cannot_reach_the_board_are_told(
    gate: Sshd, sshd: Sshd, desk: LoginDesk
) -> None:
    known = gate.known_hosts_line.replace("127.0.0.1", "localhost") + sshd.known_hosts_line
    (desk.home / ".ssh" / "known_hosts").write_text(known)
    gate.config = ["AllowTcpForwarding no"]
    gate.restart()
    desk.refused("the jump host gate lets no connection through", "AllowTcpForwarding yes")
    gate.config = []
    gate.restart()
    sshd.kill()
    desk.refused(f"the jump host gate cannot reach 127.0.0.1 port {sshd.port}")
    gate.kill()
    desk.refused(f"port {gate.port} is closed")
