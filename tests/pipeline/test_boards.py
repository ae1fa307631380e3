"""Several boards at once, over connections that only pretend: who works when, and what a fault ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from process_tools import await_value

from edgeprof.errors import DeviceBusyError, DeviceError, EdgeprofError, LinkError, UsageError
from edgeprof.pipeline.boards import At, Boards
from edgeprof.progress import Silent
from edgeprof.records import Device

TIMEOUT_S = 30.0


class Machines:
    """Stands in for all machines: who holds which, and every connection that was made."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.holders: dict[str, str | None] = {}
        self.open: set[str] = set()
        self.refused: list[str] = []
        self.connecting: dict[str, EdgeprofError] = {}
        self.kind = Connection

    def connect(self, device: Device, store: object, progress: object) -> Connection:
        if device.name in self.connecting:
            raise self.connecting[device.name]
        return self.kind(device, self)


class Connection:
    """As much of one as `Boards` itself uses. The device's host is its machine."""

    agent_sha = "a"

    def __init__(self, device: Device, machines: Machines) -> None:
        self.sites: dict[str, tuple[str, ...]] = {}
        self.name = device.name
        self.machine = device.host or "here"
        self.machines = machines
        self.interrupted = threading.Event()
        self.holds = False
        machines.open.add(self.name)

    def interrupt(self) -> None:
        self.interrupted.set()

    def hold(self, what: str, session: str, wait_s: float = 0.0) -> None:
        with self.machines.lock:
            if self.machines.holders.get(self.machine, session) != session:
                self.machines.refused.append(self.name)
                busy = DeviceBusyError("it is in use", where=self.name)
                busy.session = self.machines.holders[self.machine]
                raise busy
            self.machines.holders[self.machine] = session
            self.holds = True

    def close(self) -> None:
        with self.machines.lock:
            if self.holds:
                del self.machines.holders[self.machine]
        self.machines.open.discard(self.name)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Interruptible(Connection):
    """One that can be told, while its thread waits in it."""

    def interrupt(self) -> None:
        self.interrupted.set()


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.asked_in: list[threading.Thread] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def secret(self, prompt: str) -> str | None:
        self.asked_in.append(threading.current_thread())
        return prompt.upper()


class Fleet:
    """Devices by name and machine, and `Boards` over them."""

    def __init__(self, root: Path, machines: Machines) -> None:
        self.root = root
        self.machines = machines
        self.progress = Notes()

    def boards(self, *names: str, **hosts: str) -> Boards:
        ssh = {**{name: name for name in names}, **hosts}
        devices = [
            Device(name=name, transport="local")
            if host == "here"
            else Device(name=name, transport="ssh", host=host, known_hosts="-")
            for name, host in ssh.items()
        ]
        return Boards(self.root, devices, self.progress)


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    return pretended(tmp_path, monkeypatch)


def pretended(root: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    machines = Machines()
    monkeypatch.setattr("edgeprof.target.connect", machines.connect)
    monkeypatch.setattr("edgeprof.pipeline.shared.POLL_S", 0.05)
    return Fleet(root, machines)


def nothing(at: At) -> None:
    pass


def failing(name: str, error: BaseException) -> Callable[[At], str]:
    def step(at: At) -> str:
        if at.device.name == name:
            raise error
        return f"ranking of {at.device.name}"

    return step


def test_boards_work_at_the_same_time_and_answer_in_the_order_asked(fleet: Fleet) -> None:
    together = threading.Barrier(3, timeout=TIMEOUT_S)

    def step(at: At) -> str:
        together.wait()
        return at.device.name

    with fleet.boards("c", "a", "b") as boards:
        assert list(boards.reach(step)) == ["c", "a", "b"]
        assert list(boards.measure(step)) == ["c", "a", "b"]
        assert fleet.machines.open == set(), "each device is let go of as it is through"
    assert boards.failures == []


def test_this_machine_is_measured_last_and_by_one_device_at_a_time(fleet: Fleet) -> None:
    told: list[str] = []

    def step(at: At) -> None:
        if at.device.transport == "ssh":  # when both of the others wait for their turn
            await_value(lambda: len(boards.changed._waiters) == 2 or None)  # type: ignore[attr-defined]
        told.append(f"{at.device.name} begins")
        told.append(f"{at.device.name} ends")

    with fleet.boards(one="here", far="far", other="here") as boards:
        boards.reach(nothing)
        boards.measure(step)
    assert told[:2] == ["far begins", "far ends"]
    for place in (2, 4):
        assert told[place].split()[0] == told[place + 1].split()[0]


def test_two_names_of_one_machine_are_measured_one_after_the_other(fleet: Fleet) -> None:
    both = threading.Barrier(2, timeout=TIMEOUT_S)
    at_work: list[str] = []
    most: list[int] = []

    def step(at: At) -> str:
        both.wait()
        at.connection.hold("run", f"run of {at.device.name}")
        at_work.append(at.device.name)
        most.append(len(at_work))
        await_value(lambda: fleet.machines.refused or None)
        at_work.remove(at.device.name)
        return at.device.name

    with fleet.boards(pi="board", alias="board") as boards:
        boards.reach(nothing)
        assert set(boards.measure(step)) == {"pi", "alias"}
    assert most == [1, 1]
    assert len(fleet.machines.refused) == 1, "the other is waited for without asking again and again"
    assert boards.failures == []
    assert [note for note in fleet.progress.notes if note.endswith("it is in use; waiting for it")]


def test_a_board_on_which_a_stranger_measures_is_a_failure_and_the_others_go_on(fleet: Fleet) -> None:
    fleet.machines.holders["taken"] = "somebody else's run"

    def step(at: At) -> str:
        at.connection.hold("run", f"run of {at.device.name}", 0.0)
        return at.device.name

    with fleet.boards("taken", "free") as boards:
        boards.reach(nothing)
        assert boards.measure(step) == {"free": "free"}
    (failure,) = boards.failures
    assert (failure.stage, failure.identity.device, failure.error_class) == ("profile", "taken", "DeviceBusyError")
    assert failure.transient


def test_a_board_that_cannot_be_reached_is_a_failure_and_the_others_go_on(fleet: Fleet) -> None:
    fleet.machines.connecting["dead"] = LinkError("no route to host", where="dead", hint="is it on?")
    with fleet.boards("dead", "ill", "well") as boards:
        assert list(boards.reach(failing("ill", LinkError("gone", where="ill")))) == ["well"]
        assert boards.measure(lambda at: at.device.name) == {"well": "well"}
    assert [(one.stage, one.identity.label(), one.error, one.hint) for one in boards.failures] == [
        ("connect", "all models / dead", "no route to host", "is it on?"),
        ("connect", "all models / ill", "gone", None),
    ]
    assert sorted(fleet.progress.notes) == [
        "dead: failed, the others go on: no route to host",
        "ill: failed, the others go on: gone",
    ]


def test_where_none_can_be_reached_the_error_names_each(fleet: Fleet) -> None:
    for name in ("a", "b"):
        fleet.machines.connecting[name] = LinkError("refused", where=name, hint="is sshd there?")
    with (
        pytest.raises(DeviceError, match=r"none of the 2 devices .*: a: refused; b: refused") as caught,
        fleet.boards("a", "b") as boards,
    ):
        boards.reach(nothing)
    assert caught.value.hint == "is sshd there?"


def test_a_board_that_is_lost_in_the_middle_is_a_failure_and_the_others_go_on(fleet: Fleet) -> None:
    with fleet.boards("lost", "well") as boards:
        boards.reach(nothing)
        found = boards.measure(failing("lost", LinkError("the link broke", where="lost")))
    assert found == {"well": "ranking of well"}
    assert [(one.stage, one.identity.device) for one in boards.failures] == [("profile", "lost")]


def test_a_usage_error_of_all_boards_stays_one(fleet: Fleet) -> None:
    def step(at: At) -> None:
        raise UsageError("the file is no model")

    with fleet.boards("a", "b") as boards:
        boards.reach(nothing)
        with pytest.raises(UsageError, match="no model"):
            boards.measure(step)


def test_a_bug_on_one_board_is_raised_after_the_others_are_through(fleet: Fleet) -> None:
    done: list[str] = []

    def step(at: At) -> None:
        if at.device.name == "odd":
            raise ZeroDivisionError
        done.append(at.device.name)

    with fleet.boards("odd", "well") as boards:
        boards.reach(nothing)
        with pytest.raises(ZeroDivisionError):
            boards.measure(step)
    assert done == ["well"]


def test_ctrl_c_ends_boards_that_measure_or_wait_for_their_turn(tmp_path: Path) -> None:
    """In a process of its own: a signal to a thread that has used AMX can end it under some hypervisors."""
    path = {"PYTHONPATH": str(Path(__file__).parents[1])}
    words = [sys.executable, __file__, str(tmp_path)]
    done = subprocess.run(words, env=os.environ | path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def interrupt_a_fleet(fleet: Fleet) -> None:
    """Ctrl-C while one board measures and three wait."""
    fleet.machines.kind = Interruptible
    ended: list[str] = []

    def step(at: At) -> None:
        inner: Any = at.connection._inner
        at.connection.hold("run", f"run of {at.device.name}")
        await_value(lambda: len(boards.changed._waiters) == 3 or None)  # type: ignore[attr-defined]
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)
        try:
            assert inner.interrupted.wait(TIMEOUT_S)  # blocked in the link until it is told
            raise KeyboardInterrupt
        finally:
            ended.append(at.device.name)

    boards = fleet.boards(far="board", alias="board", one="here", other="here")

    def fleet_run() -> None:
        with boards:
            boards.reach(nothing)
            boards.measure(step)

    with pytest.raises(KeyboardInterrupt):
        fleet_run()
    assert ended in (["far"], ["alias"])
    assert (fleet.machines.open, fleet.machines.holders) == (set(), {})
    assert not {one.name for one in threading.enumerate()} & {"far", "alias", "one", "other"}


def test_a_board_that_cannot_be_interrupted_ends_at_the_next_line_of_its_progress(fleet: Fleet) -> None:
    def step(at: At) -> None:
        await_value(lambda: boards._stopped or None)
        at.progress.advance("profile")
        raise AssertionError("it went on")

    boards = fleet.boards("a")
    with boards:
        boards.reach(nothing)
        boards._boards[0].steps.put(step)
    assert isinstance(boards._boards[0].error, KeyboardInterrupt)
    assert not boards._boards[0].thread.is_alive()
    assert fleet.machines.open == set()


def test_secrets_are_asked_by_the_main_thread(fleet: Fleet) -> None:
    with fleet.boards("a", "b") as boards:
        told = boards.reach(lambda at: at.progress.secret(f"password of {at.device.name}: "))
    assert told == {"a": "PASSWORD OF A: ", "b": "PASSWORD OF B: "}
    assert set(fleet.progress.asked_in) == {threading.main_thread()}


def test_notes_carry_the_name_of_their_board_once(fleet: Fleet) -> None:
    def step(at: At) -> None:
        at.progress.note("taking up run r1")
        at.progress.note("pi: the link is back")

    with fleet.boards("pi") as boards:
        boards.reach(step)
    assert fleet.progress.notes == ["pi: taking up run r1", "pi: the link is back"]


def test_what_a_device_says_cannot_steer_the_terminal(fleet: Fleet) -> None:
    fleet.machines.connecting["evil"] = LinkError("\x1b[2Jall is well", where="evil", hint="\x07")
    with fleet.boards("evil", "well") as boards:
        boards.reach(nothing)
    assert boards.failures[0].error.isprintable()
    assert (boards.failures[0].hint or "").isprintable()


if __name__ == "__main__":
    # Python leaves SIGINT ignored where the shell that began all this did.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.MonkeyPatch.context() as patches:
        interrupt_a_fleet(pretended(Path(sys.argv[1]), patches))
