"""Test images on a board behind a real sshd: the link, the agent and the host fail in the middle of the pass."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Done
from scene import Scene
from testbed.sshd import Sshd
from waiting import awaited

from edgeprof.records import Failure, Verified
from edgeprof.store import Store

WORDS = ("profile", "--device", "board", "--exporter", "onnx-fp32", "--rounds", "1", "--accuracy-on-device", "--json")
IMAGES, PARTS = 450, 2
PASS = 1
"""The number of its process: the first is the round's."""


@pytest.fixture
def scene(done: Done, sshd: Sshd, tmp_path: Path) -> Iterator[Scene]:
    """With a copy of the suite in which all is exported."""
    made = Scene(tmp_path, sshd, Path(shutil.copytree(done.root, tmp_path / "süite")))
    yield made
    made.close()


def check(scene: Scene, ended_told: dict[str, Any]) -> None:
    """Every image was run once and gave what it gives on the host; nothing runs any more."""
    assert not ended_told["failures"]
    (candidate,) = ended_told["candidates"]
    assert candidate["device_images"] == IMAGES
    assert candidate["device_verdict"] == "same"
    assert (candidate["device_top1"], candidate["device_agreement"]) == (candidate["top1"], 1.0)
    store = Store(scene.desk.root / ".edgeprof", read_only=True)
    kept = store.all(Verified.KIND, Verified, run=ended_told["run"])
    store.close()
    assert [one.part for one in kept] == list(range(PARTS))
    assert [number for one in kept for number in one.which] == list(range(IMAGES))
    scene.await_free()


def test_a_cut_in_the_pass_loses_nothing(scene: Scene) -> None:
    """The session goes on without us, and both parts wait in its spool."""
    scene.rounds.stop(PASS)
    running = scene.begin(*WORDS)
    scene.await_round(PASS)
    scene.server.kill_sessions()
    scene.rounds.go(PASS)
    running.await_line("it goes on measuring, trying to reach it for 10 min")
    running.await_line("the link is back")
    ended = running.end()
    check(scene, ended.told)
    assert not scene.sessions()
    assert len(scene.rounds.begun()) == 2, "nothing was run again"
    blobs = [path.stat().st_size for path in (scene.workdir / "blobs").glob("[!.]*")]
    assert sum(size == 256 * 32 * 32 * 3 + 128 for size in blobs) == 1, "the images stay for the next run"
    assert "files" in scene.desk.edgeprof("device", "clean", "board", "--all").stdout
    assert not list((scene.workdir / "blobs").glob("[!.]*")) or _agent_alone(scene)


def _agent_alone(scene: Scene) -> bool:
    """The agent's own program stays."""
    return len(list((scene.workdir / "blobs").glob("[!.]*"))) == 1


@pytest.mark.slow
def test_an_agent_that_is_killed_in_the_pass_does_its_part_anew(scene: Scene) -> None:
    scene.rounds.stop(PASS)
    running = scene.begin(*WORDS)
    scene.await_round(PASS)
    os.kill(scene.agent(), signal.SIGKILL)
    running.await_line("starting the agent again (1 of 3)")
    check(scene, running.end().told)
    assert len(scene.rounds.begun()) == 3


@pytest.mark.slow
def test_a_host_that_is_killed_finds_what_was_done_without_it(scene: Scene) -> None:
    scene.rounds.stop(PASS)
    running = scene.begin(*WORDS)
    scene.await_round(PASS)
    running.kill()
    scene.rounds.go(PASS)
    awaited(lambda: scene.spooled("evaluated") == PARTS, "the pass does not go on by itself")
    ended = scene.begin(*WORDS).end()
    assert "taking up run" in ended.stderr
    assert "found session" in ended.stderr
    check(scene, ended.told)
    assert len(scene.rounds.begun()) == 2, "neither the round nor the images were run again"


@pytest.mark.slow
def test_a_board_that_is_gone_for_long_is_gone_on_with_by_the_next_command(scene: Scene) -> None:
    scene.rounds.stop(PASS)
    running = scene.begin(*WORDS, hurry={"keep": 3})
    scene.await_round(PASS)
    scene.server.kill()
    ended = running.end(5)
    assert ended.error["what"].startswith("not reached again within 3 s: ")
    assert "run the same command again" in ended.error["hint"]
    scene.rounds.go(PASS)
    scene.server.start()
    check(scene, scene.begin(*WORDS).end().told)
    assert len(scene.rounds.begun()) == 2, "what was run without a link was found"


@pytest.mark.slow
def test_a_process_that_is_killed_twice_is_a_failure_of_the_pass_alone(scene: Scene) -> None:
    """Out of memory with a file: its latency stands, and the command succeeds."""
    scene.rounds.stop(PASS, PASS + 1)
    running = scene.begin(*WORDS)
    for number in (PASS, PASS + 1):
        os.kill(scene.await_round(number), signal.SIGKILL)
    ended = running.end()
    (failure,) = ended.told["failures"]
    assert failure["error"].startswith("no outputs on test images: killed by SIGKILL")
    (candidate,) = ended.told["candidates"]
    assert candidate["device_verdict"] is None
    store = Store(scene.desk.root / ".edgeprof", read_only=True)
    assert len(store.all(Failure.KIND, Failure, run=ended.told["run"])) == 1
    store.close()
