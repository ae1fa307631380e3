"""What edgeprof sets on a device it puts back, however its session ends; what others set since stays theirs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import process_tools as processes
import pytest
import session_tools
import tiny_models
from session_tools import Device

from edgeprof.agent import session, spool, state
from edgeprof.agent.refusal import Refused

NVPMODEL = """\
#!/bin/sh
here="$(dirname "$0")"
case "$1" in
-q) printf 'NV Power Mode: MODE_%s\\n%s\\n' "$(cat "$here/mode")" "$(cat "$here/mode")" ;;
-m) [ "$2" -le 3 ] || { echo "NVPM ERROR: no such mode" >&2; exit 255; }
    if [ -e "$here/workdir" ]; then cp "$(cat "$here/workdir")/restore.json" "$here/noted"; fi
    if [ ! -e "$here/reboots" ]; then echo "$2" > "$here/mode"; fi
    if [ -e "$here/kills" ]; then rm "$here/kills"; kill -9 "$PPID"; fi ;;
esac
"""
SUDO = """\
#!/bin/sh
[ "$1" = -n ] || exit 9
shift
echo "$@" >> "$(dirname "$0")/asked"
case "$1" in */tee) chmod u+w "$2"; "$@" > /dev/null; chmod u-w "$2" ;; *) "$@" ;; esac
"""
NO_SUDO = "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n"


class Board:
    """A tree with two clusters and, if asked for, nvpmodel."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / "usr" / "bin"
        self.bin.mkdir(parents=True)
        self.paths = [root / f"sys/devices/system/cpu/cpufreq/policy{number}/scaling_governor" for number in (0, 4)]
        for path in self.paths:
            path.parent.mkdir(parents=True)
            path.write_text("schedutil\n")
            (path.parent / "scaling_available_governors").write_text("conservative performance schedutil \n")

    def command(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def jetson(self, mode: int = 0) -> None:
        self.command("nvpmodel", NVPMODEL)
        (self.bin / "mode").write_text(f"{mode}\n")

    @property
    def governors(self) -> list[str]:
        return [path.read_text().strip() for path in self.paths]

    @property
    def mode(self) -> int:
        return int((self.bin / "mode").read_text())


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    made = Device(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tiny_models.stand_in(tmp_path)))
    yield made
    made.close()


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    made = Board(tmp_path / "board")
    monkeypatch.setenv("PATH", str(made.bin), prepend=os.pathsep)
    return made


def note(workdir: Path) -> Path:
    return workdir / "restore.json"


def test_it_is_set_and_put_back_once(board: Board, tmp_path: Path) -> None:
    board.jetson()
    board.paths[1].write_text("conservative\n")
    state.apply(str(tmp_path), {"governor": "performance", "nvpmodel": 2}, root=str(board.root))
    assert (board.governors, board.mode) == (["performance", "performance"], 2)
    assert state.put_back(str(tmp_path))
    assert (board.governors, board.mode) == (["schedutil", "conservative"], 0)
    assert not note(tmp_path).exists()
    assert not state.put_back(str(tmp_path))
    assert (board.governors, board.mode) == (["schedutil", "conservative"], 0)


def test_an_older_kernels_governors_are_found_by_core(tmp_path: Path) -> None:
    folder = tmp_path / "sys/devices/system/cpu/cpu0/cpufreq"
    folder.mkdir(parents=True)
    (folder / "scaling_governor").write_text("ondemand")
    state.apply(str(tmp_path), {"governor": "userspace"}, root=str(tmp_path))
    assert (folder / "scaling_governor").read_text() == "userspace"
    state.put_back(str(tmp_path))
    assert (folder / "scaling_governor").read_text() == "ondemand"


def test_what_was_is_noted_before_anything_changes(board: Board, tmp_path: Path) -> None:
    board.jetson(1)
    (board.bin / "workdir").write_text(str(tmp_path))
    state.apply(str(tmp_path), {"nvpmodel": 3}, root=str(board.root))
    assert json.loads((board.bin / "noted").read_text())["steps"] == [{"nvpmodel": True, "was": 1, "to": 3}]


def test_nothing_is_touched_when_all_is_as_wanted(board: Board, tmp_path: Path) -> None:
    board.jetson(2)
    for path in board.paths:
        path.write_text("performance\n")
    state.apply(str(tmp_path), {"governor": "performance", "nvpmodel": 2}, root=str(board.root))
    state.apply(str(tmp_path), {"governor": None, "nvpmodel": None}, root=str(board.root))
    state.apply(str(tmp_path), {}, root=str(board.root))
    assert not note(tmp_path).exists()


def test_what_somebody_else_changed_meanwhile_stays(board: Board, tmp_path: Path) -> None:
    state.apply(str(tmp_path), {"governor": "performance"}, root=str(board.root))
    board.paths[0].write_text("conservative\n")
    assert state.put_back(str(tmp_path))
    assert board.governors == ["conservative", "schedutil"]


def test_a_core_that_was_switched_off_meanwhile_is_passed_over(board: Board, tmp_path: Path) -> None:
    state.apply(str(tmp_path), {"governor": "performance"}, root=str(board.root))
    board.paths[1].unlink()
    assert state.put_back(str(tmp_path))
    assert board.paths[0].read_text() == "schedutil"
    assert not board.paths[1].exists()


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"governor": "turbo"}, "no governor turbo here; there are: conservative performance schedutil"),
        ({"nvpmodel": 7}, "NVPM ERROR: no such mode"),
        ({"clock": 1}, "edgeprof cannot set clock"),
    ],
)
def test_what_the_board_has_not_is_refused_and_all_is_as_before(
    board: Board, tmp_path: Path, wanted: dict[str, Any], words: str
) -> None:
    board.jetson()
    with pytest.raises(Refused, match=words) as refused:
        state.apply(str(tmp_path), {"governor": "performance", **wanted}, root=str(board.root))
    assert refused.value.kind == "unsupported"
    assert (board.governors, board.mode) == (["schedutil", "schedutil"], 0)
    assert not note(tmp_path).exists()


def test_a_board_without_governors_or_nvpmodel_says_so(board: Board, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no nvpmodel on this device"):
        state.apply(str(tmp_path), {"nvpmodel": 1}, root=str(board.root))
    with pytest.raises(Refused, match="lets nobody choose a governor"):
        state.apply(str(tmp_path), {"governor": "performance"}, root=str(tmp_path / "nothing"))


def test_a_mode_that_needs_a_restart_is_refused(board: Board, tmp_path: Path) -> None:
    board.jetson()
    (board.bin / "reboots").touch()
    with pytest.raises(Refused, match="nvpmodel was to be set to 2 and says 0"):
        state.apply(str(tmp_path), {"nvpmodel": 2}, root=str(board.root))


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Board, str]]:
    """A board whose files a plain user may not write, and that user's workdir."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        board, workdir = Board(Path(folder) / "board"), Path(folder) / "workdir"
        workdir.mkdir()
        for path in board.paths:
            path.chmod(0o444)
        if os.getuid() == 0:
            for path in (workdir, board.bin, *board.paths):
                os.chown(path, session_tools.NOBODY, session_tools.NOBODY)
        monkeypatch.setenv("PATH", str(board.bin), prepend=os.pathsep)
        yield board, str(workdir)


def test_a_plain_user_sets_it_by_sudo(plain: tuple[Board, str]) -> None:
    board, workdir = plain
    board.command("sudo", SUDO)
    session_tools.as_other_user(lambda: state.apply(workdir, {"governor": "performance"}, root=str(board.root)))
    assert board.governors == ["performance", "performance"]
    assert session_tools.as_other_user(lambda: state.put_back(workdir))
    assert board.governors == ["schedutil", "schedutil"]
    asked = (board.bin / "asked").read_text().splitlines()
    assert [line.split("/tee ")[1] for line in asked] == [str(path) for path in board.paths] * 2


def test_without_sudo_the_line_that_mends_it_is_told(plain: tuple[Board, str]) -> None:
    """It names exactly what edgeprof does: a wildcard in sudoers would match any further arguments."""
    board, workdir = plain
    board.command("sudo", NO_SUDO)
    board.jetson()
    wanted = {"nvpmodel": 2, "governor": "performance"}
    with pytest.raises(Refused) as refused:
        session_tools.as_other_user(lambda: state.apply(workdir, wanted, root=str(board.root)))
    assert refused.value.kind == "sudo"
    line = str(refused.value).split("(sudo visudo -f): ")[1]
    assert " ALL=(root) NOPASSWD: " in line
    assert f"{board.bin}/nvpmodel -m 0, {board.bin}/nvpmodel -m 2, " in line
    for path in board.paths:
        assert f"/tee {path}" in line
    assert "*" not in line
    assert board.governors == ["schedutil", "schedutil"]
    assert not note(Path(workdir)).exists()


@pytest.mark.parametrize("how", ["end", "SIGTERM", "SIGKILL", "SIGKILL in a round", "no host"])
def test_it_is_put_back_however_the_session_ends(device: Device, board: Board, how: str) -> None:
    board.jetson()
    device.start(linger_s=0.5 if how == "no host" else 600.0, root=str(board.root), governor="performance", nvpmodel=2)
    if how != "no host":
        assert (board.governors, board.mode) == (["performance", "performance"], 2)
    if how == "SIGKILL in a round":
        follower = device.follow()
        follower.say({**device.plan("hang", 1), "number": 1})
        follower.until("start")
    if how == "end":
        session.stop(str(device.workdir), "run-1")
    elif how.startswith("SIG"):
        os.kill(device.pid(), signal.Signals[how.split()[0]])
    processes.await_value(lambda: None if note(device.workdir).exists() else True)
    assert (board.governors, board.mode) == (["schedutil", "schedutil"], 0)


def test_the_watchdog_keeps_nothing_of_the_killed_session(device: Device, board: Board) -> None:
    """It forked: the session's lock, FIFO and process group must not live on in it."""
    device.start(root=str(board.root), governor="performance")
    pid = device.pid()
    (dog,) = processes.children(pid)
    os.kill(dog, signal.SIGSTOP)
    os.kill(dog, signal.SIGTERM)
    assert os.getpgid(dog) != os.getpgid(pid)
    os.killpg(pid, signal.SIGKILL)
    processes.await_end(pid)
    assert spool.gone(str(device.place()))
    assert board.governors == ["performance", "performance"]
    os.kill(dog, signal.SIGCONT)
    processes.await_end(dog)
    assert board.governors == ["schedutil", "schedutil"]


def test_killed_in_the_middle_of_setting_it_is_put_back(device: Device, board: Board) -> None:
    board.jetson()
    (board.bin / "kills").touch()
    fence = device.lease.take("ana@desk", "edgeprof run", "run-1", os.getpid(), 60.0)
    with pytest.raises(Refused, match="ended as it started"):
        session.start(
            str(device.workdir),
            "run-1",
            str(device.program),
            fence,
            str(device.leases),
            600.0,
            {"nvpmodel": 2},
            root=str(board.root),
        )
    processes.await_value(lambda: None if note(device.workdir).exists() else True)
    assert board.mode == 0
    device.lease.check(fence)


def test_a_watchdog_puts_back_only_what_its_own_session_set(tmp_path: Path, board: Board) -> None:
    """It may come late, when the next session has set its own already."""
    run = "from edgeprof.agent import state; import sys; state.watchdog(sys.argv[1], 'old'); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", run, str(tmp_path)], stdin=subprocess.PIPE) as old:
        dog = processes.await_value(lambda: next(iter(processes.children(old.pid)), None))
        state.apply(str(tmp_path), {"governor": "performance"}, root=str(board.root), token="new")
        assert old.stdin is not None
        old.stdin.close()
        processes.await_end(dog)
    assert board.governors == ["performance", "performance"]
    assert state.put_back(str(tmp_path), "new")


def test_what_a_power_cut_left_is_put_back_by_the_next_session(device: Device, board: Board) -> None:
    """The mode of nvpmodel outlives a restart; the watchdog does not."""
    board.jetson()
    state.apply(str(device.workdir), {"nvpmodel": 3}, root=str(board.root), token="gone")
    device.start()
    assert board.mode == 0
    assert not note(device.workdir).exists()


def test_what_cannot_be_set_is_told_by_start_and_the_lease_stays(device: Device, board: Board) -> None:
    fence = device.lease.take("ana@desk", "edgeprof run", "run-1", os.getpid(), 60.0)
    with pytest.raises(Refused, match="no governor turbo") as refused:
        session.start(
            str(device.workdir),
            "run-1",
            str(device.program),
            fence,
            str(device.leases),
            600.0,
            {"governor": "turbo"},
            root=str(board.root),
        )
    assert refused.value.kind == "unsupported"
    holder = device.lease.holder()
    assert holder is not None
    assert holder["alive"]
    assert device.start()["alive"]
