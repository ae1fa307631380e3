"""The energy through the real agent: a simulated sensor of known power, none, one that goes away, a pass broken off."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import msgspec
import power_board
import process_tools as processes
import pytest
import tiny_models
from energy_records import each_ms
from testbed.personas import write_persona

from edgeprof.errors import DeviceError
from edgeprof.measure import cells, energies, energy, facts, measure
from edgeprof.measure.metering import energy_key
from edgeprof.progress import Silent
from edgeprof.records import Artifact, Device, Failure, Metered, Run
from edgeprof.store import Store
from edgeprof.target import build
from edgeprof.target.local import LocalConnection
from edgeprof.target.protocol import Meter

HERE = Device(name="localhost", transport="local", threads=(1,))
REAL = build.agent_bytes


class Watched(Silent):
    def __init__(self, at: Callable[[int], None] = lambda done: None) -> None:
        self.done, self.at = 0, at
        self.notes: list[str] = []

    def advance(self, stage: str, done: float = 1.0, detail: str = "") -> None:
        self.done += 1
        self.at(self.done)

    def note(self, text: str) -> None:
        self.notes.append(text)


class Bench:
    """A store, this machine as a board with a power sensor, and a measured run."""

    def __init__(self, folder: Path, root: Path, marker: Path) -> None:
        self.root, self.marker = root, marker
        self.store = Store(folder / ".edgeprof")
        self.connection = LocalConnection(HERE, self.store)
        self.artifacts: list[Artifact] = []

    def measured(self, *milliseconds: float, also: Sequence[str] = ()) -> Run:
        """A run of "files" that take so long, and of others, each with one round measured."""
        does = [*(f"draws {self.marker} {one}" for one in milliseconds), *also]
        self.artifacts = [tiny_models.stand_in_artifact(self.store, one) for one in does]
        found = facts(self.connection)
        planned, _ = cells(self.artifacts, HERE, found)
        run = Run(
            run="r1",
            device=HERE.name,
            training=None,
            plan_sha="",
            suite_sha=None,
            started_at="",
            facts=found,
            method=msgspec.structs.replace(tiny_models.QUICK, min_rounds=1, max_rounds=1),
            cells=tuple(planned),
            energy=True,
        )
        assert measure(self.store, run, self.artifacts, HERE, self.connection, Silent()) == []
        return run

    def energy(self, run: Run, progress: Watched | None = None) -> list[Failure]:
        return energy(self.store, run, self.artifacts, HERE, self.connection, progress or Watched())

    def kept(self) -> list[Metered]:
        return self.store.all(Metered.KIND, Metered, run="r1")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("PYTHONPATH", str(tiny_models.stand_in(tmp_path)))
    monkeypatch.setattr("edgeprof.measure.metering.ROUNDS", 3)
    monkeypatch.setattr("edgeprof.measure.metering.WINDOW_S", 0.25)
    monkeypatch.setattr("edgeprof.measure.metering.SETTLE_S", 0.08)
    with power_board.simulated(tmp_path) as (root, marker):
        monkeypatch.setattr(build, "agent_bytes", power_board.agent_on(root, REAL))
        made = Bench(tmp_path, root, marker)
        yield made
        made.connection.close()
        made.store.close()


def test_a_known_power_comes_back_as_the_known_energy(bench: Bench) -> None:
    run = bench.measured(4)
    assert run.facts is not None
    assert run.facts.power is not None
    assert run.facts.power.name == "INA3221, rail VDD_IN"
    before = processes.children(os.getpid())
    assert bench.energy(run) == []
    assert processes.children(os.getpid()) == before
    assert [one.round for one in bench.kept()] == [0, 1, 2]
    order = [[(window.state, bool(window.at_ns)) for window in one.windows] for one in bench.kept()]
    assert order[0] == [("idle", True), ("busy", True), ("busy", False)]
    assert order[1] == order[0][::-1]
    (found,) = energies(bench.store, run)
    assert found.reason is None
    assert found.energy_mj is not None
    assert found.energy_mj.low is not None
    assert found.energy_mj.high is not None
    assert found.above_idle_mj is not None
    took = each_ms(bench.kept())
    assert found.energy_mj.value == pytest.approx(power_board.BUSY_W * took, rel=0.05)
    assert found.energy_mj.low * 0.95 < power_board.BUSY_W * took < found.energy_mj.high * 1.05
    above = found.above_idle_mj.value / found.energy_mj.value
    assert above == pytest.approx(1 - power_board.IDLE_W / power_board.BUSY_W, rel=0.1)
    assert found.idle_power_w == pytest.approx(power_board.IDLE_W, rel=0.05)
    assert found.readings >= 10
    assert found.slowed is not None


@pytest.mark.slow
def test_a_pass_that_was_broken_off_keeps_its_rounds_and_goes_on(bench: Bench) -> None:
    run = bench.measured(4, 6)

    def interrupt(done: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.energy(run, Watched(interrupt))
    kept = bench.kept()
    assert len(kept) == 3
    again = Watched()
    assert bench.energy(run, again) == []
    assert again.done == 3
    assert bench.kept()[:3] == kept
    assert {(one.job, one.round) for one in bench.kept()} == {(c.job, n) for c in run.cells for n in range(3)}
    third = Watched()
    assert bench.energy(run, third) == []
    assert third.done == 0


@pytest.mark.slow
def test_a_sensor_that_goes_away_ends_the_pass_and_what_it_told_is_kept(bench: Bench) -> None:
    run = bench.measured(4, 6)
    hidden = bench.root / "sys" / "elsewhere"

    def vanish(done: int) -> None:
        if done == 2:
            shutil.move(bench.root / power_board.INA3221, hidden)

    progress = Watched(vanish)
    (failure,) = bench.energy(run, progress)
    assert failure.error_class == "sensor"
    assert failure.transient
    assert "no power sensor was found" in failure.error
    assert len(bench.kept()) == 2
    assert any("energy: " in note for note in progress.notes)
    shutil.move(hidden, bench.root / power_board.INA3221)
    assert bench.energy(run) == []
    assert all(one.reason is None for one in energies(bench.store, run))
    assert bench.store.get(Failure.KIND, energy_key(run, run.cells[0].job), Failure) is None


def test_readings_that_turn_into_nonsense_end_a_round(bench: Bench) -> None:
    run = bench.measured(4)
    current = bench.root / power_board.RAIL / "curr1_input"

    def spoil(done: int) -> None:
        if done == 1:  # what the meter still writes goes to the file that is gone
            current.unlink()
            current.write_text("4OO\n")

    (failure,) = bench.energy(run, Watched(spoil))
    assert failure.error_class == "sensor"
    (found,) = energies(bench.store, run)
    assert found.rounds == 1  # one round is a figure, without an interval
    assert found.energy_mj is not None
    assert found.energy_mj.high is None


def samplers(folder: Path) -> list[int]:
    """Processes of agents in this folder that read a sensor."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = entry.read_bytes().split(b"\0")
            if b"sampler" in words and any(os.fsencode(folder) in word for word in words):
                found.append(int(entry.parent.name))
    return found


@pytest.mark.slow
def test_a_file_that_ends_its_process_loses_its_own_energy_alone(bench: Bench, tmp_path: Path) -> None:
    deadly = tmp_path / "deadly"
    run = bench.measured(4, also=[f"killed-once {deadly}"])
    deadly.touch()
    (failure,) = bench.energy(run)
    assert failure.identity.model == "killed-once"
    assert failure.error.startswith(("no energy: ", "its energy was not measured to the end: "))
    drawn, lost = energies(bench.store, run)
    assert drawn.energy_mj is not None
    assert drawn.rounds == 3
    assert (lost.reason is not None) == (lost.rounds == 0)
    processes.await_value(lambda: not samplers(tmp_path) or None)


def test_a_call_that_the_agent_does_not_understand_is_told_and_not_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = bench.measured(4)
    monkeypatch.setattr("edgeprof.measure.metering.Meter", lambda **fields: Meter(**{**fields, "round": None}))
    with pytest.raises(DeviceError, match="the agent did not understand"):
        bench.energy(run)


@pytest.mark.slow
def test_a_counter_that_wraps_within_a_window_tells_the_same_power(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tiny_models.stand_in(tmp_path)))
    monkeypatch.setattr("edgeprof.measure.metering.ROUNDS", 3)
    (tmp_path / "marker").touch()
    with power_board.counting(tmp_path / "rapl") as root:
        monkeypatch.setattr(build, "agent_bytes", power_board.agent_on(root, REAL))
        bench = Bench(tmp_path, root, tmp_path / "marker")
        try:
            run = bench.measured(4)
            assert bench.energy(run) == []
            assert any(low > high for one in bench.kept() for w in one.windows for low, high in pairwise(w.values))
            (found,) = energies(bench.store, run)
            assert found.power_w == pytest.approx(power_board.BUSY_W, rel=0.02)
            assert found.idle_power_w == pytest.approx(power_board.BUSY_W, rel=0.02)
            assert found.covers is not None
            assert "processor package alone" in found.covers
        finally:
            bench.connection.close()
            bench.store.close()


def test_without_a_sensor_nothing_is_measured_and_it_says_what_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tiny_models.stand_in(tmp_path)))
    (tmp_path / "nothing").mkdir()
    monkeypatch.setattr(build, "agent_bytes", power_board.agent_on(tmp_path / "nothing", REAL))
    (tmp_path / "marker").touch()
    bench = Bench(tmp_path, tmp_path / "nothing", tmp_path / "marker")
    try:
        run = bench.measured(1)
        progress = Watched()
        assert bench.energy(run, progress) == []
        (note,) = progress.notes
        assert note.startswith("energy: not measured: no power sensor was found; looked for: INA3221")
        assert bench.kept() == []
        (found,) = energies(bench.store, run)
        assert found.energy_mj is None
        assert found.reason is not None
        assert "no power sensor" in found.reason
        (unasked,) = energies(bench.store, msgspec.structs.replace(run, energy=False))
        assert unasked.reason == "energy was not asked for: run with --energy"
    finally:
        bench.connection.close()
        bench.store.close()


def test_a_pi_5_which_is_asked_by_a_program_has_windows_long_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten readings a second at most; what its chip tells is the same all the time here, so there is no number."""
    monkeypatch.setenv("PYTHONPATH", str(tiny_models.stand_in(tmp_path)))
    monkeypatch.setattr("edgeprof.measure.metering.ROUNDS", 1)
    monkeypatch.setattr("edgeprof.measure.metering.WINDOW_S", 0.1)
    monkeypatch.setattr("edgeprof.measure.metering.SETTLE_S", 0.01)
    root = write_persona("pi-5", tmp_path / "pi")
    monkeypatch.setattr(build, "agent_bytes", power_board.agent_on(root, REAL))
    (tmp_path / "marker").touch()
    bench = Bench(tmp_path, root, tmp_path / "marker")
    try:
        run = bench.measured(2)
        assert bench.energy(run) == []
        (one,) = bench.kept()
        assert one.sensor == "power chip of a Raspberry Pi 5"
        assert all(window.elapsed_ns >= 1.5e9 for window in one.windows)
        (found,) = energies(bench.store, run)
        assert found.reason == "the sensor told the same value whatever ran"
    finally:
        bench.connection.close()
        bench.store.close()
