"""A run through the real agent: what is measured is kept at once, taken up where it stopped, never lost to a fault."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import process_tools as processes
import pytest
import tiny_models

from edgeprof.errors import LinkError
from edgeprof.measure import cells, collect, facts, measure
from edgeprof.progress import Silent
from edgeprof.records import Artifact, Device, Failure, Measurement, Round, Run
from edgeprof.store import Store
from edgeprof.target.local import LocalConnection

HERE = Device(name="localhost", transport="local", threads=(1,))


class Watched(Silent):
    """Counts, and does something at each step."""

    def __init__(self, at: Callable[[int], None] = lambda done: None) -> None:
        self.total, self.done, self.finished, self.at = 0.0, 0.0, False, at
        self.notes: list[str] = []

    def start(self, stage: str, total: float) -> None:
        assert stage == "profile"
        self.total = total

    def expect(self, stage: str, left: float) -> None:
        self.total = self.done + left

    def advance(self, stage: str, done: float = 1.0, detail: str = "") -> None:
        self.done += done
        self.at(int(self.done))

    def finish(self, stage: str) -> None:
        self.finished = True

    def note(self, text: str) -> None:
        self.notes.append(text)


class Bench:
    """A store, a connection to this machine, and a run over artifacts."""

    def __init__(self, root: Path) -> None:
        self.store = Store(root)
        self.connection = LocalConnection(HERE, self.store)

    def run(self, artifacts: list[Artifact], name: str = "r1", rounds: int | None = None, **method: Any) -> Run:
        """A run of all that can be measured of the artifacts; `rounds` of each, or as the method says."""
        if rounds is not None:
            method |= {"min_rounds": rounds, "max_rounds": rounds}
        found = facts(self.connection)
        planned, failures = cells(artifacts, HERE, found)
        assert failures == []
        return Run(
            run=name,
            device=HERE.name,
            training=None,
            plan_sha="",
            suite_sha=None,
            started_at="",
            facts=found,
            method=msgspec.structs.replace(tiny_models.QUICK, **method),
            cells=tuple(planned),
        )

    def stand_ins(self, *does: str) -> list[Artifact]:
        return [tiny_models.stand_in_artifact(self.store, one) for one in does]

    def measure(self, run: Run, artifacts: list[Artifact], progress: Watched | None = None) -> list[Failure]:
        return measure(self.store, run, artifacts, HERE, self.connection, progress or Watched())

    def rounds(self, run: Run) -> list[Round]:
        return self.store.all(Round.KIND, Round, run=run.run)

    def collect(self, run: Run) -> dict[str, Measurement]:
        return {one.cell.identity.model: one for one in collect(self.store, run)}


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "süite – 試 ünd mehr" / ".edgeprof")
    yield made
    made.connection.close()
    made.store.close()


@pytest.fixture
def bench(real: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """With the stand-in for ONNX Runtime in the agent's processes."""
    monkeypatch.setenv("PYTHONPATH", str(tiny_models.stand_in(tmp_path)))
    return real


def test_real_files_of_all_formats_are_measured(real: Bench) -> None:
    artifacts = [tiny_models.real_artifact(real.store, format) for format in ("onnx", "openvino", "tflite")]
    run = real.run(artifacts, rounds=3)
    progress = Watched()
    assert real.measure(run, artifacts, progress) == []
    assert (progress.total, progress.done, progress.finished) == (9, 9, True)
    measurements = collect(real.store, run)
    assert [one.cell.format for one in measurements] == ["onnx", "openvino", "tflite"]
    for one in measurements:
        assert [r.round for r in one.rounds] == [0, 1, 2]
        assert {r.precision_executed for r in one.rounds} == {"fp32"}
        assert all(r.output_diff is not None and r.output_diff < 1e-4 for r in one.rounds)
        assert all(r.agent_sha == real.connection.agent_sha for r in one.rounds)
        assert not {"outputs differ", "precision differs", "too few samples"} & set(one.reasons)
    assert sorted(r.position for one in measurements for r in one.rounds) == list(range(9))


def test_an_interrupted_run_keeps_all_and_goes_on_in_the_same_order(bench: Bench) -> None:
    before = processes.children(os.getpid())  # such as a server that other tests share
    artifacts = bench.stand_ins("echo", "echo again", "echo more")
    run = bench.run(artifacts, rounds=3)

    def interrupt(done: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    progress = Watched(interrupt)
    with pytest.raises(KeyboardInterrupt):
        bench.measure(run, artifacts, progress)
    assert progress.finished
    assert processes.children(os.getpid()) == before
    assert [one.position for one in bench.rounds(run)] == [0, 1, 2, 3]
    again = Watched()
    assert bench.measure(run, artifacts, again) == []
    assert again.total == 5
    assert [one.position for one in bench.rounds(run)] == list(range(9))
    done = Watched()
    assert bench.measure(run, artifacts, done) == []
    assert (done.total, done.done) == (0, 0)


def test_an_agent_that_dies_is_started_again_and_nothing_is_measured_twice(bench: Bench) -> None:
    artifacts = bench.stand_ins("echo", "echo again")
    run = bench.run(artifacts, rounds=3)

    def kill(done: int) -> None:
        if done in (2, 3):
            os.kill(bench.connection._channels[-1].pid, signal.SIGKILL)

    progress = Watched(kill)
    assert bench.measure(run, artifacts, progress) == []
    assert (progress.done, len(progress.notes)) == (6, 2)
    assert "starting it again (1 of 3)" in progress.notes[0]
    assert sorted((one.job, one.round) for one in bench.rounds(run)) == sorted(
        (cell.job, number) for cell in run.cells for number in range(3)
    )


def test_an_agent_that_dies_always_is_given_up_with_a_link_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    artifacts = bench.stand_ins("echo")
    run = bench.run(artifacts)
    monkeypatch.setattr("edgeprof.measure.session.time.sleep", lambda seconds: None)
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\n"{sys.executable}" "$@" & sleep 1; kill -9 $$\n')
    script.chmod(0o755)
    bench.connection._python = str(script)
    progress = Watched()
    with pytest.raises(LinkError):
        bench.measure(run, artifacts, progress)
    assert len(progress.notes) <= 3
    assert progress.finished


def test_a_cell_that_fails_is_a_failure_and_the_others_are_measured(bench: Bench) -> None:
    artifacts = bench.stand_ins("crash", "echo", "nan", "wrong", "raise")
    run = bench.run(artifacts)
    progress = Watched()
    failures = bench.measure(run, artifacts, progress)
    assert {one.identity.model: one.error_class for one in failures} == {
        "crash": "crash",
        "nan": "nan",
        "wrong": "outputs_wrong",
        "raise": "error",
    }
    crash = next(one for one in failures if one.error_class == "crash")
    assert "SIGSEGV" in crash.error
    assert crash.error.endswith("its last words: kernel 7 failed")
    assert all(one.stage == "profile" and not one.transient and one.identity.threads == 1 for one in failures)
    assert (progress.total, progress.done) == (2, 2)
    assert set(bench.collect(run)) == {"echo"}
    assert bench.store.all(Failure.KIND, Failure, run=run.run) == failures


def test_a_failure_that_stays_is_not_tried_again_and_one_that_may_pass_is(bench: Bench, tmp_path: Path) -> None:
    artifacts = bench.stand_ins("raise", "killed", "echo")
    run = bench.run(artifacts)
    first = {one.identity.model: one.transient for one in bench.measure(run, artifacts)}
    assert first == {"raise": False, "killed": True}
    again = Watched()
    assert [one.identity.model for one in bench.measure(run, artifacts, again)] == ["killed"]
    assert again.done == 0


def test_a_cell_is_measured_until_it_is_precise_enough(bench: Bench) -> None:
    """The stop rule through the real agent: a loose precision stops at the fewest rounds, a tight one at the most."""
    # Busy by the clock, so it takes as long on a machine that is busy with something else.
    artifacts = bench.stand_ins("busy 2")
    loose = bench.run(artifacts, name="loose", min_rounds=7, max_rounds=30, precision=0.9)
    assert bench.measure(loose, artifacts) == []
    assert len(bench.rounds(loose)) == 7
    tight = bench.run(artifacts, name="tight", min_rounds=7, max_rounds=9, precision=1e-9, cell_s=600.0, again=True)
    progress = Watched()
    assert bench.measure(tight, artifacts, progress) == []
    found = bench.rounds(tight)
    # Twice: it can be trusted after neither attempt.
    assert sorted(one.attempt for one in found) == [0] * 9 + [1] * 9
    assert [one.round for one in found] == list(range(18))
    measurement = bench.collect(tight)["busy"]
    assert measurement.attempts == 2
    assert "interval wide" in measurement.reasons
    assert (progress.total, progress.done) == (18, 18)


def test_an_interrupted_second_attempt_is_taken_up(bench: Bench) -> None:
    artifacts = bench.stand_ins("echo")
    run = bench.run(artifacts, min_rounds=2, max_rounds=2, precision=1e-9, again=True)

    def interrupt(done: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.measure(run, artifacts, Watched(interrupt))
    assert bench.measure(run, artifacts) == []
    assert [(one.round, one.attempt) for one in bench.rounds(run)] == [(0, 0), (1, 0), (2, 1), (3, 1)]


def test_what_ran_is_asked_once_and_telemetry_always(real: Bench) -> None:
    artifacts = [tiny_models.real_artifact(real.store, "onnx")]
    run = real.run(artifacts, rounds=3)
    assert real.measure(run, artifacts) == []
    found = real.rounds(run)
    assert [one.ran is not None for one in found] == [True, False, False]
    ran = found[0].ran
    assert ran is not None
    assert (ran.provider, ran.precisions) == ("CPUExecutionProvider", {"fp32": 2})
    for one in found:
        assert len(one.call_ns) == len(one.samples_ns)
        assert all(call <= sample for call, sample in zip(one.call_ns, one.samples_ns, strict=True))
        assert len(one.canary_ns) == 20
        assert one.telemetry is not None
        assert one.telemetry.elapsed_ns >= sum(one.samples_ns)
        assert one.process_ns > one.telemetry.elapsed_ns


def test_outputs_that_differ_a_little_are_measured_but_not_trusted(bench: Bench) -> None:
    """The stand-in's spread is 1: an offset of 5e-3 is above fp32's rounding, and below what is simply wrong."""
    artifacts = bench.stand_ins("off 5", "echo")
    run = bench.run(artifacts, rounds=3)
    assert bench.measure(run, artifacts) == []
    found = bench.collect(run)
    assert "outputs differ" in found["off"].reasons
    assert not found["off"].trusted
    assert "outputs differ" not in found["echo"].reasons


def test_files_without_samples_are_measured_unchecked(bench: Bench) -> None:
    """A ready file that a user brings comes without expected outputs."""
    ready = msgspec.structs.replace(bench.stand_ins("echo")[0], samples_sha=None)
    half = tiny_models.stand_in_artifact(bench.store, "echo again", expected=False)
    run = bench.run([ready, half], rounds=1)
    assert bench.measure(run, [ready, half]) == []
    assert [one.output_diff for one in bench.rounds(run)] == [None, None]


def test_a_damaged_blob_fails_its_own_cell_and_is_measured_when_it_is_whole_again(bench: Bench) -> None:
    artifacts = bench.stand_ins("echo", "echo again")
    run = bench.run(artifacts)
    blob = bench.store.blob(artifacts[0].artifact_sha)
    whole = blob.read_bytes()
    blob.write_bytes(b"crash")
    (failure,) = bench.measure(run, artifacts)
    assert "changed or damaged" in failure.error
    assert "edgeprof export" in (failure.hint or "")
    assert [one.cell.artifact_sha for one in bench.collect(run).values()] == [artifacts[1].artifact_sha]
    blob.unlink()
    assert "cannot be read" in bench.measure(run, artifacts)[0].error
    blob.write_bytes(whole)
    assert bench.measure(run, artifacts) == []
    assert len(collect(bench.store, run)) == 2


def test_a_host_killed_in_the_middle_keeps_its_rounds_and_leaves_no_process(bench: Bench, tmp_path: Path) -> None:
    """kill -9 of the whole host; the next process takes the run up."""
    pids = tmp_path / "pids"
    artifacts = bench.stand_ins("echo", f"hang {pids}")
    run = bench.run(artifacts, rounds=1)
    for name, record in (("run", run), ("echo", artifacts[0]), ("hang", artifacts[1])):
        (tmp_path / name).write_bytes(msgspec.json.encode(record))
    code = (
        "import sys, msgspec; from pathlib import Path; from edgeprof.store import Store\n"
        "from edgeprof.records import *; from edgeprof.measure import measure; from edgeprof.progress import Silent\n"
        "from edgeprof.target.local import LocalConnection\n"
        "root, folder = Path(sys.argv[1]), Path(sys.argv[2]); store = Store(root)\n"
        "read = lambda name, kind: msgspec.json.decode((folder / name).read_bytes(), type=kind)\n"
        "device = Device(name='localhost', transport='local', threads=(1,))\n"
        "arts = [read('echo', Artifact), read('hang', Artifact)]\n"
        "connection = LocalConnection(device, store)\n"
        "measure(store, read('run', Run), arts, device, connection, Silent())\n"
    )
    host = subprocess.Popen([sys.executable, "-c", code, str(bench.store.root), str(tmp_path)])
    processes.await_value(lambda: pids.read_text() if pids.is_file() and pids.read_text() else None)
    (agent,) = processes.children(host.pid)
    host.kill()
    host.wait()
    for pid in (agent, *map(int, pids.read_text().split())):
        processes.await_end(pid)
    assert all(one.job == run.cells[0].job for one in bench.rounds(run))
    run = msgspec.structs.replace(run, method=msgspec.structs.replace(run.method, timeout_s=2.0))
    failures = bench.measure(run, artifacts)
    assert [one.error_class for one in failures] == ["hang"]
    assert set(bench.collect(run)) == {"echo"}
