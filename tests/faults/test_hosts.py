"""Hosts that are killed or interrupted: the device is not left in use, and every round counts once."""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import process_tools as processes
import pytest
from commands import Running
from conftest import Done
from scene import Scene
from testbed.fixtures import MakeProxy
from testbed.proxy import Proxy
from testbed.sshd import Sshd
from waiting import awaited, pause


@pytest.fixture
def scene(sshd: Sshd, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path, sshd)
    yield made
    made.close()


# --- killed


def connecting(scene: Scene, link: Proxy) -> Running:
    link.stall()
    running = scene.profile(rounds=2)
    awaited(lambda: link.counts().taken, "it does not connect")
    return running


def sending_the_agent(scene: Scene, link: Proxy) -> Running:
    link.cut_after(30_000, "up", "stall")
    running = scene.profile(rounds=2)
    link.await_bytes(30_000)
    return running


def asking(scene: Scene, link: Proxy) -> Running:
    running = scene.profile(rounds=2)
    running.await_line("open: 2 to do")
    return running


def pushing(scene: Scene, link: Proxy) -> Running:
    running = scene.profile(rounds=2)
    awaited((scene.workdir / "blobs" / ".receiver").exists, "nothing is sent")
    return running


def session_started(scene: Scene, link: Proxy) -> Running:
    running = scene.profile(rounds=2)
    scene.agent()
    return running


def first_round_running(scene: Scene, link: Proxy) -> Running:
    scene.rounds.stop(0)
    running = scene.profile(rounds=2)
    scene.await_round(0)
    return running


def between_cycles(scene: Scene, link: Proxy) -> Running:
    scene.rounds.stop(1)
    running = scene.profile(rounds=2)
    scene.await_round(1)
    running.stand_still()
    scene.rounds.go(1)
    awaited(lambda: scene.spooled("done"), "the cycle does not end")
    return running


def last_round_told(scene: Scene, link: Proxy) -> Running:
    scene.rounds.stop(3)
    running = scene.profile(rounds=2)
    scene.await_round(3)
    running.stand_still()
    scene.rounds.go(3)
    awaited(lambda: scene.spooled("done"), "the cycle does not end")
    return running


def closing(scene: Scene, link: Proxy) -> Running:
    running = scene.profile(rounds=2)
    scene.agent()
    (place,) = scene.sessions()
    awaited(lambda: (place / "end").exists() or not place.exists(), "the session is not ended")
    return running


MOMENTS = [
    connecting,
    sending_the_agent,
    asking,
    pushing,
    session_started,
    first_round_running,
    between_cycles,
    last_round_told,
    closing,
]


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_host_is_started_again_and_every_round_is_there_once(
    scene: Scene, proxy: MakeProxy, moment: Callable[[Scene, Proxy], Running]
) -> None:
    link = proxy(scene.server.port)
    scene.behind(link.port)
    moment(scene, link).kill()
    link.resume()
    (scene.folder / "rounds" / "stop-0").unlink(missing_ok=True)
    again = scene.profile(rounds=2).end()
    scene.check(again, rounds=2)
    if moment in (first_round_running, between_cycles, last_round_told):
        assert "taking up run" in again.stderr
        assert len(scene.rounds.begun()) == 4, "what was measured meanwhile was found"


@pytest.mark.slow
@pytest.mark.parametrize("moment", [asking, pushing, session_started, first_round_running, between_cycles, closing])
def test_a_killed_host_that_never_comes_back_leaves_the_device_free(
    scene: Scene, proxy: MakeProxy, moment: Callable[[Scene, Proxy], Running]
) -> None:
    link = proxy(scene.server.port)
    scene.behind(link.port)
    scene.keep_s = 2
    moment(scene, link).kill()
    (scene.folder / "rounds" / "stop-0").unlink(missing_ok=True)
    scene.await_free()
    scene.check(scene.profile(rounds=2).end(), rounds=2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_no_sequence_of_kills_and_drops_loses_or_doubles_a_round(scene: Scene, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(4):
        running = scene.profile(rounds=8)
        pause(chance.uniform(0.5, 4))
        if chance.random() < 0.5:
            scene.server.kill_sessions()
            pause(chance.uniform(0, 2))
        running.signal(chance.choice([signal.SIGKILL, signal.SIGINT, signal.SIGTERM]))
        running.await_end()
    scene.check(scene.profile(rounds=8).end(), rounds=8)


@pytest.mark.parametrize(
    "what", ["half", pytest.param("nothing", marks=pytest.mark.slow), pytest.param("another", marks=pytest.mark.slow)]
)
def test_an_agent_that_is_not_whole_there_is_sent_anew(scene: Scene, what: str) -> None:
    """After a power cut, or when somebody changed it."""
    known = scene.begin("device", "probe", "board", "--json").end().told
    (agent,) = (path for path in (scene.workdir / "blobs").glob("[!.]*") if b"__main__.py" in path.read_bytes())
    whole = agent.read_bytes()
    agent.write_bytes({"nothing": b"", "half": whole[: len(whole) // 2], "another": b"import this\n"}[what])
    again = scene.begin("device", "probe", "board", "--json").end().told
    assert agent.read_bytes() == whole
    assert set(again) == set(known)
    scene.await_free()


@pytest.mark.slow
def test_the_main_job_goes_on_after_a_cut_and_a_kill(done: Done, sshd: Sshd, tmp_path: Path) -> None:
    """Of all three formats, with files that were exported."""
    root = shutil.copytree(done.root, tmp_path / "süite")
    scene = Scene(tmp_path, sshd, root)
    try:
        scene.rounds.stop(1, 4)
        forms = [word for name in ("onnx", "openvino", "tflite") for word in ("--exporter", f"{name}-fp32")]
        arguments = ("run", "--device", "board", "--rounds", "3", "--json", *forms)
        running = scene.begin(*arguments)
        scene.await_round(1)
        scene.server.kill_sessions()
        scene.rounds.go(1)
        running.await_line("the link is back")
        scene.await_round(4)
        running.kill()
        scene.rounds.go(4)
        again = scene.begin(*arguments).end()
        assert "taking up run" in again.stderr
        scene.check(again, rounds=3, cells=3)
        assert len(scene.rounds.begun()) == 9
    finally:
        scene.close()


# --- interrupted


def test_ctrl_c_ends_the_agent_and_keeps_what_is_measured(scene: Scene) -> None:
    scene.rounds.stop(3)
    running = scene.profile(rounds=2)
    worker = scene.await_round(3)
    running.signal(signal.SIGINT)
    ended = running.end(130)
    assert ended.error["hint"] == "run the same command again to go on"
    processes.await_end(worker)
    scene.await_free()
    assert not scene.sessions()
    assert len(scene.kept()) == 3
    again = scene.profile(rounds=2).end()
    assert "taking up run" in again.stderr
    scene.check(again, rounds=2)
    assert len(scene.rounds.begun()) == 5


@pytest.mark.slow
def test_ctrl_c_without_a_link_ends_the_command_at_once(scene: Scene) -> None:
    """The session ends by itself when nobody comes back."""
    scene.keep_s = 20
    scene.rounds.stop(1)
    running = scene.profile(rounds=2)
    scene.await_round(1)
    scene.server.kill()
    running.await_line("trying to reach it")
    running.signal(signal.SIGINT)
    running.end(130)
    scene.rounds.go(1)
    scene.await_free()
    scene.server.start()
    scene.check(scene.profile(rounds=2).end(), rounds=2)
