"""Times by operator on a board: taken in the state that the latencies were measured in, put back afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
import steered
from steered import Impatient, Steered
from testbed.board import Board
from testbed.fixtures import MakeBoard

pytestmark = [pytest.mark.board, pytest.mark.slow]


def governors(device: Board) -> set[str]:
    files = device.path("/sys/devices/system/cpu/cpufreq").glob("policy*/scaling_governor")
    return {file.read_text().strip() for file in files}


def test_the_governor_is_held_for_the_pass_and_put_back(board: MakeBoard, tmp_path: Path) -> None:
    """The stand-in writes no profile, so that the pass ends as a failure beside a latency that stands."""
    device = board(persona="orin-nano", **steered.options(tmp_path))
    desk = Impatient(tmp_path / "desk")
    desk.add(device, governor="performance")
    runtime = Steered(device)
    runtime.hold(2)  # after the one round of latency, the process that profiles
    with desk.profiling(1, "board", "--per-op") as command:
        runtime.await_held(2, command)
        assert governors(device) == {"performance"}
        runtime.go_on(2)
        ended = command.end()
    (failure,) = ended.told["failures"]
    assert "no times by operator" in failure["error"]
    assert len(ended.told["candidates"]) == 1
    assert governors(device) == {"schedutil"}
