"""A board: its own network, processes, host name, disk and userland, in name spaces of this machine; reached by SSH.

All of it hangs on one process, the holder, which ends with the tester however the tester ends; then the board's
processes, mounts and links are gone. Needs root: as another user, run the tests by tests/testbed/rootless.sh.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from process_tools import await_end, await_value, children

from testbed import roots
from testbed.board_link import BoardLink
from testbed.cgroup import Cgroup
from testbed.personas import emulated_core, write_persona
from testbed.programs import UNPACKED, program
from testbed.reach import Reach
from testbed.sshd import banner

HERE = Path(__file__).parent
HOLD = """
mount --make-rprivate /
mount -t tmpfs run /run
mkdir /run/netns
mount -t tmpfs -o "size=$1,mode=755" disk "$2"
echo up
read -r end
"""
CONFIG = """\
Port 22
HostKey /etc/testbed/host_key
AuthorizedKeysFile /etc/testbed/authorized_keys
PidFile none
StrictModes no
UsePAM no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UseDNS no
PrintMotd no
MaxStartups 100:30:200
MaxSessions 100
LogLevel VERBOSE
Subsystem sftp internal-sftp
"""


class Board(Reach):
    """A board that is up as soon as it is made; `close` ends it.

    Args:
        folder: made if it is not there; holds keys, `console` and the files for clients.
        root: what it runs: `host`, this machine's own programs; or a Debian, such as `arm64-bookworm` (roots.py).
        persona: what it seems to be, one of `personas.PERSONAS`.
        disk: size of its disk, in words of `mount`; everything that it writes lies there, over reboots too.
        cable: whether its link can be shaped (`shape`).
        cpu_percent, memory_mib: limits of the whole board; a core is 100.
        share: folders of this machine that are visible on it at the same place, read-only.
        user: who logs in, `root` or `edge`.
        password: of `edge`; without one there are only keys.
        sudo: commands that `edge` may run by `sudo -n`, as sudoers writes them (`ALL`).
        environment: of every login.
        config: lines for sshd_config; they win over the usual ones.
    """

    def __init__(
        self,
        folder: Path,
        *,
        root: str = "host",
        persona: str | None = None,
        disk: str = "512m",
        cable: bool = False,
        cpu_percent: int | None = None,
        memory_mib: int | None = None,
        share: Sequence[Path] = (),
        user: str = "root",
        password: str | None = None,
        sudo: str = "",
        environment: Mapping[str, str] | None = None,
        config: Sequence[str] = (),
    ) -> None:
        if os.geteuid() != 0:
            raise PermissionError(f"boards need root: sh {HERE / 'rootless.sh'} .venv/bin/python -m pytest ...")
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            self._board: subprocess.Popen[bytes] | None = None
            self._holder: subprocess.Popen[bytes] | None = None
            self._cgroup: Cgroup | None = None
            self._link: BoardLink | None = None
            lower = Path("/") if root == "host" else roots.root(root)
            super().__init__(folder, f"board-{uuid.uuid4().hex[:6]}", user, "", 22)
            for name in ("root", "disk"):
                (folder / name).mkdir(exist_ok=True)
            self._environment = {
                **{"FOLDER": str(folder), "DISK": str(folder / "disk"), "LOWER": str(lower), "NAME": self.name},
                **{"UNPACKED": str(UNPACKED), "SHARE": "\n".join(map(str, share)), "SUDO": sudo},
                "PASSWORD": _hashed(password) if password else "",
            }
            if persona:
                write_persona(persona, folder / "persona")
            logins = dict(environment or {})
            if root.startswith("arm64"):
                roots.register_emulator()
                logins["QEMU_CPU"] = self._environment["QEMU_CPU"] = emulated_core(persona or "pi-4")
            lines = [*config, f"PasswordAuthentication {'yes' if password else 'no'}"]
            if logins:
                lines.append("SetEnv " + " ".join(f'"{name}={value}"' for name, value in logins.items()))
            (folder / "sshd_config").write_text("\n".join([*lines, CONFIG]))
            program("sshd")
            self._hold(disk)
            self._link = BoardLink(self._holder_pid, self._inside, cable)
            self.host = self._link.host
            if cpu_percent or memory_mib:
                self._cgroup = Cgroup(self.name, cpu_percent, memory_mib)
            self.boot()
            undo.pop_all()

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """The end of the board and its disk."""
        if self._board and self._board.poll() is None:
            self.power_cut()
        if self._link:
            self._link.close()
        if self._holder and self._holder.stdin:
            self._holder.stdin.close()
            self._holder.wait(timeout=20)
        if self._cgroup:
            self._cgroup.remove()

    def boot(self) -> None:
        """Returns when its sshd answers. The disk is as it was left; the boot id is a new one."""
        (self.folder / "boot_id").write_text(f"{uuid.uuid4()}\n")
        self._inside("ip", "netns", "add", "boot")
        self.link.attach()
        words = ["ip", "netns", "exec", "boot", "unshare", "--mount", "--uts", "--ipc", "--pid", "--fork"]
        words = [*self._enter(), *words, "--kill-child=KILL", "bash", str(HERE / "board_init.sh")]
        with (self.folder / "console").open("ab") as console:
            self._board = subprocess.Popen(
                self._cgroup.words(words) if self._cgroup else words,
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        if not await_value(self._answers):
            self._board = None
            raise AssertionError((self.folder / "console").read_text())
        self.write_client_files()

    def power_cut(self, silent: bool = True) -> None:
        """Every process is gone at once, the disk stays. Silent: nobody hears of it, as when the power fails; else its
        connections are closed, as when a board is shut down."""
        assert self._board
        if silent:
            self.link.detach()
        pid = self.pid
        os.kill(pid, signal.SIGKILL)
        await_end(pid)
        self._board.wait(timeout=20)
        self._board = None
        if not silent:
            self.link.detach()
        self._inside("ip", "netns", "del", "boot")

    def reboot(self, silent: bool = True) -> None:
        """`power_cut` and `boot`."""
        self.power_cut(silent)
        self.boot()

    def unplug(self) -> None:
        """Nothing comes through the link any more, and nobody is told."""
        self.link.plug(False)

    def plug(self) -> None:
        """The end of `unplug`."""
        self.link.plug(True)

    def shape(self, delay_ms: float = 0, mbit_per_s: float = 0, loss_percent: float = 0, jitter_ms: float = 0) -> None:
        """Of its link, from now on, each way."""
        self.link.shape(delay_ms, mbit_per_s, loss_percent, jitter_ms)

    def path(self, place: str) -> Path:
        """A file of the running board, for the tester."""
        return Path(f"/proc/{self.pid}/root") / place.lstrip("/")

    def fill(self, free: int = 0) -> None:
        """Leave so many bytes free on its disk."""
        disk = self.path("/tmp/filler")
        disk.unlink(missing_ok=True)
        there = shutil.disk_usage(disk.parent).free
        with disk.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, (there - free) // 4096 * 4096))

    def unfill(self) -> None:
        """The end of `fill`."""
        self.path("/tmp/filler").unlink()

    def read_only(self, on: bool = True) -> None:
        """The whole disk, as after a fault of its card; fails while a file is open for writing."""
        self._inside("mount", "-o", f"remount,{'ro' if on else 'rw'}", str(self.folder / "disk"))

    @property
    def pid(self) -> int:
        """Of its first process, here."""
        assert self._board
        (forked,) = children(self._board.pid)
        (first,) = children(forked)
        return first

    @property
    def link(self) -> BoardLink:
        """Between it and this machine."""
        assert self._link
        return self._link

    @property
    def _holder_pid(self) -> int:
        assert self._holder
        return self._holder.pid

    @property
    def boot_id(self) -> str:
        """Of the running or last boot."""
        return (self.folder / "boot_id").read_text().strip()

    def _hold(self, disk: str) -> None:
        words = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
        self._holder = subprocess.Popen(
            [*words, "bash", "-ec", HOLD, "hold", disk, str(self.folder / "disk")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._holder.stdout
        assert self._holder.stdout.readline() == b"up\n"

    def _enter(self) -> list[str]:
        (first,) = children(self._holder_pid)
        return ["nsenter", "--target", str(first), "--net", "--mount", "--pid"]

    def _inside(self, *words: str) -> None:
        """Run a command of this machine in the holder's name spaces."""
        done = subprocess.run([*self._enter(), *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"

    def _answers(self) -> bool | None:
        """True: its banner was read; False: it ended; None: not yet."""
        assert self._board
        if self._board.poll() is not None:
            return False
        try:
            return banner(self.host, 22, timeout=2).startswith(b"SSH-2.0") or None
        except OSError:
            return None


def _hashed(password: str) -> str:
    """As /etc/shadow has it."""
    words = ["openssl", "passwd", "-6", "-stdin"]
    return subprocess.run(words, input=password, capture_output=True, text=True, check=True).stdout.strip()
