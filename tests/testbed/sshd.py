"""A throw-away OpenSSH server on loopback: own host key, client key, config and port; no system service, any user.

Whoever logs in gets a home folder, a login shell and an environment made for the test, never the tester's own: sshd's
ForceCommand runs a script that does what sshd would have done for such a user. Whatever was started through the server
carries a mark in its environment, so `stop` leaves nothing behind, not even what detached itself.
"""

from __future__ import annotations

import getpass
import itertools
import os
import random
import shlex
import signal
import socket
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from process_tools import await_end, await_value, children

from testbed.programs import UNPACKED, library_path, program
from testbed.reach import Reach, make_key

PATH = "/usr/local/bin:/usr/bin:/bin"
PORTS = range(20000, 32000)
"""Below those that the kernel gives to clients: while the server is down nobody else gets its port, and a client that
tries again and again cannot be connected to itself."""
MARK = "EDGEPROF_TESTBED"
CONFIG = """\
ListenAddress 127.0.0.1
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PermitUserRC no
UseDNS no
PrintMotd no
MaxStartups 100:30:200
MaxSessions 100
LogLevel VERBOSE
"""
LOGIN = """\
#!/bin/sh
unset SHLVL
{exports}
cd "$HOME" || exit 1
[ -n "$SSH_ORIGINAL_COMMAND" ] || exec {shell}
set -- "$SSH_ORIGINAL_COMMAND"
unset SSH_ORIGINAL_COMMAND
exec {shell} -c "$1"
"""


class Sshd(Reach):
    """A server and the account behind it. Its folder holds keys, config, `home/` and `log`.

    Args:
        folder: made if it is not there.
        name: the Host of `ssh_config` and of `ssh`.
        home: the account's home folder, instead of `folder/home`.
        shell: the account's login shell; it is run as `SHELL -c COMMAND`.
        environment: of every login, beside or instead of PATH, LANG=C.UTF-8, HOME and SHELL.
        config: lines for sshd_config; they win over the usual ones.
        sftp: whether the server has the sftp subsystem.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "board",
        home: Path | None = None,
        shell: str = "/bin/bash",
        environment: Mapping[str, str] | None = None,
        config: Sequence[str] = (),
        sftp: bool = True,
    ) -> None:
        super().__init__(folder, name, getpass.getuser(), "127.0.0.1", 0)
        self.home = home or folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        self.shell = shell
        self.environment = dict(environment or {})
        self.config = list(config)
        self.sftp = sftp
        self.log = folder / "log"
        self._mark = uuid.uuid4().hex
        self._server: subprocess.Popen[bytes] | None = None
        self.authorized_keys = folder / "authorized_keys"
        self.authorized_keys.write_text(self.key_file.with_suffix(".pub").read_text())

    def __enter__(self) -> Sshd:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when it accepts connections. The first start chooses the port, later ones keep it."""
        assert self._server is None, "it is up"
        for port in [self.port] if self.port else (random.choice(PORTS) for _ in itertools.count()):
            self._write_config(port)
            self._server = self._launched()
            if await_value(lambda port=port: self._listens(port)):  # type: ignore[misc]
                self.port = port
                break
            self._server = None
            assert self.port == 0, self.log.read_text()
            assert "Address already in use" in self.log.read_text(), self.log.read_text()
        self.write_client_files()

    def kill(self) -> None:
        """SIGKILL to the server and its connections; what was started through them lives on, without a link."""
        if self._server:
            self._server.send_signal(signal.SIGSTOP)  # no new connection from here on
            sessions = self.sessions()
            self._server.kill()
            self._server.wait()
            _kill(sessions)
            self._server = None

    def stop(self) -> None:
        """The end of the server, its connections, and all that was ever started through it."""
        self.kill()
        while left := self.processes():
            _kill(left)

    def restart(self) -> None:
        """As after a crash: port, keys and home are the same; reads `config`, `environment` and the others anew."""
        self.kill()
        self.start()

    def kill_sessions(self) -> None:
        """End the live connections; the server goes on."""
        _kill(self.sessions())

    def freeze(self) -> None:
        """Nothing moves any more, and nothing is closed; until `thaw`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """The end of `freeze`."""
        self._signal(signal.SIGCONT)

    def change_host_key(self) -> None:
        """From the next connection on, the server is another one, as far as clients can tell."""
        make_key(self._host_key)
        if self._server:
            self.restart()

    def sessions(self) -> list[int]:
        """The sshd processes of the live connections."""
        found: list[int] = []
        waiting = [self._server.pid] if self._server else []
        while waiting:
            waiting = [child for pid in waiting for child in children(pid) if _runs(child, "sshd")]
            found += waiting
        return found

    def processes(self) -> list[int]:
        """All that was started through the server and lives, detached or not."""
        mark = f"{MARK}={self._mark}".encode()
        found = []
        for environ in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in environ.read_bytes().split(b"\0"):
                    found.append(int(environ.parent.name))
            except OSError:
                continue
        return found

    def _write_config(self, port: int) -> None:
        login = self.folder / "login"
        exports = {"PATH": PATH, "LANG": "C.UTF-8", "HOME": str(self.home), "SHELL": self.shell, **self.environment}
        text = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in exports.items())
        login.write_text(LOGIN.format(exports=text, shell=shlex.quote(self.shell)))
        login.chmod(0o755)
        lines = [*self.config, f"Port {port}", f'HostKey "{self._host_key}"']
        lines += [f'AuthorizedKeysFile "{self.authorized_keys}"', f"ForceCommand {shlex.quote(str(login))}"]
        # The tester's own login shell runs the script first. SHLVL keeps a bash from reading HOME's .bashrc then.
        lines.append(f'SetEnv "HOME={self.folder}" SHLVL=1 {MARK}={self._mark}')
        if self.sftp:
            lines.append(f"Subsystem sftp {program('sftp-server')}")
        if has_penalties():
            lines.append("PerSourcePenalties no")
        for word, helper in (("SshdSessionPath", "sshd-session"), ("SshdAuthPath", "sshd-auth")):
            unpacked = UNPACKED / "usr/lib/openssh" / helper
            if unpacked.exists():
                lines.append(f"{word} {unpacked}")
        (self.folder / "sshd_config").write_text("\n".join(lines) + "\n" + CONFIG)

    def _launched(self) -> subprocess.Popen[bytes]:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.log.write_text("")
        words = [str(program("sshd")), "-D", "-f", str(self.folder / "sshd_config"), "-E", str(self.log)]
        environment = {**os.environ, "LD_LIBRARY_PATH": library_path()}
        return subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)

    def _listens(self, port: int) -> bool | None:
        """True: its banner was read; False: it ended; None: not yet."""
        assert self._server
        if self._server.poll() is not None:
            return False
        return True if f"Server listening on {self.host} port {port}." in self.log.read_text() else None

    def _signal(self, number: int) -> None:
        assert self._server
        for pid in [self._server.pid, *self.sessions()]:
            os.kill(pid, number)


def has_penalties() -> bool:
    """OpenSSH 9.8 and later lock an address out for a while after failed logins, unless told not to."""
    words = [str(program("sshd")), "-V"]
    environment = {**os.environ, "LD_LIBRARY_PATH": library_path()}
    said = subprocess.run(words, env=environment, capture_output=True, text=True, check=False).stderr
    version = said.partition("OpenSSH_")[2].partition("p")[0].split(".")
    return [int(part) for part in version if part.isdigit()] >= [9, 8]


def banner(host: str, port: int, timeout: float = 5) -> bytes:
    """The first line that a server says."""
    with socket.create_connection((host, port), timeout=timeout) as link:
        link.settimeout(timeout)
        return link.makefile("rb").readline()


def _runs(pid: int, name: str) -> bool:
    try:
        return name in Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return False


def _kill(pids: Sequence[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    for pid in pids:
        await_end(pid)
