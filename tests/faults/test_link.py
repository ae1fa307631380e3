"""The link to a device fails in every way while it measures: no sample is lost, none counted twice."""

from __future__ import annotations

import hashlib
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import process_tools as processes
import pytest
import ready_models
from commands import Running
from scene import FILES, Scene
from testbed.fixtures import MakeProxy
from testbed.sshd import Sshd
from waiting import awaited, pause


@pytest.fixture
def scene(sshd: Sshd, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path, sshd)
    yield made
    made.close()


def test_a_cut_in_a_round_loses_nothing_and_measures_nothing_again(scene: Scene) -> None:
    scene.rounds.stop(1)
    running = scene.profile(rounds=2)
    scene.await_round(1)
    scene.server.kill_sessions()
    scene.rounds.go(1)
    running.await_line("it goes on measuring, trying to reach it for 10 min")
    running.await_line("the link is back")
    scene.check(running.end(), rounds=2)
    assert len(scene.rounds.begun()) == 4, "no round was measured again"


@pytest.mark.slow
def test_cuts_at_many_moments_lose_nothing(scene: Scene, proxy: MakeProxy) -> None:
    """By the death of the server's processes and by resets, in rounds and as the host asks for the next."""
    link = proxy(scene.server.port)
    scene.behind(link.port)
    scene.rounds.stop(0, 3, 4)
    running = scene.profile(rounds=4)
    for number, cut in ((0, link.reset), (3, scene.server.kill_sessions), (4, scene.server.restart)):
        scene.await_round(number)
        cut()
        scene.rounds.go(number)
    ended = running.end()
    assert ended.stderr.count("the link is back") == 3
    scene.check(ended, rounds=4)
    assert len(scene.rounds.begun()) == 8


@pytest.mark.slow
@pytest.mark.parametrize("how", ["reset", "stall"])
def test_a_broken_upload_is_taken_up_where_it_stopped(
    scene: Scene, proxy: MakeProxy, how: Literal["reset", "stall"]
) -> None:
    size = ready_models.onnx_file(scene.desk.root / "big.onnx", weights=1 << 19).stat().st_size
    link = proxy(scene.server.port, bytes_per_s=4e6)
    scene.behind(link.port)
    link.cut_after(size * 3 // 4, "up", how)
    running = scene.profile(rounds=1, files=("big.onnx",), hurry={"edgeprof.target.ssh.stream.WRITE_S": 3})
    if how == "stall":
        running.await_line("trying again in 1 s")
        link.resume()
    scene.check(running.end(), rounds=1, cells=1)
    assert size < link.counts().up < size * 5 // 4, "what had arrived was not sent again"
    blobs = list((scene.workdir / "blobs").glob("[!.]*"))
    assert {len(blob.name) for blob in blobs} == {64}, "no part is left"
    assert all(hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name for blob in blobs)
    assert size in {blob.stat().st_size for blob in blobs}


@pytest.mark.slow
def test_a_link_that_stands_still_is_found_by_a_ping(scene: Scene, proxy: MakeProxy) -> None:
    """The proxy keeps the connection and takes new ones, and moves nothing."""
    link = proxy(scene.server.port)
    scene.behind(link.port)
    scene.rounds.stop(1)
    hurry = {"edgeprof.target.ssh.session.PING_S": 1.0, "edgeprof.target.ssh.session.PONG_S": 2.0}
    running = scene.profile(rounds=2, hurry=hurry)
    scene.await_round(1)
    link.stall()
    scene.rounds.go(1)
    running.await_line("the link is dead: no answer to a ping")
    link.resume()
    running.await_line("the link is back")
    scene.check(running.end(), rounds=2)
    assert len(scene.rounds.begun()) == 4


@pytest.mark.slow
def test_a_link_that_never_moves_ends_the_command(scene: Scene, proxy: MakeProxy) -> None:
    link = proxy(scene.server.port)
    scene.behind(link.port)
    link.stall()
    error = scene.profile(rounds=1).end(5).error
    assert error["what"] == f"port {link.port} is open, but no SSH server answered"
    assert "port = N" in error["hint"]


@pytest.mark.slow
def test_a_slow_link_simply_works(scene: Scene, proxy: MakeProxy) -> None:
    link = proxy(scene.server.port, delay_ms=100, bytes_per_s=200e3)
    scene.behind(link.port)
    ended = scene.profile(rounds=2).end()
    assert "link" not in ended.stderr
    scene.check(ended, rounds=2)


@pytest.mark.slow
def test_a_server_that_is_gone_for_a_while_is_waited_for(scene: Scene) -> None:
    scene.rounds.stop(1)
    running = scene.profile(rounds=2)
    scene.await_round(1)
    scene.server.kill()
    scene.rounds.go(1)
    running.await_line("it goes on measuring, trying to reach it")
    awaited(lambda: scene.spooled("done"), "the session does not go on by itself")
    scene.server.start()
    scene.check(running.end(), rounds=2)
    assert len(scene.rounds.begun()) == 4


@pytest.mark.slow
def test_a_server_that_is_gone_for_too_long_ends_the_command_and_the_next_goes_on(scene: Scene) -> None:
    scene.rounds.stop(1)
    running = scene.profile(rounds=2, hurry={"keep": 3})
    scene.await_round(1)
    scene.server.kill()
    ended = running.end(5)
    assert ended.error["where"] == "board"
    assert ended.error["what"].startswith("not reached again within 3 s: ")
    assert "run the same command again" in ended.error["hint"]
    assert "starting it again" not in ended.stderr, "the bound is for all attempts together"
    scene.rounds.go(1)
    scene.server.start()
    again = scene.profile(rounds=2).end()
    assert "taking up run" in again.stderr
    assert "found session" in again.stderr
    scene.check(again, rounds=2)
    assert len(scene.rounds.begun()) == 4, "what was measured without a link was found"


def test_a_killed_agent_is_started_again_and_its_round_measured_anew(scene: Scene) -> None:
    scene.rounds.stop(2)
    running = scene.profile(rounds=2)
    worker = scene.await_round(2)
    os.kill(scene.agent(), signal.SIGKILL)
    running.await_line("the agent was killed on the device (out of memory?); starting it again (1 of 3)")
    scene.check(running.end(), rounds=2)
    assert len(scene.rounds.begun()) == 5
    assert not processes.alive(worker), "the worker ended with its agent"


def test_a_killed_worker_is_tried_again(scene: Scene) -> None:
    scene.rounds.stop(2)
    running = scene.profile(rounds=2)
    os.kill(scene.await_round(2), signal.SIGKILL)
    scene.check(running.end(), rounds=2)
    assert len(scene.rounds.begun()) == 5


@pytest.mark.slow
def test_a_cell_that_is_killed_twice_is_told_and_measured_by_the_next_command(scene: Scene) -> None:
    scene.rounds.stop(1, 2)
    running = scene.profile(rounds=2, files=FILES[:1])
    for number in (1, 2):
        os.kill(scene.await_round(number), signal.SIGKILL)
    ended = running.end(5)
    (failure,) = ended.told["failures"]
    assert "killed by SIGKILL" in failure["error"]
    assert "out of memory?" in failure["error"]
    assert len(scene.kept()) == 1, "what was measured before is kept"
    scene.await_free()
    scene.check(scene.profile(rounds=2, files=FILES[:1]).end(), rounds=2, cells=1)


@pytest.mark.slow
def test_megabytes_on_both_streams_stop_nothing(scene: Scene, tmp_path: Path) -> None:
    """A login shell that prints 3 MiB to both before every command, and a Python that prints as much to stderr."""
    shell = tmp_path / "shell"
    shell.write_text(
        '#!/bin/sh\nyes welcome | head -c 3145728\nyes welcome | head -c 3145728 >&2\nexec /bin/bash "$@"\n'
    )
    shell.chmod(0o755)
    scene.server.shell = str(shell)
    scene.server.restart()
    with scene.rounds.site.open("a") as file:
        file.write('sys.stderr.write("a warning\\n" * 314573)\n')
    scene.check(scene.profile(rounds=2).end(), rounds=2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_no_sequence_of_drops_loses_or_doubles_a_round(scene: Scene, proxy: MakeProxy, seed: int) -> None:
    link = proxy(scene.server.port)
    scene.behind(link.port)
    chance = random.Random(seed)
    running = scene.profile(rounds=8)
    running.await_line("open: 2 to do")  # a device that was never reached is not waited for
    for _ in range(8):
        pause(chance.uniform(0, 1.5))
        chance.choice([scene.server.kill_sessions, link.reset, scene.server.restart])()
        _await_another(scene, running)
    scene.check(running.end(), rounds=8)
    assert len(scene.rounds.begun()) == 16


def _await_another(scene: Scene, running: Running) -> None:
    """Returns when another round has begun, or none is left."""
    before = len(scene.rounds.begun())
    awaited(lambda: len(scene.rounds.begun()) > before or not running.running(), "it does not go on")
