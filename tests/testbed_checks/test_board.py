"""Boards in name spaces: own disk, processes, link; power cuts and reboots; limits; what they seem to be."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from process_tools import alive, await_value
from testbed.board import Board
from testbed.fixtures import MakeBoard

pytestmark = pytest.mark.board


def test_it_is_a_machine_of_its_own(board: MakeBoard) -> None:
    one, other = board(), board(user="edge")
    said = one.ssh("hostname; pwd; ls -A; echo $$ > /tmp/mine; ls -d /run/lock; cat /proc/1/comm").stdout.split()
    assert said == [one.name, "/root", "/run/lock", "bash"]
    assert other.ssh("id -un; pwd; ls /tmp; cat /proc/sys/kernel/random/boot_id").stdout.split() == [
        "edge",
        "/home/edge",
        other.boot_id,
    ]
    one.ssh("touch /run/lock/of-this-board")
    assert not Path("/run/lock/of-this-board").exists()
    assert one.path("/run/lock/of-this-board").exists()
    assert not other.path("/run/lock/of-this-board").exists()


def test_the_disk_outlives_a_power_cut_and_processes_do_not(board: MakeBoard) -> None:
    device = board()
    device.ssh("echo kept > /root/kept; echo lost > /run/lost; setsid sleep 1000 > /dev/null 2>&1 < /dev/null &")
    boot, first = device.boot_id, device.pid
    device.reboot()
    said = device.ssh("cat /root/kept /run/lost /proc/sys/kernel/random/boot_id; pgrep sleep")
    assert said.stdout.split() == ["kept", device.boot_id]
    assert device.boot_id != boot
    assert not alive(first)


@pytest.mark.parametrize("cable", [False, True])
def test_a_silent_power_cut_closes_no_connection_and_the_next_boot_resets_it(board: MakeBoard, cable: bool) -> None:
    device = board(cable=cable)
    with socket.create_connection((device.host, 22), timeout=5) as link:
        assert link.recv(100).startswith(b"SSH-2.0")
        device.power_cut()
        link.settimeout(0.3)
        with pytest.raises(TimeoutError):
            link.recv(100)
        link.send(b"is there anybody?")
        device.boot()
        link.settimeout(20)
        with pytest.raises(ConnectionResetError):
            link.recv(100)
    with socket.create_connection((device.host, 22), timeout=5) as link:
        assert link.recv(100).startswith(b"SSH-2.0")
        device.power_cut(silent=False)
        assert link.recv(100) == b""


@pytest.mark.parametrize("cable", [False, True])
def test_an_unplugged_link_loses_nothing_that_is_sent_again(board: MakeBoard, cable: bool) -> None:
    device = board(cable=cable)
    words = ["ssh", "-F", str(device.ssh_config), device.name, "cat"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        assert client.stdin
        assert client.stdout
        client.stdin.write(b"before\n")
        client.stdin.flush()
        assert client.stdout.readline() == b"before\n"
        device.unplug()
        client.stdin.write(b"meanwhile\n")
        client.stdin.flush()
        with pytest.raises(OSError, match=r"timed out|No route"):
            socket.create_connection((device.host, 22), timeout=0.3)
        device.plug()
        assert client.stdout.readline() == b"meanwhile\n"
        client.stdin.close()


def test_a_shaped_link_takes_its_time(board: MakeBoard) -> None:
    device = board(cable=True)
    device.shape(delay_ms=20)
    start = time.monotonic()
    with socket.create_connection((device.host, 22), timeout=5) as link:
        assert link.recv(100)
    assert time.monotonic() - start >= 0.08
    assert device.ssh("echo far").stdout == "far\n"


def test_its_disk_fills_and_can_turn_read_only(board: MakeBoard) -> None:
    device = board(disk="24m")
    device.fill(free=1 << 20)
    full = device.ssh("head -c 3000000 /dev/zero > /root/big; wc -c < /root/big")
    assert "No space left on device" in full.stderr
    assert 0 < int(full.stdout) < 3_000_000
    device.unfill()
    assert device.ssh("head -c 3000000 /dev/zero > /root/big && echo fits").stdout == "fits\n"
    device.read_only()
    assert "Read-only file system" in device.ssh("touch /root/x /tmp/x").stderr
    device.read_only(False)
    assert device.ssh("touch /root/x /tmp/x && echo writable").stdout == "writable\n"


def test_who_needs_too_much_memory_is_killed(board: MakeBoard) -> None:
    device = board(memory_mib=200, cpu_percent=100)
    greedy = device.ssh("/usr/bin/python3 -c 'x = bytearray(400 << 20); print(len(x))'; echo $?")
    assert greedy.stdout == "137\n"
    assert device.ssh("echo on").stdout == "on\n"


def test_folders_of_the_testers_can_be_shared_but_not_written(board: MakeBoard) -> None:
    device = board(share=[Path(sys.base_prefix), Path(sys.prefix)])
    said = device.ssh(f"{sys.executable} -c 'import numpy, sys; print(sys.prefix)'; touch {sys.prefix}/x")
    assert said.stdout == f"{sys.prefix}\n"
    assert "Read-only file system" in said.stderr


@pytest.mark.parametrize("persona", ["pi-5", "xavier-nx"])
def test_it_seems_to_be_a_board(board: MakeBoard, persona: str) -> None:
    device = board(persona=persona)
    cpus = "/sys/devices/system/cpu"
    said = device.ssh(
        "tr -d '\\0' < /sys/firmware/devicetree/base/model; echo; grep -c ^processor /proc/cpuinfo; "
        f"cat /sys/class/thermal/thermal_zone0/type; echo performance > {cpus}/cpu0/cpufreq/scaling_governor; "
        f"cat {cpus}/cpufreq/policy0/scaling_governor"
    ).stdout.splitlines()
    models = {"pi-5": "Raspberry Pi 5 Model B Rev 1.0", "xavier-nx": "NVIDIA Jetson Xavier NX Developer Kit"}
    assert said[0] == models[persona]
    assert said[1:] == (["4", "cpu-thermal", "performance"] if persona == "pi-5" else ["6", "CPU-therm", "performance"])


def test_a_boards_own_tools_answer(board: MakeBoard) -> None:
    pi = board(persona="pi-4")
    pi.ssh("echo 50005 > /sys/devices/platform/soc/soc:firmware/get_throttled")
    assert pi.ssh("vcgencmd get_throttled").stdout == "throttled=0x50005\n"
    jetson = board(persona="orin-nano")
    assert jetson.ssh("nvpmodel -m 1; nvpmodel -q").stdout == "NV Power Mode: 7W\n1\n"
    jetson.reboot()
    assert jetson.ssh("nvpmodel -q").stdout == "NV Power Mode: 7W\n1\n"


def test_a_user_with_a_password(board: MakeBoard, tmp_path: Path) -> None:
    device = board(user="edge", password="not secret")
    answer = tmp_path / "answer"
    answer.write_text("#!/bin/sh\necho 'not secret'\n")
    answer.chmod(0o755)
    words = ["ssh", "-F", str(device.ssh_config), "-o", "PubkeyAuthentication=no", device.name, "id -un"]
    environment = {"SSH_ASKPASS": str(answer), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":0", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "edge\n", done.stderr


def test_nothing_is_left(tmp_path: Path) -> None:
    with Board(tmp_path / "board") as device:
        device.ssh("setsid sleep 1000 > /dev/null 2>&1 < /dev/null &")
        pid = device.pid
        interface = device.link.interface
        assert Path(f"/sys/class/net/{interface}").exists()
    assert not alive(pid)
    assert not Path(f"/sys/class/net/{interface}").exists()
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


def test_nothing_is_left_of_a_tester_that_was_killed(tmp_path: Path) -> None:
    program = "import sys, pathlib, time; from testbed.board import Board; b = Board(pathlib.Path(sys.argv[1])); "
    program += "print(b.pid, b.link.interface, flush=True); time.sleep(100)"
    tester = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "board")],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
        text=True,
    )
    with tester:
        assert tester.stdout
        pid, interface = tester.stdout.readline().split()
        tester.kill()
    await_value(lambda: None if alive(int(pid)) else True)
    await_value(lambda: None if Path(f"/sys/class/net/{interface}").exists() else True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("root", "machine", "python", "glibc"),
    [
        ("amd64-bookworm", "x86_64", "3.11", "2.36"),
        ("arm64-bullseye", "aarch64", "3.9", "2.31"),
        ("arm64-bookworm", "aarch64", "3.11", "2.36"),
        ("arm64-trixie", "aarch64", "3.13", "2.41"),
    ],
)
def test_other_userlands(board: MakeBoard, root: str, machine: str, python: str, glibc: str) -> None:
    device = board(root=root, persona="pi-4" if machine == "aarch64" else None, user="edge", sudo="/usr/bin/tee")
    asks = "import platform as p; print(p.machine(), p.python_version(), p.libc_ver()[1])"
    said = device.ssh(f'python3 -c "{asks}"', timeout=60).stdout.split()
    assert (said[0], said[1].rpartition(".")[0], said[2]) == (machine, python, glibc)
    assert device.ssh("echo x | sudo -n tee /root/x && sudo -n id", timeout=60).stdout == "x\n"
