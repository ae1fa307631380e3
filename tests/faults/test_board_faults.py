"""What happens to a board in the middle of a measurement or an upload: restarted, without power, gone, unplugged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import steered
from steered import Impatient, Steered
from testbed.fixtures import MakeBoard
from waiting import awaited

import edgeprof

pytestmark = pytest.mark.board
LINK = "edgeprof.target.ssh.link"
BIG = 1 << 20
"""Columns of the matrix in a file of 16 MB."""


@pytest.fixture
def desk(tmp_path: Path) -> Impatient:
    return Impatient(tmp_path / "desk")


@pytest.mark.parametrize("silent", [pytest.param(True, marks=pytest.mark.slow), False])
def test_a_restart_while_measuring_costs_the_round_in_flight_alone(
    board: MakeBoard, desk: Impatient, tmp_path: Path, silent: bool
) -> None:
    device = board(**steered.options(tmp_path))
    desk.add(device)
    runtime = Steered(device)
    runtime.hold(2)
    with desk.profiling(3) as command:
        runtime.await_held(2, command)
        device.reboot(silent)
        said = command.end().stderr
    assert "the device was restarted" in said
    assert desk.rounds() == [0, 1, 2]
    assert runtime.begun() == 4, "one before, the one in flight, that one anew, one more"


@pytest.mark.slow
def test_a_board_that_is_gone_for_good_ends_the_run_and_what_was_measured_is_taken_up(
    board: MakeBoard, desk: Impatient, tmp_path: Path
) -> None:
    device = board(**steered.options(tmp_path))
    desk.add(device)
    desk.hurry = ("keep=8", *desk.hurry[1:])
    runtime = Steered(device)
    runtime.hold(3)
    with desk.profiling(4) as command:
        runtime.await_held(3, command)
        device.power_cut()
        ended = command.end(code=5)
    assert "not reached again within 8 s" in ended.error["what"]
    assert "run the same command again" in ended.error["hint"]
    assert desk.rounds() == [0, 1]
    gone = desk.edgeprof(*steered.profile(4), code=5)
    assert "there is no way to" in gone.stdout or "does not answer" in gone.stdout, gone.stdout
    device.boot()
    again = desk.edgeprof(*steered.profile(4))
    assert "taking up run" in again.stderr
    assert desk.rounds() == [0, 1, 2, 3]
    assert runtime.begun() == 5
    assert desk.run().finished


@pytest.mark.slow
def test_a_power_cut_in_an_upload_leaves_what_arrived_to_be_continued(board: MakeBoard, tmp_path: Path) -> None:
    desk = Impatient(tmp_path / "desk", weights=BIG)
    desk.hurry = (*desk.hurry, f"{LINK}.DEAD_S=3")
    device = board(**steered.options(tmp_path, cable=True))
    desk.add(device)
    device.shape(mbit_per_s=50)
    size = (desk.root / steered.FILE).stat().st_size
    with desk.profiling(2) as command:
        steered.await_part(device, size // 2)
        device.power_cut()
        command.await_line("trying again in")
        device.boot()
        device.shape()
        command.end()
    assert desk.rounds() == [0, 1]
    assert not steered.parts(device)
    assert size < steered.sent(device) < 1.4 * size, "what had arrived was not sent again"


@pytest.mark.slow
def test_a_cable_out_for_seconds_is_not_even_noticed(board: MakeBoard, tmp_path: Path) -> None:
    """In an upload, and in a measurement: whatever TCP mends by itself is no matter of ours."""
    desk = Impatient(tmp_path / "desk", weights=BIG)
    desk.hurry = ("keep=60",)
    device = board(**steered.options(tmp_path, cable=True))
    desk.add(device)
    device.shape(mbit_per_s=50)
    runtime = Steered(device)
    runtime.hold(2)
    with desk.profiling(3) as command:
        steered.await_part(device, 1 << 20)
        device.unplug()
        awaited(lambda: steered.unanswered(device) >= 4, "nobody has tried")
        device.plug()
        device.shape()
        runtime.await_held(2, command)
        device.unplug()
        runtime.go_on(2)
        awaited(lambda: steered.done(device, 2), "the device does not go on by itself")
        device.plug()
        said = command.end().stderr
    assert "trying" not in said
    assert desk.rounds() == [0, 1, 2]
    assert runtime.begun() == 3


@pytest.mark.slow
def test_a_cable_out_for_long_in_an_upload(board: MakeBoard, tmp_path: Path) -> None:
    """Neither side is told: our kernel gives the link up, and a new receiver takes over from the old."""
    desk = Impatient(tmp_path / "desk", weights=BIG)
    desk.hurry = (*desk.hurry, f"{LINK}.DEAD_S=3")
    device = board(**steered.options(tmp_path, cable=True))
    desk.add(device)
    device.shape(mbit_per_s=50)
    size = (desk.root / steered.FILE).stat().st_size
    with desk.profiling(2) as command:
        steered.await_part(device, size // 2)
        device.unplug()
        command.await_line("trying again in")
        device.plug()
        device.shape()
        command.end()
    assert desk.rounds() == [0, 1]
    assert size < steered.sent(device) < 1.4 * size


@pytest.mark.slow
def test_a_cable_out_for_long_while_measuring(board: MakeBoard, desk: Impatient, tmp_path: Path) -> None:
    """The device goes on meanwhile; the host finds out by a ping, and then reads on where it stopped."""
    device = board(**steered.options(tmp_path, cable=True))
    desk.add(device)
    runtime = Steered(device)
    runtime.hold(2)
    with desk.profiling(3) as command:
        runtime.await_held(2, command)
        device.unplug()
        runtime.go_on(2)
        command.await_line("it goes on measuring, trying to reach it")
        device.plug()
        command.await_line("the link is back")
        command.end()
    assert desk.rounds() == [0, 1, 2]
    assert runtime.begun() == 3, "no round was measured again"


@pytest.mark.slow
def test_a_clock_that_is_years_off_and_jumps_breaks_nothing(board: MakeBoard, desk: Impatient, tmp_path: Path) -> None:
    """Lease, lingering and spool go by the time since the device started; trust hears of a jump in a timed block."""
    clock = tmp_path / "clock" / "off"
    clock.parent.mkdir()
    steered.set_clock(clock, -20 * 366 * 86400)
    device = board(**steered.options(tmp_path, clock))
    desk.add(device)
    runtime = Steered(device)
    shutil.copy(Path(edgeprof.__file__).parent.parent / "exporters" / "onnx-fp32.toml", desk.root / "exporters")
    doctor = desk.edgeprof("device", "doctor", "board", code=None)
    assert "its clock is 20 years behind" in doctor.stdout, doctor
    for number in (1, 2, 4):
        runtime.hold(number, "block" if number == 4 else "first")
    with desk.profiling(2) as command:
        runtime.await_held(1, command)
        steered.set_clock(clock, 10 * 86400)
        runtime.go_on(1)
        runtime.await_held(2, command)
        steered.set_clock(clock, -5 * 3600)
        runtime.go_on(2)
        ended = command.end()
    assert desk.rounds() == [0, 1]
    (candidate,) = ended.told["candidates"]
    assert "clock step" not in candidate["reasons"], "none was in a timed block"
    with desk.profiling(2) as command:
        runtime.await_held(4, command)
        steered.set_clock(clock, 3 * 3600)
        runtime.go_on(4)
        ended = command.end()
    (candidate,) = ended.told["candidates"]
    assert "clock step" in candidate["reasons"]
    assert runtime.begun() == 4


@pytest.mark.slow
def test_the_lease_is_one_for_all_users_of_a_board(board: MakeBoard, desk: Impatient, tmp_path: Path) -> None:
    device = board(**steered.options(tmp_path))
    desk.add(device)
    other = Impatient(tmp_path / "other desk")
    other.add(device, user="edge")
    steered.open_python(device)
    runtime = Steered(device)
    runtime.hold(2)
    with desk.profiling(2) as command:
        runtime.await_held(2, command)
        refused = other.edgeprof(*steered.profile(1), code=5)
        assert "it is in use: " in refused.stdout
        assert "edgeprof run" in refused.stdout
        with other.profiling(1, "board", "--wait", "5m") as waiting:
            waiting.await_line("waiting for it")
            runtime.go_on(2)
            command.end()
            waiting.end()
    assert runtime.begun() == 3
    desk.edgeprof(*steered.profile(1))


def test_what_a_device_cannot_do_is_said_at_once(board: MakeBoard, desk: Impatient, tmp_path: Path) -> None:
    """An error of its system ends the call, and not the agent: it is no broken link, to be tried for ten minutes."""
    says = "import time\ndef sleep(seconds):\n    raise OSError(22, 'Invalid argument')\ntime.sleep = sleep\n"
    device = board(**steered.options(tmp_path, site=says))
    desk.add(device)
    failed = desk.edgeprof("device", "probe", "board", "--json", code=5)
    assert "the call could not be carried out: Invalid argument" in failed.stdout
    assert "trying again" not in failed.stderr


_GREEDY = """
_begin = begin
def begin():
    number = _begin()
    if os.path.exists(FOLDER + "greedy-%d" % number):
        b"x" * (1 << 30)
    return number
"""


@pytest.mark.slow
def test_a_file_that_needs_more_memory_than_there_is(board: MakeBoard, desk: Impatient, tmp_path: Path) -> None:
    """The kernel kills the round and not the session: measured anew the first time, a failure the second."""
    options = steered.options(tmp_path, memory_mib=400, cpu_percent=100)
    with (tmp_path / "stand-in/onnxruntime/__init__.py").open("a") as stand_in:
        stand_in.write(_GREEDY)
    device = board(**options)
    desk.add(device)
    runtime = Steered(device)
    runtime.greedy(2, 4, 5)
    failed = json.loads(desk.edgeprof(*steered.profile(4), code=5).stdout)
    (failure,) = failed["failures"]
    assert failure["error_class"] == "crash"
    assert "out of memory?" in failure["error"], failure
    assert desk.rounds() == [0, 1], "killed once, the second was measured anew; the third was killed twice"
    assert runtime.begun() == 5
    assert device.ssh("echo on").stdout == "on\n"
    desk.edgeprof(*steered.profile(4))
    assert desk.rounds() == [0, 1, 2, 3]
