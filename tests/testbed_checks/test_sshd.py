"""The throw-away SSH server does what other tests rely on."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from process_tools import alive, await_value
from testbed.clock import clock_environment
from testbed.programs import program
from testbed.pythons import write_programs, write_python
from testbed.sshd import PATH, Sshd, banner


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    """In a folder whose name a shell and sshd_config would split."""
    with Sshd(tmp_path / "it's a board") as server:
        yield server


def test_a_login_has_its_own_home_and_none_of_the_testers(server: Sshd) -> None:
    done = server.ssh("pwd; echo $HOME; echo $SHELL; echo $PATH; echo $LANG; echo $SSH_ORIGINAL_COMMAND; exit 7")
    assert done.stdout.splitlines() == [str(server.home), str(server.home), "/bin/bash", PATH, "C.UTF-8", ""]
    assert done.returncode == 7


def test_files_come_by_sftp_and_not_where_there_is_none(server: Sshd, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\0\1" * 50000)
    words = ["scp", "-q", "-F", str(server.ssh_config), str(tmp_path / "file"), f"{server.name}:copy"]
    subprocess.run(words, check=True)
    assert (server.home / "copy").read_bytes() == (tmp_path / "file").read_bytes()
    server.sftp = False
    server.restart()
    assert subprocess.run(words, check=False, capture_output=True).returncode != 0


def test_bash_reads_bashrc_as_over_ssh_and_other_shells_do_not(server: Sshd) -> None:
    (server.home / ".bashrc").write_text("echo WELCOME TO THE BOARD\n")
    assert server.ssh("echo $0").stdout == "WELCOME TO THE BOARD\n/bin/bash\n"
    server.shell = "/bin/dash"
    server.restart()
    assert server.ssh("echo $0").stdout == "/bin/dash\n"
    server.shell = str(program("tcsh"))
    server.restart()
    assert server.ssh("set x = 5; echo $x").stdout == "5\n"


def test_the_environment_and_lines_of_the_configuration_are_the_tests(server: Sshd, tmp_path: Path) -> None:
    server.environment = {"LANG": "de_DE.UTF-8", "HOME": str(tmp_path), "WITH": 'it\'s "quoted" $HOME'}
    server.config = ["Banner /etc/debian_version", "PermitTTY no"]
    server.restart()
    assert server.ssh("echo $LANG; pwd; echo $WITH").stdout == f'de_DE.UTF-8\n{tmp_path}\nit\'s "quoted" $HOME\n'
    assert "PermitTTY no" in (server.folder / "sshd_config").read_text()


def test_pythons_that_boards_have(server: Sshd, tmp_path: Path) -> None:
    old = write_python(tmp_path / "old", "3.6.9", lacks=("pip", "venv"))
    server.environment = {"PATH": f"{old}:{PATH}"}
    server.restart()
    said = server.ssh("python3 -c 'import sys; print(sys.version_info[:2], sys.version_info >= (3, 8)); import json'")
    assert said.stdout == "(3, 6) False\n"
    assert "No module named pip" in server.ssh("python3 -m pip --version").stderr
    assert "No module named venv" in server.ssh("python3 -I -m venv x").stderr
    server.environment = {"PATH": str(write_programs(tmp_path / "programs", without=["python*"]))}
    server.restart()
    missing = server.ssh("command -v uname && command -v python3")
    assert (missing.returncode, missing.stdout) == (1, f"{tmp_path}/programs/uname\n")


def test_the_port_and_the_key_stay_over_a_crash_and_the_key_can_change(server: Sshd) -> None:
    port, key = server.port, server.fingerprint
    server.kill()
    with pytest.raises(ConnectionRefusedError):
        banner(server.host, port)
    server.start()
    assert banner(server.host, port).startswith(b"SSH-2.0-OpenSSH")
    assert (server.port, server.fingerprint) == (port, key)
    scanned = subprocess.run(["ssh-keygen", "-lf", str(server.known_hosts)], capture_output=True, text=True, check=True)
    assert server.fingerprint in scanned.stdout
    trusted = server.known_hosts.read_text()
    server.change_host_key()
    server.known_hosts.write_text(trusted)
    assert server.fingerprint != key
    assert "Host key verification failed" in server.ssh("true").stderr


def test_sessions_end_at_once_and_what_detached_itself_is_found_until_stop(server: Sshd) -> None:
    words = ["ssh", "-F", str(server.ssh_config), server.name, "setsid sleep 99 <&- >&- 2>&- & echo up; sleep 98"]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as client:
        assert client.stdout
        assert client.stdout.readline() == b"up\n"
        left = await_value(lambda: server.processes() or None)
        server.kill_sessions()
        assert client.wait(timeout=10) == 255
    assert server.sessions() == []
    assert server.ssh("echo on").stdout == "on\n"
    server.stop()
    assert not [pid for pid in left if alive(pid)]
    assert server.processes() == []


def test_a_frozen_server_accepts_and_says_nothing(server: Sshd) -> None:
    server.freeze()
    with pytest.raises(TimeoutError):
        banner(server.host, server.port, timeout=0.3)
    server.thaw()
    assert server.ssh("echo on").stdout == "on\n"


def test_a_clock_that_is_off_and_jumps_while_a_process_runs(server: Sshd, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    server.environment = clock_environment(clock)
    server.restart()
    clocks = "time.time(), time.monotonic(), time.clock_gettime(7)"
    asks = f"import time\nfor line in open(0): print({clocks}, flush=True)"
    words = ["ssh", "-F", str(server.ssh_config), server.name, f"/usr/bin/python3 -uc '{asks}'"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as client:
        assert client.stdin
        assert client.stdout
        read = []
        for setting in ("+0", "+3650d", "-3650d"):
            clock.write_text(setting + "\n")
            client.stdin.write("now\n")
            read.append([float(word) for word in client.stdout.readline().split()])
        client.stdin.close()
    years = [round((wall - time.time()) / 86400 / 365) for wall, _, _ in read]
    assert years == [0, 10, -10]
    assert read[0][1] < read[1][1] < read[2][1] < time.monotonic()
    assert read[0][2] < read[1][2] < read[2][2] < time.clock_gettime(time.CLOCK_BOOTTIME)
