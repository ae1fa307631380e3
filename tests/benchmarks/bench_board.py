"""What reaching a board costs: time to the first round, time beside measuring, many boards at once, and being followed.

Run by `make bench`; prints tables and asserts nothing about time. The boards are sshd processes on loopback, or behind
a proxy that delays; their Python is the tester's (`provision = "never"`), so nothing is brought there.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from desk import Desk
from ready_models import onnx_file
from testbed.fixtures import MakeProxy
from testbed.sshd import Sshd

from edgeprof.progress import Silent
from edgeprof.records import Device, Method
from edgeprof.stats import pairs
from edgeprof.store import Store
from edgeprof.target.protocol import CellPlan, Done, Measure, Measured, Step
from edgeprof.target.ssh.connection import SshConnection

pytestmark = pytest.mark.bench

RUNS, WHOLE_RUNS = 7, 3
CELLS = 12
BOARDS = 32
SLEEP_S = 2.0
PAIRS = 40
STAND_IN = """\
import time
import numpy
__version__ = "0.0"
class SessionOptions:
    pass
class ExecutionMode:
    ORT_SEQUENTIAL = 0
class GraphOptimizationLevel:
    ORT_ENABLE_ALL = 0
class _Info:
    name, shape, type = "x", [1, 4], "tensor(float)"
class InferenceSession:
    def __init__(self, path, options, providers): self.options = options
    def get_session_options(self): return self.options
    def get_providers(self): return ["CPUExecutionProvider"]
    def get_inputs(self): return [_Info]
    def get_outputs(self): return [_Info]
    def run(self, names, feeds, *more):
        time.sleep({seconds})
        return [numpy.zeros((1, 4), numpy.float32)]
    def end_profiling(self): return ""
def get_available_providers(): return ["CPUExecutionProvider"]
"""


def to_first_round(desk: Desk, *arguments: str) -> float:
    """Seconds from the command's start to the end of the first round, which itself takes about half a second."""
    began = time.perf_counter()
    process = desk.begin(*arguments)
    assert process.stderr is not None
    for line in process.stderr:
        if re.match(r"profile: \d+/", line):
            took = time.perf_counter() - began
            process.send_signal(signal.SIGINT)
            break
    else:
        raise AssertionError("nothing was measured")
    process.communicate(timeout=300)
    return took


def test_to_the_first_round_and_beside_measuring(
    sshd: Sshd, proxy: MakeProxy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sshd.environment = {"SHLVL": "3"}
    sshd.restart()
    lines = ["| link | to the end of the first round, median s | least | most | beside measuring, s a cell |"]
    lines.append("|---|---|---|---|---|")
    for link, port in (("loopback", None), ("20 ms round trip", proxy(sshd.port, delay_ms=10.0).port)):
        desk = Desk(tmp_path / link.replace(" ", "-"))
        desk.add(sshd, port=port)
        for number in range(CELLS):
            onnx_file(desk.root / f"m{number}.onnx", weights=100 + number)
        files = [f"m{number}.onnx" for number in range(CELLS)]
        words = ["profile", *files, "--device", "board", "--rounds", "3"]
        desk.edgeprof(*words, "--json")  # the agent and the files are there
        first, beside = [], []
        for _ in range(RUNS):
            first.append(to_first_round(desk, "profile", files[0], "--device", "board", "--rounds", "3", "--fresh"))
        for _ in range(WHOLE_RUNS):
            began = time.perf_counter()
            run = json.loads(desk.edgeprof(*words, "--fresh", "--json").stdout)["run"]
            whole = time.perf_counter() - began
            beside.append((whole - measuring_s(desk, run)) / CELLS)
        median = statistics.median(first)
        lines.append(
            f"| {link} | {median:.2f} | {min(first):.2f} | {max(first):.2f} | {statistics.median(beside):.2f} |"
        )
    with capsys.disabled():
        print("\n" + "\n".join(lines))


def measuring_s(desk: Desk, run: str) -> float:
    """What the processes of the rounds took."""
    from edgeprof.records import Round

    store = Store(desk.root / ".edgeprof", read_only=True)
    try:
        return sum(one.process_ns for one in store.all(Round.KIND, Round, run=run)) / 1e9
    finally:
        store.close()


def test_many_boards(sshd: Sshd, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sshd.environment = {"SHLVL": "3"}
    sshd.restart()
    fake = tmp_path / "fake" / "onnxruntime"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text(STAND_IN.replace("{seconds}", str(SLEEP_S)))
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{fake.parent}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    desk = Desk(tmp_path / "desk")
    for number in range(BOARDS):
        own = tmp_path / f"board{number}"
        own.mkdir()
        desk.add(sshd, f"b{number}", python=str(python), workdir=str(own), lease=str(own), known=number == 0)
    onnx_file(desk.root / "m.onnx")
    figures = {}
    for count in (1, BOARDS):
        names = [word for number in range(count) for word in ("--device", f"b{number}")]
        command = [sys.executable, "-m", "edgeprof", "profile", "m.onnx", *names, "--rounds", "3", "--json", "--fresh"]
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=desk.root, env=desk.environment, stdout=subprocess.PIPE, text=True)
        out, _ = process.communicate(timeout=1800)
        _, status, usage = 0, process.returncode, resource.getrusage(resource.RUSAGE_CHILDREN)
        assert status == 0, out
        told = json.loads(out)
        ranked = told.get("rankings", [told])
        assert len(ranked) == count
        assert all(len(one["candidates"]) == 1 for one in ranked)
        figures[count] = (time.perf_counter() - began, usage.ru_maxrss / 1e3)
    (one_s, one_mb), (all_s, all_mb) = figures[1], figures[BOARDS]
    with capsys.disabled():
        print("\n| what | figure | target |\n|---|---|---|")
        print(f"| 1 board, a model that sleeps {SLEEP_S:g} s, 3 rounds | {one_s:.1f} s, {one_mb:.0f} MB | |")
        print(f"| {BOARDS} boards | {all_s:.1f} s, {all_mb:.0f} MB | |")
        print(f"| times as long | {all_s / one_s:.2f} | at most 1.2 |")
        print(f"| memory a board beyond the first | {(all_mb - one_mb) / (BOARDS - 1):.1f} MB | under 10 MB |")


def test_following(sshd: Sshd, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same round followed and not, in turn; and what the followers themselves take of the processor meanwhile."""
    store = Store(tmp_path / "store")
    device = Device(
        name="board",
        transport="ssh",
        host="127.0.0.1",
        port=sshd.port,
        user=sshd.user,
        key_file=str(sshd.key_file),
        known_hosts=str(sshd.known_hosts),
        python=sys.executable,
        workdir=str(tmp_path / "device"),
        lease=str(tmp_path),
        provision="never",
    )
    file = onnx_file(tmp_path / "m.onnx", weights=100_000)
    sha = store.add_file(file)
    method = Method(block_s=1.0, block_min=100, block_max=100_000)
    blocks: dict[str, list[tuple[int, ...]]] = {"followed": [], "not followed": []}
    with SshConnection(device, store, Silent()) as connection:
        connection.hold("bench", "bench")
        place = connection.push({sha: store.blob(sha)})[sha]
        plan = CellPlan(
            format="onnx",
            precision="as in the file",
            threads=1,
            cores=(0,),
            provider=None,
            files={"m.onnx": place},
            samples=None,
            wrong_above=None,
        )
        channel = connection.open_session("bench")
        number = 0

        def measured(follow: bool, how: Method) -> tuple[int, ...]:
            nonlocal number
            step = Step(job="m", round=number, position=number, look=False)
            number += 1
            channel.send(Measure(method=how, cells={"m": plan}, rounds=(step,)))
            if not follow:
                channel._drop()
            time.sleep(how.block_s + 1.5)  # either way nobody looks before it is over
            found: tuple[int, ...] = ()
            while not isinstance(event := channel.receive(60), Done):
                if isinstance(event, Measured):
                    found = event.samples_ns
            return found

        for turn in range(PAIRS):
            for follow in (True, False) if turn % 2 == 0 else (False, True):
                blocks["followed" if follow else "not followed"].append(measured(follow, method))
        share = follower_share(sshd, lambda: measured(True, Method(block_s=20.0, block_min=1, block_max=10**7)))
    store.close()
    found = pairs.compare(blocks["followed"], blocks["not followed"], 0.005)
    with capsys.disabled():
        print("\n| what | figure | target |\n|---|---|---|")
        ratio = f"{found.ratio.value:.4f} ({found.ratio.low:.4f} to {found.ratio.high:.4f})"
        print(f"| median followed / not followed, {PAIRS} pairs | {ratio} | 0.995 to 1.005 |")
        print(f"| processor time of follower and sshd while a block of 20 s runs | {100 * share:.3f}% | |")


def follower_share(sshd: Sshd, work: object) -> float:
    """Processor time of the server's processes and the followers, as a share of one core."""
    assert callable(work)

    def spent() -> float:
        total = 0
        for pid in [*sshd.sessions(), *sshd.processes()]:
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if b"follow" in command or b"sshd" in command[0]:
                total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    before, began = spent(), time.perf_counter()
    work()
    return max(0.0, spent() - before) / (time.perf_counter() - began)
