"""The user's ssh_config and the device file -> where to connect; what is not supported is told."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest
from ssh_machine import Machine

from edgeprof.errors import DeviceError
from edgeprof.records import Device
from edgeprof.target.ssh.config import CONNECT_S, resolve

ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "a home", tmp_path / "etc ssh")


def test_without_a_configuration_there_are_defaults(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    key = machine.write("", "id_ed25519")
    (machine.home / ".ssh" / "config").unlink(missing_ok=True)
    found = resolve(Device(name="board", transport="ssh", host="Pi.Local"), machine.home, machine.system)
    assert (found.hostname, found.port, found.user, found.timeout_s) == ("pi.local", 22, ME, CONNECT_S)
    assert found.key_files == (key,)
    assert found.no_agent
    assert found.known_hosts == (
        machine.home / ".ssh" / "known_hosts",
        machine.home / ".ssh" / "known_hosts2",
        machine.system / "ssh_known_hosts",
        machine.system / "ssh_known_hosts2",
    )
    assert (found.jumps, found.host_key_alias, found.known_as) == ((), None, "pi.local")


def test_the_device_file_wins_over_the_configuration(machine: Machine) -> None:
    found = machine.address(
        "Host pi\n HostName 10.0.0.9\n User k\n Port 7\n IdentityFile ~/b\n", user="u", port=8, key_file="~/a"
    )
    assert (found.hostname, found.user, found.port) == ("10.0.0.9", "u", 8)
    assert found.key_files == (machine.home / "a", machine.home / "b")


def test_the_users_file_comes_before_the_systems(machine: Machine) -> None:
    (machine.system / "ssh_config.d").mkdir(parents=True)
    (machine.system / "ssh_config").write_text("Include ssh_config.d/*.conf\nHost *\n User system\n Port 9\n")
    (machine.system / "ssh_config.d" / "a.conf").write_text("ConnectTimeout 4\n")
    found = machine.address("Host pi\n User own\n")
    assert (found.user, found.port, found.timeout_s) == ("own", 9, 4)


def test_tokens_tildes_and_variables_are_expanded(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYS", "/my keys")
    found = machine.address(
        "Host pi\n HostName real\n User k\n Port 7\n IdentityFile ~/%n-%h-%p-%r-%u-%%\n IdentityFile ${KEYS}/%k\n"
        " UserKnownHostsFile ~/hosts %d/more\n GlobalKnownHostsFile none\n IdentityAgent ~/agent\n"
        " RevokedHostKeys ~/bad\n"
    )
    assert found.key_files == (machine.home / f"pi-real-7-k-{ME}-%", Path("/my keys/pi"))
    assert found.known_hosts == (machine.home / "hosts", machine.home / "more")
    assert found.agent_socket == machine.home / "agent"
    assert found.revoked_keys == machine.home / "bad"


@pytest.mark.parametrize(
    ("said", "socket"),
    [("none", None), ("SSH_AUTH_SOCK", "/env"), ("$OTHER", "/other"), ("/a b", "/a b"), ("$UNSET", None)],
)
def test_which_agent_is_asked(machine: Machine, monkeypatch: pytest.MonkeyPatch, said: str, socket: str | None) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/env")
    monkeypatch.setenv("OTHER", "/other")
    assert machine.address(f'IdentityAgent "{said}"\n').agent_socket == (Path(socket) if socket else None)


def test_known_hosts_may_be_none_and_the_port_is_part_of_the_name(machine: Machine) -> None:
    found = machine.address("UserKnownHostsFile none\nGlobalKnownHostsFile /x\nPort 2222\nHostName ::1\n")
    assert found.known_hosts == (Path("/x"),)
    assert found.known_as == "[::1]:2222"
    assert str(found) == f"{ME}@[::1]:2222"
    assert machine.address("HostKeyAlias Board\nPort 2222\n").known_as == "board"


def test_a_chain_of_jump_hosts_is_looked_up_first_hop_first(machine: Machine) -> None:
    config = (
        "Host pi\n ProxyJump u@outer:2200,inner\n"
        "Host outer\n HostName outer.example.org\n User no\n Port 9\n IdentityFile ~/gate\n"
        "Host inner\n HostName 10.0.0.1\n ProxyJump elsewhere\n"
    )
    found = machine.address(config, user="k", port=2022, key_file="~/own")
    assert [str(hop) for hop in found.jumps] == ["u@outer.example.org:2200", f"{ME}@10.0.0.1"]
    assert found.jumps[0].key_files == (machine.home / "gate",)
    assert all(not hop.jumps for hop in found.jumps)
    assert str(found) == "k@pi:2022"


def test_a_jump_host_may_have_one_itself(machine: Machine) -> None:
    found = machine.address("Host pi\n ProxyJump b\nHost b\n ProxyJump a\n")
    assert [hop.alias for hop in found.jumps] == ["a", "b"]
    assert machine.address("Host pi\n ProxyJump none\nHost *\n ProxyJump b\n").jumps == ()
    assert machine.address("Host pi\n ProxyJump %r@gate-%n\n", user="k").jumps[0].alias == "gate-pi"


@pytest.mark.parametrize(
    "config",
    ["Host *\n ProxyJump b\n", "Host pi\n ProxyJump b\nHost b\n ProxyJump pi\n", "Match host *\n ProxyJump x%h\n"],
)
def test_jump_hosts_in_a_circle_are_told(machine: Machine, config: str) -> None:
    with pytest.raises(DeviceError, match="circle") as caught:
        machine.address(config)
    assert "ProxyJump none" in (caught.value.hint or "")


def test_a_proxy_command_is_refused_without_showing_it(machine: Machine) -> None:
    with pytest.raises(DeviceError, match="ProxyCommand") as caught:
        machine.address("Host pi\n ProxyCommand corkscrew --auth me:secret %h %p\n")
    assert str(caught.value).startswith(f"{machine.home / '.ssh' / 'config'} line 2: ")
    assert "ProxyJump HOST" in (caught.value.hint or "")
    assert "secret" not in str(caught.value) + (caught.value.hint or "")
    assert machine.address("Host pi\n ProxyCommand none\n ProxyJump b\n").jumps == ()
    assert machine.address("Host pi\n ProxyJump b\n ProxyCommand x\n").jumps[0].alias == "b"


def test_match_exec_is_refused_only_where_openssh_would_run_it(machine: Machine) -> None:
    with pytest.raises(DeviceError, match="Match exec") as caught:
        machine.address('Match host pi exec "test -e /tmp/x"\n User k\n')
    assert "Match !originalhost pi exec" in (caught.value.hint or "")
    assert machine.address('Match host other exec "test -e /tmp/x"\n User k\n').user == ME
    assert machine.address('Match !originalhost pi exec "true"\n User k\n').user == ME


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("User k\nPort 70000\n", "line 2: '70000' is no port"),
        ('User "k\n', "line 1: a quote is not closed"),
        ("Host pi\n  Hostname\n", "line 2: hostname has no value"),
        ("Match wat pi\n", "line 1: edgeprof does not know the condition Match wat"),
        ("Match originalhost other wat pi\n", "line 1: edgeprof does not know the condition Match wat"),
        ("Match\n", "line 1: Match has no condition"),
        ("IdentityFile ~/%C\n", "does not know the token %C"),
        ("IdentityFile ${NO_SUCH_VARIABLE}\n", "NO_SUCH_VARIABLE"),
        ("IdentityFile ~no-such-user/x\n", "no user 'no-such-user'"),
        ("ProxyJump a b\n", "'a b' is no"),
        ("Include ~/.ssh/config\n", "circle"),
    ],
)
def test_a_broken_configuration_is_told_with_its_place(machine: Machine, config: str, message: str) -> None:
    with pytest.raises(DeviceError) as caught:
        machine.address(config)
    assert message in str(caught.value)
    assert not caught.value.transient


def test_a_configuration_that_others_may_write_is_refused(machine: Machine) -> None:
    machine.write("User k\n").chmod(0o666)
    with pytest.raises(DeviceError, match="others may write") as caught:
        resolve(Device(name="board", transport="ssh", host="pi"), machine.home, machine.system)
    assert (caught.value.hint or "").startswith("chmod go-w ")


def test_a_configuration_that_cannot_be_read_is_told(machine: Machine) -> None:
    config = machine.write("")
    config.unlink()
    config.symlink_to(config)
    with pytest.raises(DeviceError, match="cannot be read"):
        resolve(Device(name="board", transport="ssh", host="pi"), machine.home, machine.system)
