"""What the host gets of a session is its spool, no line lost and none twice, whatever ends: link, follower or agent."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import process_tools as processes
import pytest
import tiny_models
from session_tools import Device, Event, Follower

from edgeprof.agent import spool
from edgeprof.agent.processes import boot_id, started


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    made = Device(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tiny_models.stand_in(tmp_path)))
    yield made
    made.close()


BLIND = "follow.changes = lambda folder: None"
"""Where the kernel tells of no changes."""

AGENT = """
import fcntl, os, random, sys, time
place, seed, lines = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
lock = os.open(place + "/lock", os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
print("ready", flush=True)
chance = random.Random(seed)
out = os.open(place + "/spool-000001.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for number in range(lines):
    line = b'{"event": "%d", "long": "%s"}\\n' % (number, b"x" * chance.choice([0, 10, 5000, 300000]))
    while line:
        size = chance.randint(1, 100000)
        os.write(out, line[:size])
        line = line[size:]
        if chance.random() < 0.3:
            time.sleep(0.01)
sys.stdin.read()
"""
"""What a session does to its folder, with lines written in pieces as no real one does."""


@contextlib.contextmanager
def pretended(device: Device, seed: int, lines: int) -> Iterator[subprocess.Popen[str]]:
    place = device.place()
    place.mkdir(parents=True)
    command = [sys.executable, "-c", AGENT, str(place), str(seed), str(lines)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        agent.stdout.readline()
        noted = {"pid": agent.pid, "started": started(agent.pid), "boot": boot_id(), "calls": 1}
        (place / "session.json").write_text(json.dumps(noted))
        try:
            yield agent
        finally:
            agent.kill()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("before", ["", BLIND], ids=["inotify", "blind"])
def test_cut_off_at_any_byte_and_taken_up_again_it_is_exactly_the_spool(device: Device, seed: int, before: str) -> None:
    chance, kept, cuts = random.Random(seed), b"", 0
    with pretended(device, seed, 60) as agent:
        while b'"59"' not in kept:
            follower = device.follow(call=1, offset=len(kept), before=before)
            # The host has some bytes when the link goes: whole lines count, the rest is asked for again.
            assert follower.hear()["calls"] == 1
            assert follower.process.stdout is not None
            data, wanted = follower.pending, chance.choice([0, 100, 7000, 400_000])
            while len(data) < wanted and b'"59"' not in data:
                data += os.read(follower.process.stdout.fileno(), min(1 << 16, wanted - len(data)))
            follower.close()
            kept += data[: data.rfind(b"\n") + 1]
            cuts += 1
        assert agent.stdin is not None
        agent.stdin.close()
        agent.wait(20)
    last = device.follow(call=1, offset=len(kept))
    last.until("gone")
    kept += last.received
    assert cuts > 1
    assert kept == (device.place() / "spool-000001.jsonl").read_bytes()
    assert [json.loads(line)["event"] for line in kept.splitlines()] == [str(number) for number in range(60)]


def test_pongs_never_come_within_a_line(device: Device) -> None:
    with pretended(device, 1, 60):
        follower = device.follow(call=1)
        pongs, events = 0, 0
        while events < 60:
            if events % 5 == 0:
                follower.say({"ping": events})
            heard = follower.hear()
            pongs += heard["event"] == "pong"
            events += "control" not in heard
        while not pongs:
            pongs += follower.hear()["event"] == "pong"
        assert follower.received == (device.place() / "spool-000001.jsonl").read_bytes()


@pytest.mark.parametrize("before", ["", BLIND], ids=["inotify", "blind"])
def test_a_half_line_of_one_that_was_killed_is_not_sent(device: Device, before: str) -> None:
    with pretended(device, 1, 3) as agent:
        follower = device.follow(call=1, before=before)
        while follower.hear()["event"] != "2":
            pass
        with (device.place() / "spool-000001.jsonl").open("ab") as file:
            file.write(b'{"event": "round", "sampl')
        agent.kill()
        assert follower.hear() == {"event": "gone", "why": "killed", "control": True}
        assert follower.process.wait(20) == 0
    assert follower.received.endswith(b"\n")


def test_a_device_that_was_restarted_says_so_and_what_was_spooled_is_kept(device: Device) -> None:
    with pretended(device, 2, 3) as agent:
        device.follow(call=1).until("2")
        agent.kill()
    noted = json.loads((device.place() / "session.json").read_text())
    (device.place() / "session.json").write_text(json.dumps({**noted, "boot": "another"}))
    follower = device.follow(call=1)
    events = follower.until("gone")
    assert events[0] == {
        "event": "attached", "call": 1, "calls": 1, "alive": False, "boot": boot_id(), "control": True,
    }  # fmt: skip
    assert events[-1]["why"] == "restarted"
    assert follower.received == (device.place() / "spool-000001.jsonl").read_bytes()
    # What a power cut took of it after the host had it already is nothing to send.
    assert [one["event"] for one in device.follow(call=1, offset=10_000_000).until("gone")] == ["attached", "gone"]


def test_a_session_that_never_was_has_ended(device: Device) -> None:
    attached, gone = device.follow(name="run-9").until("gone")
    assert (attached["call"], attached["calls"], attached["alive"], gone["why"]) == (0, 0, False, "ended")
    assert not device.place("run-9").exists()


@pytest.mark.parametrize("stopped", [False, True])
def test_a_newer_follower_ends_the_older_whose_link_is_dead(device: Device, stopped: bool) -> None:
    with pretended(device, 3, 5):
        older = device.follow(call=1)
        older.until("4")
        if stopped:
            older.process.send_signal(signal.SIGSTOP)
        newer = device.follow(call=1)
        newer.until("4")
        assert older.process.wait(20) == -signal.SIGKILL
        assert newer.received == older.received
        newer.say({"ping": 1})
        assert newer.until("pong")


def test_a_stale_number_in_the_followers_file_ends_nobody(device: Device) -> None:
    with pretended(device, 3, 1) as agent:
        (device.place() / "follower").write_text(json.dumps({"pid": agent.pid, "started": "1"}))
        device.follow(call=1).until("0")
        assert agent.poll() is None


def test_a_call_sent_twice_after_a_drop_counts_once(device: Device) -> None:
    device.start()
    call = {**device.plan("echo", 2), "number": 1}
    first = device.follow()
    first.say(call)
    first.until("start")
    first.close()
    second = device.follow(call=1, offset=0)
    second.say(call)
    assert [one["event"] for one in second.until("done")[1:]] == ["start", "round", "start", "round", "done"]
    second.say(call)
    second.say({"call": "hello", "number": 2})
    assert [one["event"] for one in second.until("hello")] == ["hello"]


def test_a_call_that_came_with_the_first_line_is_not_overlooked(device: Device) -> None:
    device.start()
    follower = Follower(device, "run-1")
    assert follower.process.stdin is not None
    follower.process.stdin.write(b'{"call": 0, "offset": 0}\n{"call": "hello", "number": 1}\n{"ping": 7}\n')
    assert {one["event"] for one in (follower.hear(), follower.hear(), follower.hear())} == {
        "attached",
        "pong",
        "hello",
    }


@pytest.mark.parametrize("line", [b"nonsense", b"[]", b'{"call": "hello"}', b'{"call": "hello", "number": 3}'])
def test_what_is_no_next_call_is_refused_and_the_next_is_served(device: Device, line: bytes) -> None:
    device.start()
    follower = device.follow()
    follower.hear()
    assert follower.process.stdin is not None
    follower.process.stdin.write(line + b"\n")
    refused = follower.hear()
    assert (refused["event"], refused["kind"], refused["control"]) == ("refused", "other", True)
    follower.say({"call": "hello", "number": 1})
    assert follower.hear()["event"] == "hello"


@pytest.mark.parametrize("first", [b"", b"nonsense\n", b'{"call": "x"}\n', b'{"call": 1, "off'])
def test_a_host_that_does_not_say_what_to_follow_gets_nothing(device: Device, first: bytes) -> None:
    device.start()
    follower = Follower(device, "run-1")
    assert follower.process.stdin is not None
    follower.process.stdin.write(first)
    follower.process.stdin.close()
    told = follower.hear()
    assert told == {} or told["event"] == "refused"
    assert follower.process.wait(20) == (1 if told else 0)


@pytest.mark.parametrize("reading", [True, False])
def test_it_ends_with_its_host(device: Device, reading: bool) -> None:
    """Whether the host closes its end of calls or that of events."""
    with pretended(device, 1, 40) as agent:
        follower = device.follow(call=1)
        follower.until("0")
        pipe = follower.process.stdin if reading else follower.process.stdout
        assert pipe is not None
        pipe.close()
        if reading:
            while follower.hear():
                pass
        assert follower.process.wait(20) == 0
        assert agent.poll() is None


def test_nothing_is_lost_of_a_real_measurement_whose_followers_are_killed(device: Device) -> None:
    """The host takes up at the bytes it has; the device measures on meanwhile."""
    device.start()
    chance, kept = random.Random(4), b""
    first = device.follow()
    first.say({**device.plan("echo", 6), "number": 1})
    first.until("start")
    first.close()
    kept += first.received
    while b'"done"' not in kept:
        follower = device.follow(call=1, offset=len(kept))
        for _ in range(chance.randint(1, 4)):
            if follower.hear()["event"] == "done":
                break
        kept += follower.received
        follower.process.kill()
    assert kept == Path(spool.spool_path(str(device.place()), 1)).read_bytes()
    events: list[Event] = [json.loads(line) for line in kept.splitlines()]
    assert [one["round"] for one in events if one["event"] == "round"] == list(range(6))


def test_it_sleeps_while_the_device_measures(device: Device) -> None:
    """It would take time from what is measured: between two events it is not scheduled at all."""
    device.start()
    follower = device.follow()
    follower.say({**device.plan("slow", 1), "number": 1})
    follower.until("start")

    def wakes() -> int:
        lines = Path(f"/proc/{follower.process.pid}/status").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)

    # The folder's own changes are over once the process that measures is there.
    worker = processes.await_value(lambda: next(iter(processes.children(device.pid())), None))
    before, until = wakes(), time.monotonic() + 0.5
    while time.monotonic() < until and processes.alive(worker):
        time.sleep(0.02)
    assert wakes() <= before + 2
    follower.until("round")
