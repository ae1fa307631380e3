"""A session outlives whoever started it, ends as told, and leaves neither a process, a lock nor a lease behind."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import process_tools as processes
import pytest
import session_tools
import tiny_models
from session_tools import Device, Event

from edgeprof.agent import locks, session, spool
from edgeprof.agent.detached import Session
from edgeprof.agent.lease import Lease
from edgeprof.agent.processes import boottime
from edgeprof.agent.refusal import Refused


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    made = Device(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tiny_models.stand_in(tmp_path)))
    yield made
    made.close()


class Control:
    """A control agent, as a host starts one over an SSH channel."""

    def __init__(self, device: Device) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(device.program), "serve", "--workdir", str(device.workdir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def ask(self, call: str, **words: Any) -> Event:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"call": call, **words}).encode() + b"\n")
        self.process.stdin.flush()
        event: Event = json.loads(self.process.stdout.readline())
        return event

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


def worker(device: Device, name: str = "run-1") -> int:
    """The process that measures, once there is one."""
    return processes.await_value(lambda: next(iter(processes.children(device.pid(name))), None))


def last_spool(device: Device) -> list[Event]:
    """The whole lines of the last call's spool."""
    place = str(device.place())
    data = Path(spool.spool_path(place, spool.last_call(place))).read_bytes()
    return [json.loads(line) for line in data.splitlines(keepends=True) if line.endswith(b"\n")]


def await_gone(device: Device, name: str = "run-1") -> None:
    processes.await_value(lambda: True if spool.gone(str(device.place(name))) else None)


def agents(device: Device, mode: str) -> list[int]:
    """The living processes of the device's agent in a mode."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if str(device.program).encode() in words and mode.encode() in words:
                found.append(int(path.parent.name))
    return [pid for pid in found if processes.alive(pid)]


def later(device: Device) -> Lease:
    """The lease when all that is held now has run out."""
    return Lease(str(device.leases), lambda: boottime() + 100_000)


@pytest.mark.parametrize("how", ["its stdin closes", "SIGKILL of its group", "SIGHUP to its group"])
def test_it_outlives_the_agent_that_started_it(device: Device, how: str) -> None:
    """And that agent's channel closes: nothing of the session holds it open."""
    control = Control(device)
    where = str(device.leases)
    fence = control.ask("take", owner="ana@desk", what="edgeprof run", session="run-1", lease=where)["fence"]
    told = control.ask("start", name="run-1", fence=fence, lease=where, linger_s=600, state={})
    assert told == {"event": "session", "alive": True, "calls": 0}
    pid = device.pid()
    assert control.process.stdin is not None
    if how.startswith("SIG"):
        os.killpg(control.process.pid, signal.Signals[how.split()[0]])
    control.process.stdin.close()
    control.process.wait(20)
    for pipe in (control.process.stdout, control.process.stderr):
        assert pipe is not None
        assert select.select([pipe], [], [], 20)[0]
        assert pipe.read() == b""
    control.close()
    os.kill(pid, signal.SIGHUP)
    follower = device.follow()
    follower.say({"call": "hello", "number": 1})
    assert follower.until("hello")[-1]["protocol"] >= 3
    assert device.pid() == pid
    assert os.getpgid(pid) == os.getsid(pid) == pid
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    holder = device.lease.holder()
    assert holder is not None
    assert holder["alive"]


def test_calls_are_answered_in_turn_and_the_end_leaves_nothing(device: Device) -> None:
    assert device.start() == {"event": "session", "alive": True, "calls": 0}
    pid = device.pid()
    follower = device.follow()
    assert follower.hear()["alive"]
    follower.say({**device.plan("echo", 2), "number": 1})
    events = follower.until("done")
    assert [one["event"] for one in events] == ["start", "round", "start", "round", "done"]
    assert (device.place() / "call-000001.json").exists()
    follower.say({"call": "fly", "number": 2})
    assert follower.until("error")
    assert not list(device.place().glob("*-000001.json*"))
    assert session.look(str(device.workdir), "run-1") == {"event": "session", "alive": True, "calls": 2}
    follower.say({"call": "end", "number": 3})
    assert follower.until("gone")[-1]["why"] == "ended"
    processes.await_end(pid)
    assert list(device.place().parent.iterdir()) == []
    assert device.lease.holder() is None
    assert session.look(str(device.workdir), "run-1") == {"event": "session", "alive": False, "calls": 0}


def test_one_that_is_alive_is_told_of_not_started_again(device: Device) -> None:
    device.start()
    pid = device.pid()
    assert device.start()["alive"]
    assert device.pid() == pid


def test_of_two_that_start_it_at_once_both_find_the_same_one(device: Device) -> None:
    fence = device.lease.take("ana@desk", "edgeprof run", "run-1", os.getpid(), 60.0)
    both = [Control(device), Control(device)]
    for control in both:
        assert control.process.stdin is not None
        words = {"fence": fence, "lease": str(device.leases), "linger_s": 600, "state": {}}
        control.process.stdin.write(json.dumps({"call": "start", "name": "run-1", **words}).encode() + b"\n")
        control.process.stdin.flush()
    for control in both:
        assert control.process.stdout is not None
        assert json.loads(control.process.stdout.readline()) == {"event": "session", "alive": True, "calls": 0}
        control.close()
        control.process.wait(20)
    assert agents(device, "session") == [device.pid()]


def test_an_old_number_starts_nothing(device: Device) -> None:
    fence = device.lease.take("ana@desk", "edgeprof run", "run-1", os.getpid(), 60.0)
    device.lease.release(fence)
    device.lease.take("ben@ci", "edgeprof run", "run-2", os.getpid(), 60.0)
    with pytest.raises(Refused) as refused:
        session.start(str(device.workdir), "run-1", str(device.program), fence, str(device.leases), 600.0, {})
    assert refused.value.kind == "lease_lost"
    assert not device.place().exists()


@pytest.mark.parametrize("name", ["", ".", "..", ".x", "a/b", "../x", "a b", "a\n", "x" * 81, "ä"])
def test_a_name_that_could_be_a_path_is_refused(device: Device, name: str) -> None:
    for act in (session.look, session.stop, session.drop):
        with pytest.raises(Refused, match="no session's name"):
            act(str(device.workdir), name)


@pytest.mark.parametrize("when", ["idle", "in a round"])
def test_killed_it_leaves_no_process_lock_or_lease_and_its_spool_can_be_had(device: Device, when: str) -> None:
    device.start()
    follower = device.follow()
    measuring = None
    if when == "in a round":
        follower.say({**device.plan("hang", 2), "number": 1})
        follower.until("start")
        measuring = worker(device)
    else:
        follower.say({"call": "hello", "number": 1})
        follower.until("hello")
    process = device.pid()
    os.kill(process, signal.SIGKILL)
    assert follower.until("gone")[-1]["why"] == "killed"
    processes.await_end(process)  # its lock goes a moment before it does
    if measuring:
        processes.await_end(measuring)
    assert session.look(str(device.workdir), "run-1") == {"event": "session", "alive": False, "calls": 1}
    device.lease.take("ben@ci", "edgeprof run", "run-2", os.getpid(), 60.0)
    again = device.follow()
    assert again.until("gone")[0]["calls"] == 1
    assert again.received == follower.received != b""


def test_after_a_kill_the_next_goes_on_counting_and_does_no_old_call(device: Device) -> None:
    device.start()
    follower = device.follow()
    follower.say({**device.plan("hang", 1), "number": 1})
    follower.until("start")
    os.kill(device.pid(), signal.SIGKILL)
    follower.until("gone")
    (device.place() / "call-000002.json").write_text('{"call": "hello"}')
    (device.place() / ".call-000003.json.part").write_text('{"call": "he')
    (device.place() / "end").touch()
    assert device.start() == {"event": "session", "alive": True, "calls": 2}
    processes.await_value(lambda: None if list(device.place().glob("*-00000[12].*")) else True)
    follower = device.follow()
    assert follower.hear()["calls"] == 2
    follower.say({"call": "hello", "number": 3})
    assert [one["event"] for one in follower.until("hello")] == ["hello"]


def test_whoever_starts_it_may_be_killed_at_any_moment(device: Device) -> None:
    chance = random.Random(5)
    for number in range(8):
        child = os.fork()
        if child == 0:
            try:
                device.start()
            finally:
                os._exit(0)
        time.sleep(chance.uniform(0.0, 0.15))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert device.start()["alive"]
        follower = device.follow()
        calls = follower.hear()["calls"]
        follower.say({"call": "hello", "number": calls + 1})
        follower.until("hello")
        processes.await_value(lambda: True if agents(device, "session") == [device.pid()] else None)
        if number % 2:
            os.kill(device.pid(), signal.SIGKILL)
            follower.until("gone")


def test_killed_at_any_moment_of_a_measurement_it_leaves_whole_lines_and_no_process(device: Device) -> None:
    chance, kept = random.Random(6), []
    for _ in range(6):
        calls = device.start()["calls"]
        follower = device.follow()
        follower.say({**device.plan("echo", 50), "number": calls + 1})
        follower.until("start")
        time.sleep(chance.uniform(0.0, 0.7))
        os.kill(device.pid(), signal.SIGKILL)
        events = follower.until("gone")
        assert events[-1]["why"] == "killed"
        kept.append([one["round"] for one in events if one["event"] == "round"])
        processes.await_value(lambda: None if agents(device, "worker") else True)
        assert device.lease.holder() is None or not device.lease.holder()["alive"]  # type: ignore[index]
    assert all(rounds == list(range(len(rounds))) for rounds in kept)


def test_a_worker_killed_for_memory_is_tried_once_more(device: Device, tmp_path: Path) -> None:
    device.start()
    follower = device.follow()
    follower.say({**device.plan(f"hang {tmp_path / 'pids'}", 1), "number": 1})
    follower.until("start")
    first = worker(device)
    os.kill(first, signal.SIGKILL)
    follower.until("start")
    second = processes.await_value(
        lambda: next((one for one in processes.children(device.pid()) if one != first), None)
    )
    os.kill(second, signal.SIGKILL)
    failed = follower.until("failed")[-1]
    assert (failed["error_class"], failed["transient"]) == ("crash", True)
    assert "out of memory?" in failed["message"]
    assert follower.hear()["event"] == "done"


def test_a_call_that_is_no_call_is_answered(device: Device) -> None:
    """As a disk that was full or a power cut leave one; whole calls come only by a rename."""
    device.start()

    def answered(number: int) -> None:
        path = Path(spool.spool_path(str(device.place()), number))
        processes.await_value(lambda: True if path.exists() and last_spool(device) else None)

    for number, text in enumerate(("", '{"call": "mea', "[1]", "\0\0"), 1):
        path = Path(spool.call_path(str(device.place()), number))
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").rename(path)
        spool.poke(str(device.place()))
        answered(number)
        assert [one["event"] for one in last_spool(device)] == ["error"]
    assert session.look(str(device.workdir), "run-1")["alive"]


def test_the_end_stops_a_round_at_once(device: Device) -> None:
    """The host need not wait for what it does not want any more."""
    device.start()
    follower = device.follow()
    follower.say({**device.plan("hang", 3), "number": 1})
    follower.until("start")
    measuring = worker(device)
    pid = device.pid()
    session.stop(str(device.workdir), "run-1")
    processes.await_end(measuring)
    processes.await_end(pid)
    assert follower.until("gone")[-1]["why"] == "ended"
    assert device.lease.holder() is None
    assert not device.place().exists()
    session.stop(str(device.workdir), "run-1")


def test_only_a_session_that_has_ended_can_be_dropped(device: Device) -> None:
    device.start()
    pid = device.pid()
    workdir = str(device.workdir)
    assert session.drop(workdir, "run-1") == {"event": "session", "alive": True, "calls": 0}
    assert device.pid() == pid
    os.kill(pid, signal.SIGKILL)
    await_gone(device)
    assert not session.drop(workdir, "run-1")["alive"]
    assert not device.place().exists()
    assert not session.drop(workdir, "run-1")["alive"], "what is not there is no matter"


def test_told_to_terminate_it_gives_the_lease_back(device: Device) -> None:
    device.start()
    follower = device.follow()
    follower.say({**device.plan("hang", 3), "number": 1})
    follower.until("start")
    measuring = worker(device)
    os.kill(device.pid(), signal.SIGTERM)
    follower.until("gone")
    processes.await_end(measuring)
    assert device.lease.holder() is None


@contextlib.contextmanager
def as_follower(device: Device) -> Iterator[None]:
    """Hold what a follower holds, from before there is a session."""
    device.place().mkdir(parents=True)
    with locks.locked(str(device.place() / "follower"), 0.0) as ours:
        assert ours
        yield


def give(device: Device, number: int, call: Event) -> list[Event]:
    """Hand over a call as a follower does; its events up to `done`."""
    place = str(device.place())
    locks.replace(spool.call_path(place, number), json.dumps(call).encode())
    spool.poke(place)

    def done() -> list[Event] | None:
        path = Path(spool.spool_path(place, number))
        events = last_spool(device) if path.exists() else []
        return events if events and events[-1]["event"] in ("done", "hello") else None

    return processes.await_value(done)


def test_without_a_host_it_ends_after_a_while_and_keeps_what_was_measured(device: Device) -> None:
    with as_follower(device):
        device.start(linger_s=0.05)
        for number in range(1, 4):  # while it is followed it stays
            give(device, number, {"call": "hello"})
        measured = give(device, 4, device.plan("echo", 1))
    await_gone(device)
    assert device.lease.holder() is None
    again = device.follow()
    events = again.until("gone")
    assert events[1:-1] == measured
    assert [one["event"] for one in events] == ["attached", "start", "round", "done", "gone"]
    assert events[-1]["why"] == "ended"
    assert session.look(str(device.workdir), "run-1") == {"event": "session", "alive": False, "calls": 4}


def test_one_whose_lease_was_taken_says_so_and_ends(device: Device) -> None:
    device.start()
    follower = device.follow()
    follower.until("attached")
    later(device).take("ben@ci", "edgeprof compare", "run-2", os.getpid(), 1e6)
    spool.poke(str(device.place()))
    refused, gone = follower.until("gone")
    assert (refused["event"], refused["kind"]) == ("refused", "lease_lost")
    assert "ben@ci" in refused["message"]
    assert gone["why"] == "ended"
    assert device.place().exists()
    holder = device.lease.holder()
    assert holder is not None
    assert holder["session"] == "run-2"


def test_what_it_measured_while_another_had_the_lease_is_not_kept(device: Device) -> None:
    """It was stopped, or the board asleep, until the lease ran out: another may measure at the same time."""
    device.start()
    follower = device.follow()
    follower.say({**device.plan("slow", 3), "number": 1})
    follower.until("start")
    os.kill(device.pid(), signal.SIGSTOP)
    later(device).take("ben@ci", "edgeprof compare", "run-2", os.getpid(), 1e6)
    os.kill(device.pid(), signal.SIGCONT)
    events = follower.until("gone")
    assert [one.get("kind", one["event"]) for one in events] == ["lease_lost", "gone"]


def test_one_that_lost_its_lease_is_started_anew_with_the_new_number(device: Device) -> None:
    device.start()
    pid = device.pid()
    other = later(device).take("ben@ci", "edgeprof compare", "run-2", os.getpid(), 1e6)
    device.lease.release(other)
    assert device.start()["alive"]
    assert device.pid() != pid
    processes.await_end(pid)


def test_a_workdir_that_cannot_be_written_is_named() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        workdir, leases = os.path.join(folder, "workdir"), os.path.join(folder, "leases")
        os.mkdir(workdir, 0o555)
        os.mkdir(leases)
        os.chmod(leases, 0o777)

        def start() -> Any:
            fence = Lease(leases).take("ana@desk", "edgeprof run", "run-1", os.getpid(), 60.0)
            return session.start(workdir, "run-1", "agent", fence, leases, 600.0, {})

        with pytest.raises(Refused, match="workdir/sessions") as refused:
            session_tools.as_other_user(start)
    assert refused.value.kind == "read_only"


def test_an_agent_that_cannot_start_says_why(device: Device) -> None:
    device.program.write_text("import sys; sys.exit('no such luck')")
    with pytest.raises(Refused, match="did not start: no such luck"):
        device.start()


@pytest.mark.parametrize("written", [0, 10])
def test_a_full_disk_is_told_and_leaves_no_half_line(
    device: Device, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """Space for saying so is kept from the beginning."""
    device.place().mkdir(parents=True)
    asked = {"program": "x", "fence": 1, "lease": None, "linger_s": 1, "root": "/", "state": {}}
    (device.place() / "ask.json").write_text(json.dumps(asked))
    one = Session(str(device.place()), str(device.workdir))
    one.emit({"event": "start"})
    writes, reserve = os.write, device.place() / "reserve"
    assert reserve.stat().st_size > 0

    def full(descriptor: int, data: bytes) -> int:
        if not reserve.exists():
            return writes(descriptor, data)
        if written and len(data) > written:
            return writes(descriptor, data[:written])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def answer(*given: Any) -> None:
        one.emit({"event": "start", "long": "x" * 100})

    monkeypatch.setattr(os, "write", full)
    monkeypatch.setattr("edgeprof.agent.main.answer", answer)
    monkeypatch.setattr(one.lease, "renew", lambda *given: None)
    one.wake = None  # type: ignore[assignment]
    (device.place() / "call-000000.json").write_text('{"call": "hello"}')
    one._carry_out(None)  # type: ignore[arg-type]
    told = last_spool(device)[-1]
    assert (told["event"], told["kind"]) == ("refused", "disk_full")
    assert "No space left" in told["message"]
    assert (device.place() / "spool-000000.jsonl").read_bytes().count(b"\n") == 2
