"""Energy on a Jetson behind SSH: in the state that the latencies were measured in, and through a killed host."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import steered
from steered import Impatient, Steered
from testbed.board import Board
from testbed.fixtures import MakeBoard
from waiting import awaited

from edgeprof.records import Metered
from edgeprof.store import Store

pytestmark = [pytest.mark.board, pytest.mark.slow]
HURRY = ("edgeprof.measure.metering.WINDOW_S=0.3", "edgeprof.measure.metering.SETTLE_S=0.05")
ROUNDS = 5
VOLT = 5.040
"""Of the persona's VDD_IN."""


@pytest.fixture
def desk(tmp_path: Path) -> Impatient:
    made = Impatient(tmp_path / "desk")
    made.hurry = (*made.hurry, *HURRY)
    return made


@contextmanager
def measuring(device: Board) -> Iterator[None]:
    """Its sensor tells about 1 A, each time another value."""
    (rail,) = device.path("/sys/bus/i2c/devices/1-0040").glob("hwmon/hwmon*/curr1_input")
    over = threading.Event()

    def tell() -> None:
        number = 0
        with rail.open("r+b", buffering=0) as file:
            file.truncate(0)
            while not over.wait(0.005):
                number += 1
                file.seek(0)
                file.write(b"%05d\n" % (1000 + (number % 5 - 2)))

    thread = threading.Thread(target=tell)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def kept(desk: Impatient) -> list[Metered]:
    with closing(Store(desk.root / ".edgeprof", read_only=True)) as store:
        return store.all(Metered.KIND, Metered)


def governors(device: Board) -> set[str]:
    files = device.path("/sys/devices/system/cpu/cpufreq").glob("policy*/scaling_governor")
    return {file.read_text().strip() for file in files}


def check(found: dict[str, Any], desk: Impatient) -> None:
    """Every round once, and the power that the sensor told."""
    (one,) = found["candidates"]
    assert not found["failures"]
    assert [each.round for each in kept(desk)] == list(range(ROUNDS))
    assert one["power_w"] == pytest.approx(VOLT, rel=0.05)
    assert one["energy_rounds"] == ROUNDS
    assert found["energy"][0]["sensor"] == "INA3221, rail VDD_IN"


def test_the_board_is_as_it_was_for_the_latencies_and_put_back(
    board: MakeBoard, desk: Impatient, tmp_path: Path
) -> None:
    device = board(persona="orin-nano", **steered.options(tmp_path))
    desk.add(device, governor="performance")
    runtime = Steered(device)
    runtime.hold(3)  # after one round of latency, in the second of energy
    with measuring(device), desk.profiling(1, "board", "--energy") as command:
        runtime.await_held(3, command)
        assert governors(device) == {"performance"}
        runtime.go_on(3)
        ended = command.end()
    check(ended.told, desk)
    assert governors(device) == {"schedutil"}


def test_a_host_that_is_killed_loses_no_round_of_energy(board: MakeBoard, desk: Impatient, tmp_path: Path) -> None:
    device = board(persona="orin-nano", **steered.options(tmp_path))
    desk.add(device)
    runtime = Steered(device)
    runtime.hold(4)
    with measuring(device):
        with desk.profiling(1, "board", "--energy") as command:
            runtime.await_held(4, command)
            command.kill()
        assert [each.round for each in kept(desk)] == [0, 1]
        runtime.go_on(4)
        awaited(lambda: runtime.begun() == 4, "the round did not go on")
        told = json.loads(desk.edgeprof(*steered.profile(1, "board", "--energy")).stdout)
        check(told, desk)
        assert runtime.begun() == 1 + ROUNDS, "the round that the session ended without us was not run again"
