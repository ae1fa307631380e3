"""Any ssh_config means what OpenSSH takes it for: its own client (`ssh -G`) is asked."""

from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from ssh_machine import Machine

from edgeprof.errors import DeviceError
from edgeprof.records import Device
from edgeprof.target.ssh.config import CONNECT_S, Address, resolve
from edgeprof.target.ssh.configfile import Options, read_options

ME = pwd.getpwuid(os.getuid()).pw_name


def read(machine: Machine, host: str, device: Device) -> Options | DeviceError:
    try:
        return read_options(Options(user=device.user, port=device.port), host, ME, machine.home, machine.system)
    except DeviceError as error:
        return error


def resolved(machine: Machine, device: Device) -> Address | DeviceError:
    try:
        return resolve(device, machine.home, machine.system)
    except DeviceError as error:
        return error


def agrees(machine: Machine, host: str, device: Device, options: Sequence[str] = ()) -> None:
    """Ours and OpenSSH's reading are the same, or both refuse."""
    theirs = machine.openssh(host, *options)
    ours = read(machine, host, device)
    address = resolved(machine, device)
    if isinstance(theirs, str) and "jumphost loop" in theirs:
        assert "circle" in str(address)
        return
    assert isinstance(theirs, str) == isinstance(ours, DeviceError), (theirs, ours)
    if isinstance(theirs, str) or isinstance(ours, DeviceError):
        return
    jump = theirs.get("proxyjump")
    assert (None if ours.jump == "none" else ours.jump) == (jump[0] if jump else None)
    if isinstance(address, DeviceError):
        # Of a hop, which OpenSSH looks at only when it connects.
        assert jump, address
        assert "circle" in str(address)
        return
    assert [address.hostname] == theirs["hostname"]
    assert [str(address.port)] == theirs["port"]
    assert [address.user] == theirs["user"]
    assert ["yes" if address.identities_only else "no"] == theirs["identitiesonly"]
    assert ([address.host_key_alias] if address.host_key_alias else None) == theirs.get("hostkeyalias")
    limit = theirs["connecttimeout"][0]
    assert address.timeout_s == (CONNECT_S if limit in ("none", "0") else int(limit))
    if ours.identity_files:
        named = [name.replace("~", str(machine.home)) for name in theirs["identityfile"] if name != "none"]
        assert [str(path) for path in address.key_files] == named
    if ours.user_known_hosts:
        assert [" ".join(ours.user_known_hosts)] == theirs["userknownhostsfile"]


names = st.sampled_from(["pi", "PI", "pi.local", "jetson", "192.168.1.5", "127.1", "::0001", "a_b", "p.x"])
patterns = st.sampled_from(
    ["*", "pi", "PI", "p*", "?i", "!pi", "!j*", "*.local", "jet?on", "192.168.*", "[pj]i", "p.x", '"pi"', "1*", "*:*"]
)
lists = st.lists(patterns.filter(lambda one: '"' not in one), min_size=1, max_size=3).map(",".join)
conditions = st.one_of(
    st.tuples(st.sampled_from(["host", "!host", "originalhost", "Host", "!originalhost"]), lists).map(" ".join),
    st.sampled_from([f"user {ME}", "user a*,!ab", f"localuser {ME}", "!user root", "user=k", 'host "pi"', "user"]),
    st.sampled_from(["final", "canonical", "!final"]),
)
GOOD = [
    "HostName %h.example.org",
    "HostName=10.0.0.7",
    "hostname Real.Name  # its name",
    "HostName 127.1",
    "HostName ::0001",
    "User k",
    "User = 'a b'",
    'User "a#b"',
    "User a\\ b",
    "Port 22",
    "Port 2222",
    "port=7\r",
    "Port ssh",
    "IdentityFile ~/.ssh/one",
    'IdentityFile "/keys/two three"',
    "IdentityFile ~/.ssh/one",
    "IdentityFile none",
    "IdentitiesOnly yes",
    "IdentitiesOnly FALSE",
    "ProxyJump gate",
    "ProxyJump u@gate:2200,[::1]:22 # c",
    "ProxyJump none",
    "ProxyCommand none",
    "ConnectTimeout 3",
    "ConnectTimeout 1m30s",
    "ConnectTimeout none",
    "ConnectTimeout 0",
    "UserKnownHostsFile /a /b",
    "UserKnownHostsFile /c",
    "HostKeyAlias Board-1",
    "StrictHostKeyChecking no",
    "ForwardAgent yes",
    "   # a comment",
    "",
    "CanonicalizeHostname yes",
]
WRONG = [
    "User a b",
    'User "a',
    'User ""',
    "Port 0",
    "Port 65536",
    "Port no-such",
    "IdentitiesOnly perhaps",
    "ProxyJump a,,b",
    "ConnectTimeout soon",
    "UserKnownHostsFile /a none",
    "HostName",
]
lines = st.sampled_from(GOOD * 12 + WRONG)
bodies = st.lists(lines, max_size=4).map("\n  ".join)
headers = st.one_of(
    st.lists(patterns, min_size=1, max_size=3).map(lambda found: "Host " + " ".join(found)),
    st.lists(conditions, min_size=1, max_size=3).map(lambda found: "Match " + " ".join(found)),
    st.sampled_from(["Match all", "Host * # every one", "Host=pi", "Match !all", "Include other", "Include no/such*"]),
    st.just("Include oth*r ~/.ssh/other"),
)
blocks = st.lists(st.tuples(headers, bodies).map("\n  ".join), max_size=4).map("\n".join)


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(bodies, blocks).map("\n".join),
    blocks,
    names,
    st.sampled_from([None, "root", "k"]),
    st.sampled_from([None, 2022]),
)
@example("Host pi\nInclude other\nUser k", "Host jetson\nPort 5\nHost *\nPort 6", "pi", None, None)
@example("Host jetson\nInclude other\nUser k", "Host pi\nPort 5\nMatch all\nPort 6", "pi", None, None)
@example("Match final host real\nPort 7\nHost pi\nHostName real\nHost real\nUser k", "", "pi", None, None)
@example("Match originalhost pi\nHostName a\nMatch host a\nUser u\nMatch host pi\nPort 9", "", "pi", None, None)
@example("Match user k\nPort 9\nUser x", "", "pi", "k", None)
def test_any_configuration_means_what_openssh_takes_it_for(
    config: str, other: str, host: str, user: str | None, port: int | None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder) / "home", Path(folder) / "etc")
        machine.write(config)
        machine.write(other.replace("Include", "Port 1 #"), "other")
        options = (*(("-l", user) if user else ()), *(("-p", str(port)) if port else ()))
        agrees(machine, host, Device(name="board", transport="ssh", host=host, user=user, port=port), options)
