"""A board whose runtime does what the tester says, and a desk that waits seconds where a user's waits minutes.

The runtime is a stand-in for ONNX Runtime. It notes each round's process in the board's `/steered/rounds`; the N-th one
stops while `hold-N` is there, and says so by `held-N`: then a test does to the board what it has in mind.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import ready_models
from commands import Running
from desk import Desk
from scene import HURRIED
from testbed.board import Board
from testbed.reach import Reach
from waiting import awaited

from edgeprof.records import Round, Run
from edgeprof.store import Store

WORKDIR = "/root/.cache/edgeprof"
PYTHON = [Path(sys.base_prefix), Path(sys.prefix)]
"""What a board shares to run the tester's Python."""
FILE = "model.onnx"
_FOLDER = "/steered"
_STAND_IN = '''
import gc, os, time

__version__ = "0.0"
FOLDER = "/steered/"


class ExecutionMode:
    ORT_SEQUENTIAL = 0


class SessionOptions:
    intra_op_num_threads = 0


class Port:
    type, shape = "tensor(float)", [1, 4]

    def __init__(self, name):
        self.name = name


def begin():
    """The number of this process among those that measure."""
    os.umask(0)
    os.makedirs(FOLDER, exist_ok=True)
    with open(FOLDER + "rounds", "a+") as file:
        file.write("%d\\n" % os.getpid())
        file.flush()
        file.seek(0)
        return len(file.readlines())


class InferenceSession:
    number = 0

    def __init__(self, path, options, providers):
        self.providers, self.options = providers, options
        self.collections = None

    def get_providers(self):
        return self.providers

    def get_session_options(self):
        return self.options

    def get_inputs(self):
        return [Port("x")]

    def get_outputs(self):
        return [Port("y")]

    def run(self, names, feeds):
        InferenceSession.number = InferenceSession.number or begin()
        if self.in_block() or gc.isenabled():
            self.hold("block" if self.in_block() else "first")
        time.sleep(0.0005)
        return [feeds["x"]]

    def in_block(self):
        """Each timed loop collects garbage once, then none until its end; the first is the warm-up."""
        if gc.isenabled():
            return False
        done = gc.get_stats()[2]["collections"]
        if self.collections is None:
            self.collections = done
        return done > self.collections

    def hold(self, where):
        # Empty files: on a full disk their coming and going changes nothing.
        while os.path.exists(FOLDER + "hold-%d-%s" % (self.number, where)):
            open(FOLDER + "held-%d" % self.number, "w").close()
            time.sleep(0.02)
'''

# libfaketime will not do: with true monotonic clocks it breaks the sleeping of Python 3.11.
_CLOCK = """
import time
def off():
    with open({file!r}) as file:
        return float(file.read())
def shifted(tell, unit):
    return lambda: tell() + int(off() * unit)
def told(tell, unit):
    return lambda clock: tell(clock) + (int(off() * unit) if clock == time.CLOCK_REALTIME else 0)
time.time, time.time_ns = shifted(time.time, 1), shifted(time.time_ns, 10**9)
time.clock_gettime, time.clock_gettime_ns = told(time.clock_gettime, 1), told(time.clock_gettime_ns, 10**9)
"""


class Steered:
    """The stand-in on a board, for the tester."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def _path(self, name: str) -> Path:
        return self._board.path(f"{_FOLDER}/{name}")

    def hold(self, number: int, where: str = "first") -> None:
        """Have the N-th round (from 1) stop, at its first inference or in its timed block."""
        self._path("").mkdir(mode=0o777, exist_ok=True)
        self._path("").chmod(0o777)
        self._path(f"hold-{number}-{where}").touch()

    def await_held(self, number: int, command: Running | None = None) -> None:
        """Returns when the N-th round has stopped."""

        def held() -> bool:
            assert command is None or command.running(), command.lines
            return self._path(f"held-{number}").exists()

        awaited(held, f"round {number} has not begun")

    def go_on(self, *numbers: int) -> None:
        """The end of `hold`."""
        for number in numbers:
            for where in ("first", "block"):
                self._path(f"hold-{number}-{where}").unlink(missing_ok=True)

    def greedy(self, *numbers: int) -> None:
        """Have the N-th rounds want 1 GiB of memory, where the stand-in looks for that."""
        self._path("").mkdir(mode=0o777, exist_ok=True)
        self._path("").chmod(0o777)
        for number in numbers:
            self._path(f"greedy-{number}").touch()

    def begun(self) -> int:
        """How many processes have measured so far."""
        try:
            return len(self._path("rounds").read_text().splitlines())
        except FileNotFoundError:
            return 0


class Impatient(Desk):
    """A desk with a file to profile, whose commands have other time limits than a user's; see `hurried.py`."""

    hurry: tuple[str, ...] = ("keep=60", "edgeprof.target.ssh.session.PING_S=2", "edgeprof.target.ssh.session.PONG_S=2")

    def __init__(self, folder: Path, weights: int = 0) -> None:
        super().__init__(folder)
        ready_models.onnx_file(self.root / FILE, weights=weights)

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, str(HURRIED), *self.hurry, "--", *arguments]

    @contextmanager
    def profiling(self, count: int = 3, device: str = "board", *more: str) -> Iterator[Running]:
        """The file's profiling in so many rounds, begun; not left behind."""
        running = Running(self.begin(*profile(count, device, *more)))
        try:
            yield running
        finally:
            running.close()

    def run(self) -> Run:
        """The newest one."""
        with closing(Store(self.root / ".edgeprof", read_only=True)) as store:
            return store.all(Run.KIND, Run)[-1]

    def rounds(self) -> list[int]:
        """The numbers of the rounds of the newest run that are stored; each is there once."""
        run = self.run()
        with closing(Store(self.root / ".edgeprof", read_only=True)) as store:
            found = sorted((one.job, one.round) for one in store.all(Round.KIND, Round, run=run.run))
        assert len({job for job, _ in found}) <= 1
        return [number for _, number in found]


def profile(count: int = 3, device: str = "board", *more: str) -> tuple[str, ...]:
    """The words of the command that profiles the file."""
    return ("profile", FILE, "--device", device, "--rounds", str(count), "--json", *more)


def options(folder: Path, clock: Path | None = None, site: str = "", **more: Any) -> dict[str, Any]:
    """For a board with the stand-in.

    Args:
        clock: a file that says by how many seconds the wall clock is off for every Python there, until it says other.
        site: what every Python there does first.
    """
    package = folder / "stand-in" / "onnxruntime"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(_STAND_IN, encoding="utf-8")
    share = [*PYTHON, package.parent]
    if clock is not None:
        site = _CLOCK.format(file=str(clock))
        share.append(clock.parent)
    (package.parent / "sitecustomize.py").write_text(site, encoding="utf-8")
    return {"share": share, "environment": {"PYTHONPATH": str(package.parent)}, **more}


def set_clock(clock: Path, seconds: int) -> None:
    """Have the wall clock of `options` off by this much, from one look to the next."""
    new = clock.with_suffix(".new")
    new.write_text(str(seconds))
    new.replace(clock)


def open_python(board: Board) -> None:
    """Let every user of the board reach the tester's Python."""
    for folder in {parent for python in PYTHON for parent in python.parents}:
        board.path(str(folder)).chmod(0o755)


def parts(board: Board, workdir: str = WORKDIR) -> list[Path]:
    """Files that are not wholly there yet."""
    return list(board.path(f"{workdir}/blobs").glob("*.part"))


def await_part(board: Board, size: int) -> None:
    """Returns when so much of a file has arrived."""
    awaited(lambda: any(one.stat().st_size >= size for one in parts(board)), "nothing arrives")


def sent(board: Board) -> int:
    """Bytes that this machine has put on the link to the board so far."""
    return int(Path(f"/sys/class/net/{board.link.interface}/statistics/tx_bytes").read_text())


def session_pid(board: Board) -> int:
    """The process there of the one session."""
    (place,) = board.path(f"{WORKDIR}/sessions").glob("[!.]*/session.json")
    return int(json.loads(place.read_text())["pid"])


def kill(board: Reach, pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a process there."""
    done = board.ssh(f"kill -{number.value} {pid}", user="root")
    assert done.returncode == 0, done.stderr


def unanswered(board: Board) -> int:
    """How often in a row this machine's kernel has sent something to the board for nothing."""
    told = subprocess.run(["ss", "-tin", "dst", board.host], capture_output=True, text=True, check=True).stdout
    return max((int(word.partition(":")[2]) for word in told.split() if word.startswith("backoff:")), default=0)


def done(board: Board, call: int) -> bool:
    """Whether a session there has carried out its N-th call (each is one round of a single cell)."""
    spools = board.path(f"{WORKDIR}/sessions").glob(f"*/spool-{call:06d}.jsonl")
    return any(b'{"event": "done"}' in spool.read_bytes() for spool in spools)
