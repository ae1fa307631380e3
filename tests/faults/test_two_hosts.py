"""Two hosts want the same device: one measures at a time, and nobody holds it for ever."""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import process_tools as processes
import pytest
from scene import Scene
from testbed.fixtures import MakeProxy
from testbed.sshd import Sshd
from waiting import awaited

OWNER = f"{getpass.getuser()}@{socket.gethostname()}"


@pytest.fixture
def scene(sshd: Sshd, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path, sshd)
    yield made
    made.close()


def test_a_second_host_is_refused_and_told_who_measures(scene: Scene) -> None:
    scene.rounds.stop(0)
    first = scene.profile(rounds=1)
    scene.await_round(0)
    other = scene.new_desk("other")
    error = scene.profile(rounds=1, desk=other).end(5).error
    (run,) = scene.runs()
    assert error["what"] == f"it is in use: {OWNER}: edgeprof run {run.run}"
    assert error["hint"] == "wait for it: --wait 30m"
    assert len(scene.rounds.begun()) == 1, "nothing of it disturbs what is measured"
    scene.rounds.go(0)
    scene.check(first.end(), rounds=1)


@pytest.mark.slow
def test_a_second_host_waits_until_the_first_is_through(scene: Scene) -> None:
    scene.rounds.stop(0)
    first = scene.profile(rounds=2)
    scene.await_round(0)
    other = scene.new_desk("other")
    second = scene.profile("--wait", "5m", rounds=2, desk=other)
    second.await_line("waiting for it")
    scene.rounds.go(0)
    one, two = first.end(), second.end()
    scene.check(one, rounds=2)
    scene.check(two, rounds=2, desk=other)
    sessions = [session for _, session in scene.rounds.begun()]
    assert sessions == [one.told["run"]] * 4 + [two.told["run"]] * 4, "one after the other"


@pytest.mark.slow
def test_a_waiting_host_gets_the_device_when_the_first_is_killed(scene: Scene) -> None:
    scene.keep_s = 2
    scene.rounds.stop(0)
    first = scene.profile(rounds=2)
    scene.await_round(0)
    other = scene.new_desk("other")
    second = scene.profile("--wait", "5m", rounds=1, desk=other)
    second.await_line("waiting for it")
    first.kill()
    scene.rounds.go(0)
    ended = second.end()
    sessions = [session for _, session in scene.rounds.begun()]
    assert len(set(sessions[:2])) == 1, "the cycle that ran came to its end"
    scene.check_rounds(ended, rounds=1, desk=other)
    again = scene.profile(rounds=2).end()
    scene.check(again, rounds=2)
    assert len(scene.rounds.begun()) == 6, "the first one's cycle was found afterwards"


def test_a_device_is_not_cleaned_while_it_measures(scene: Scene) -> None:
    """Nor is the lease of a run in another terminal taken over, as that of a killed one would be."""
    scene.rounds.stop(0)
    running = scene.profile(rounds=1)
    scene.await_round(0)
    error = scene.begin("device", "clean", "board", "--all", "--json").end(5).error
    assert "another edgeprof is working here" in error["what"]
    scene.rounds.go(0)
    scene.check(running.end(), rounds=1)


@pytest.mark.slow
def test_another_run_ends_what_a_killed_host_left(scene: Scene) -> None:
    """Two runs never measure at once, and the lease is not kept for one that nobody goes on with."""
    scene.rounds.stop(0)
    running = scene.profile(rounds=2)
    worker = scene.await_round(0)
    running.kill()
    ended = scene.profile("--fresh", rounds=2).end()
    assert not processes.alive(worker)
    scene.check(ended, rounds=2)
    assert [session for _, session in scene.rounds.begun()][1:] == [ended.told["run"]] * 4


@pytest.mark.slow
def test_a_link_that_breaks_as_the_session_is_ended_leaves_nothing(scene: Scene, proxy: MakeProxy) -> None:
    link = proxy(scene.server.port)
    scene.behind(link.port)
    scene.rounds.stop(3)
    running = scene.profile(rounds=2)
    scene.await_round(3)
    sent = link.counts().up
    link.cut_after(1, "up")
    scene.rounds.go(3)
    awaited(lambda: link.counts().up > sent, "the host says nothing any more")
    scene.check(running.end(), rounds=2)
    assert link.counts().taken == 2


@pytest.mark.slow
def test_a_host_that_lost_its_lease_stops_and_nothing_late_counts(scene: Scene) -> None:
    scene.rounds.stop(1)
    running = scene.profile(rounds=2)
    scene.await_round(1)
    agent = scene.agent()
    taken = scene.take_lease_by_force("eve@lab", "edgeprof run other")
    scene.rounds.go(1)
    error = running.end(5).error
    assert "another edgeprof has the device now" in error["what"]
    assert "eve@lab (edgeprof run other)" in error["what"]
    assert "--wait" in error["hint"]
    processes.await_end(agent)
    assert len(scene.kept()) == 1, "the round that ran as the lease was lost does not count"
    assert json.loads(scene.lease.read_bytes())["fence"] == taken, "the lease of the other is left alone"
    scene.lease.unlink()
    again = scene.profile(rounds=2).end()
    scene.check(again, rounds=2)
    assert len(scene.rounds.begun()) == 5
