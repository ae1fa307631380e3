"""What the device file asks to be set for a measurement is set, and put back however the measurement ends."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import steered
from commands import Running
from steered import Impatient, Steered
from testbed.board import Board
from testbed.fixtures import MakeBoard
from waiting import awaited

pytestmark = pytest.mark.board
GOVERNOR: dict[str, Any] = {"governor": "performance"}
BOTH: dict[str, Any] = {"governor": "performance", "nvpmodel": 1}
USUAL = {"pi-4": "ondemand", "orin-nano": "schedutil"}


@pytest.fixture
def desk(tmp_path: Path) -> Impatient:
    return Impatient(tmp_path / "desk")


def governors(device: Board) -> set[str]:
    """Of all its cores."""
    files = device.path("/sys/devices/system/cpu/cpufreq").glob("policy*/scaling_governor")
    return {file.read_text().strip() for file in files}


def mode(device: Board) -> int:
    """The power mode that a Jetson is in."""
    return int(device.ssh("/usr/sbin/nvpmodel -q", user="root").stdout.split()[-1])


@pytest.mark.parametrize(
    ("persona", "asked"),
    [("pi-4", GOVERNOR), pytest.param("orin-nano", BOTH, marks=pytest.mark.slow)],
)
def test_it_is_set_for_the_measurement_and_put_back(
    board: MakeBoard, desk: Impatient, tmp_path: Path, persona: str, asked: dict[str, Any]
) -> None:
    device = board(persona=persona, **steered.options(tmp_path))
    desk.add(device, **asked)
    runtime = Steered(device)
    runtime.hold(2)
    with desk.profiling(3) as command:
        runtime.await_held(2, command)
        assert governors(device) == {"performance"}
        if "nvpmodel" in asked:
            assert mode(device) == 1
        runtime.go_on(2)
        command.end()
    assert governors(device) == {USUAL[persona]}
    if "nvpmodel" in asked:
        assert mode(device) == 0
    assert not device.path(f"{steered.WORKDIR}/restore.json").exists()


@pytest.mark.slow
def test_what_is_told_of_the_device_is_how_it_was_measured(board: MakeBoard, desk: Impatient, tmp_path: Path) -> None:
    device = board(persona="orin-nano", **steered.options(tmp_path))
    desk.add(device, **BOTH)
    (candidate,) = json.loads(desk.edgeprof(*steered.profile(2)).stdout)["candidates"]
    assert "governor not fixed" not in candidate["reasons"]
    facts = desk.run().facts
    assert facts is not None
    assert facts.governor == "performance"
    assert facts.power_mode is not None
    assert facts.power_mode.id == 1


def interrupted(device: Board, command: Running) -> None:
    command.signal(signal.SIGINT)
    awaited(lambda: not command.running(), "it does not end")


def host_killed(device: Board, command: Running) -> None:
    command.kill()


def agent_killed(device: Board, command: Running) -> None:
    """While its host is asleep, so that nobody begins another."""
    command.signal(signal.SIGSTOP)
    steered.kill(device, steered.session_pid(device))


@pytest.mark.slow
@pytest.mark.parametrize("end", [interrupted, host_killed, agent_killed])
def test_it_is_put_back_when_nobody_asks_for_it(
    board: MakeBoard, desk: Impatient, tmp_path: Path, end: Callable[[Board, Running], None]
) -> None:
    """After Ctrl-C; by the session that waits for its host in vain; by the watchdog of a session that was killed."""
    device = board(persona="orin-nano", **steered.options(tmp_path))
    desk.add(device, **BOTH)
    desk.hurry = ("keep=3", *desk.hurry[1:])
    runtime = Steered(device)
    runtime.hold(2)
    with desk.profiling(3) as command:
        runtime.await_held(2, command)
        end(device, command)
        runtime.go_on(2)
        awaited(lambda: governors(device) == {"schedutil"}, lambda: f"it is {governors(device)}")
        awaited(lambda: mode(device) == 0, "the power mode is not put back")
        awaited(lambda: not device.path(f"{steered.WORKDIR}/restore.json").exists(), "the note of what was is left")


@pytest.mark.slow
def test_a_power_mode_that_outlives_a_restart_is_put_back_by_the_next_session(
    board: MakeBoard, desk: Impatient, tmp_path: Path
) -> None:
    device = board(persona="orin-nano", **steered.options(tmp_path))
    desk.add(device, **BOTH)
    runtime = Steered(device)
    runtime.hold(1)
    with desk.profiling(2) as command:
        runtime.await_held(1, command)
        command.kill()
        device.reboot()
    assert mode(device) == 1, "nvpmodel keeps it on the disk"
    desk.add(device)  # which asks for nothing any more
    desk.edgeprof(*steered.profile(1, "board", "--fresh"))
    assert mode(device) == 0
    assert governors(device) == {"schedutil"}


@pytest.mark.slow
def test_a_restart_while_it_is_set(board: MakeBoard, desk: Impatient, tmp_path: Path) -> None:
    """It is set again for the rounds that are left, and what was before the restart comes back."""
    device = board(persona="orin-nano", **steered.options(tmp_path))
    desk.add(device, **BOTH)
    runtime = Steered(device)
    runtime.hold(2)
    runtime.hold(3)
    with desk.profiling(2) as command:
        runtime.await_held(2, command)
        device.reboot()
        runtime.await_held(3, command)
        assert (governors(device), mode(device)) == ({"performance"}, 1)
        runtime.go_on(3)
        command.end()
    assert (governors(device), mode(device)) == ({"schedutil"}, 0)


@pytest.mark.slow
def test_a_user_without_sudo_is_told_the_line_that_allows_it(board: MakeBoard, desk: Impatient, tmp_path: Path) -> None:
    """And with that line, and no other right, it works."""
    device = board(root="amd64-bookworm", persona="orin-nano", user="edge", **steered.options(tmp_path))
    steered.open_python(device)
    desk.add(device, **BOTH)
    refused = json.loads(desk.edgeprof(*steered.profile(2), code=5).stdout)["error"]
    assert "sudo -n may not run" in refused["what"]
    assert "/etc/sudoers.d/edgeprof" in refused["what"]
    (line,) = re.findall(r"edge ALL=\(root\) NOPASSWD: [^\n]*", refused["what"])
    assert governors(device) == {"schedutil"}
    sudoers = device.path("/etc/sudoers.d/edgeprof")
    sudoers.write_text(f"{line}\n")
    sudoers.chmod(0o440)
    runtime = Steered(device)
    runtime.hold(1)
    with desk.profiling(2) as command:
        runtime.await_held(1, command)
        assert (governors(device), mode(device)) == ({"performance"}, 1)
        runtime.go_on(1)
        command.end()
    assert (governors(device), mode(device)) == ({"schedutil"}, 0)


def test_a_governor_that_is_not_there(board: MakeBoard, desk: Impatient, tmp_path: Path) -> None:
    device = board(persona="pi-4", **steered.options(tmp_path))
    desk.add(device, governor="warp")
    refused = json.loads(desk.edgeprof(*steered.profile(2), code=5).stdout)["error"]
    assert refused["what"].startswith("there is no governor warp here; there are: ")
    assert "performance" in refused["what"]
    assert "devices/board.toml" in refused["hint"]
    assert governors(device) == {"ondemand"}
    assert Steered(device).begun() == 0
