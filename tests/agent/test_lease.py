"""One measurement at a time on a board, whoever asks: no two have the lease, and an old holder is refused."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import session_tools
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edgeprof.agent import lease as leases
from edgeprof.agent import locks, processes
from edgeprof.agent.lease import Lease
from edgeprof.agent.refusal import Refused

ANA, BEN = ("ana@desk", "edgeprof run --device pi", "run-1"), ("ben@ci", "edgeprof compare", "run-2")


class Clock:
    """Seconds since a start that never was."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lease(tmp_path: Path, clock: Clock) -> Lease:
    return Lease(str(tmp_path), clock)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as running:
        yield running
        running.kill()


def kind(do: Any, *arguments: Any) -> str:
    """The kind of the refusal; empty when it is done."""
    try:
        do(*arguments)
    except Refused as refusal:
        return refusal.kind
    return ""


def test_a_second_one_is_refused_and_told_who_has_it(lease: Lease) -> None:
    fence = lease.take(*ANA, os.getpid(), 90.0)
    with pytest.raises(Refused) as refused:
        lease.take(*BEN, os.getpid(), 90.0)
    assert refused.value.kind == "busy"
    assert "in use by ana@desk (edgeprof run --device pi, session run-1), for 90 s unless renewed" in str(refused.value)
    names = {"owner": "ana@desk", "what": "edgeprof run --device pi", "session": "run-1", "fence": fence}
    assert refused.value.holder == {**names, "expires_in_s": 90.0, "alive": True}
    lease.check(fence)


def test_its_holder_gives_it_back(lease: Lease) -> None:
    first = lease.take(*ANA, os.getpid(), 90.0)
    lease.release(first)
    assert lease.holder() is None
    second = lease.take(*BEN, os.getpid(), 90.0)
    assert second > first
    lease.release(first)
    lease.check(second)


def test_the_same_session_takes_it_again_with_the_same_number(lease: Lease, process: subprocess.Popen[bytes]) -> None:
    """The host was killed and started again; then the detached session and its control agent both hold it."""
    fence = lease.take(*ANA, process.pid, 90.0)
    assert lease.take(*ANA, os.getpid(), 90.0) == fence
    lease.leave(fence, os.getpid())
    assert kind(lease.take, *BEN, os.getpid(), 90.0) == "busy"
    process.kill()
    process.wait()
    assert kind(lease.take, *BEN, os.getpid(), 90.0) == ""


def test_whoever_knows_its_number_takes_it_again_for_another_session(lease: Lease) -> None:
    fence = lease.take(*ANA, os.getpid(), 90.0)
    assert kind(lease.take, *BEN, os.getpid(), 90.0, fence - 1) == "busy"
    assert lease.take(ANA[0], ANA[1], "run-3", os.getpid(), 90.0, fence) == fence
    lease.release(fence)
    assert lease.take(*BEN, os.getpid(), 90.0, fence) > fence


def test_the_last_process_of_a_session_gives_it_back(lease: Lease, process: subprocess.Popen[bytes]) -> None:
    fence = lease.take(*ANA, os.getpid(), 90.0)
    lease.renew(fence, process.pid, 90.0)
    lease.leave(fence, process.pid)
    lease.check(fence)
    lease.leave(fence, os.getpid())
    assert kind(lease.check, fence) == "lease_lost"


def test_another_owner_is_another_session_even_of_the_same_name(lease: Lease) -> None:
    lease.take(*ANA, os.getpid(), 90.0)
    assert kind(lease.take, "ben@ci", ANA[1], ANA[2], os.getpid(), 90.0) == "busy"


@pytest.mark.parametrize("reaped", [True, False])
def test_a_dead_holder_holds_nothing(lease: Lease, process: subprocess.Popen[bytes], reaped: bool) -> None:
    old = lease.take(*ANA, process.pid, 3600.0)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | (0 if reaped else os.WNOWAIT))
    holder = lease.holder()
    assert holder is not None
    assert not holder["alive"]
    assert lease.take(*BEN, os.getpid(), 90.0) > old
    assert kind(lease.renew, old, os.getpid(), 90.0) == "lease_lost"


def test_the_number_of_a_dead_process_given_to_another_is_not_its_holder(lease: Lease, tmp_path: Path) -> None:
    lease.take(*ANA, os.getpid(), 90.0)
    path = tmp_path / leases.NAME
    path.write_text(path.read_text().replace(str(processes.started(os.getpid())), "1"))
    assert kind(lease.take, *BEN, os.getpid(), 90.0) == ""


def test_a_process_that_proc_hides_is_believed_alive(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    lease.take(*ANA, os.getpid(), 90.0)
    monkeypatch.setattr(processes, "_stat", lambda pid: None)
    assert kind(lease.take, *BEN, os.getpid(), 90.0) == "busy"


def test_one_of_another_name_space_is_believed_alive(lease: Lease, process: subprocess.Popen[bytes]) -> None:
    """The numbers of a container's processes mean others here."""
    with mock.patch.object(processes, "space", return_value="pid:[1]"):
        lease.take(*ANA, process.pid, 90.0)
    process.kill()
    process.wait()
    assert kind(lease.take, *BEN, os.getpid(), 90.0) == "busy"


def test_it_runs_out_and_the_old_holder_is_told_by_whom_it_was_taken(lease: Lease, clock: Clock) -> None:
    old = lease.take(*ANA, os.getpid(), 90.0)
    clock.now += 89.0
    lease.renew(old, os.getpid(), 90.0)
    clock.now += 91.0
    lease.renew(old, os.getpid(), 90.0)  # nobody wanted it meanwhile
    clock.now += 91.0
    new = lease.take(*BEN, os.getpid(), 90.0)
    assert new > old
    with pytest.raises(Refused, match=r"taken over or ended by ben@ci \(edgeprof compare\)") as refused:
        lease.renew(old, os.getpid(), 90.0)
    assert refused.value.kind == "lease_lost"
    assert kind(lease.check, old) == "lease_lost"
    lease.release(old)
    lease.check(new)


def test_after_a_restart_nobody_has_it_and_old_numbers_fit_nobody(tmp_path: Path, clock: Clock) -> None:
    """Also when the folder of the lease did not outlive the restart."""
    told = tmp_path / "proc/sys/kernel/random/boot_id"
    told.parent.mkdir(parents=True)
    told.write_text("one\n")
    lease = Lease(str(tmp_path), clock, root=str(tmp_path))
    old = lease.take(*ANA, os.getpid(), 90.0)
    told.write_text("two\n")
    clock.now = 7.0
    lease = Lease(str(tmp_path), clock, root=str(tmp_path))
    assert lease.holder() is None
    assert kind(lease.check, old) == "lease_lost"
    assert lease.take(*BEN, os.getpid(), 90.0) > old
    (tmp_path / leases.NAME).unlink()
    lease.take(*BEN, os.getpid(), 90.0)
    assert kind(lease.check, old) == "lease_lost"


def test_the_wall_clock_is_never_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A board without a battery starts in 1970 and jumps when it finds the time."""

    def never() -> float:
        raise AssertionError

    monkeypatch.setattr(time, "time", never)
    lease = Lease(str(tmp_path))
    fence = lease.take(*ANA, os.getpid(), 90.0)
    lease.renew(fence, os.getpid(), 90.0)
    assert kind(lease.take, *BEN, os.getpid(), 90.0) == "busy"


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"nonsense",
        b"[]",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"fence": 4711000000, "boot": "b", "session": "s", "owner": "o", "what": "w"',
        b'{"fence": "1", "boot": "b", "session": "s", "owner": "o", "what": "w", "holders": []}',
        b'{"fence": 1, "boot": "b", "session": "s", "owner": "o", "what": "w", "holders": [1]}',
        b'{"fence": 1, "boot": "b", "session": "s", "owner": "o", "what": 3, "holders": []}',
    ],
    ids=range(9),
)
def test_a_damaged_file_is_no_lease_but_its_number_counts(lease: Lease, tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / leases.NAME
    path.write_bytes(damage)
    assert lease.holder() is None
    assert kind(lease.check, 4711000000) == "lease_lost"
    fence = lease.take(*ANA, os.getpid(), 90.0)
    lease.check(fence)
    assert fence > (4711000000 if b"4711" in damage else 0)


def test_an_endless_lease_is_damage(lease: Lease, tmp_path: Path) -> None:
    lease.take(*ANA, os.getpid(), 90.0)
    path = tmp_path / leases.NAME
    path.write_text(path.read_text().replace('"expires": 190.0', '"expires": Infinity'))
    assert lease.holder() is None


def test_a_link_is_not_followed(lease: Lease, tmp_path: Path) -> None:
    """Anyone may put one into a shared folder, and root would write where it points."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / leases.NAME).symlink_to(victim)
    with pytest.raises(Refused, match="symbolic link; remove it: rm ") as refused:
        lease.take(*ANA, os.getpid(), 90.0)
    assert refused.value.kind == "damaged"
    (tmp_path / leases.NAME).unlink()
    (tmp_path / leases.NAME).hardlink_to(victim)
    assert kind(lease.take, *ANA, os.getpid(), 90.0) == "damaged"
    assert victim.read_text() == "precious"


def test_what_is_no_file_is_refused(lease: Lease, tmp_path: Path) -> None:
    path = tmp_path / leases.NAME
    os.mkfifo(path)
    assert kind(lease.take, *ANA, os.getpid(), 90.0) == "damaged"
    path.unlink()
    path.mkdir()
    with pytest.raises(Refused, match=r"Is a directory: .*edgeprof\.lease"):
        lease.take(*ANA, os.getpid(), 90.0)


def test_a_folder_that_cannot_be_written_is_named() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        with pytest.raises(Refused, match=folder) as refused:
            session_tools.as_other_user(lambda: Lease(folder).take(*ANA, os.getpid(), 90.0))
    assert refused.value.kind == "read_only"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be two users")
def test_it_holds_between_users() -> None:
    """Whoever made the file, with whatever umask, in a sticky folder as /tmp is."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o1777)
        before = os.umask(0o077)
        try:
            mine = Lease(folder).take(*ANA, os.getpid(), 90.0)
            with pytest.raises(Refused, match="ana@desk") as refused:
                session_tools.as_other_user(lambda: Lease(folder).take(*BEN, os.getpid(), 90.0))
            assert refused.value.kind == "busy"
            Lease(folder).release(mine)
            other = session_tools.as_other_user(lambda: Lease(folder).take(*BEN, os.getppid(), 90.0))
            assert kind(Lease(folder).take, *ANA, os.getpid(), 90.0) == "busy"
            Lease(folder).release(other)
            os.unlink(os.path.join(folder, leases.NAME))
            session_tools.as_other_user(lambda: Lease(folder).take(*BEN, os.getpid(), 90.0))
            assert Lease(folder).take(*ANA, os.getpid(), 90.0) > other
            assert stat.S_IMODE(os.stat(os.path.join(folder, leases.NAME)).st_mode) == 0o666
        finally:
            os.umask(before)


def test_a_file_that_is_there_is_never_opened_to_be_made(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    """fs.protected_regular forbids O_CREAT on others' files in /tmp, even to root."""
    fence = lease.take(*ANA, os.getpid(), 90.0)
    flags = []
    opens = os.open

    def noting(path: str, flag: int, *rest: int) -> int:
        flags.append(flag)
        return opens(path, flag, *rest)

    monkeypatch.setattr(os, "open", noting)
    lease.renew(fence, os.getpid(), 90.0)
    assert flags
    assert not any(flag & os.O_CREAT for flag in flags)


def test_it_is_wherever_it_is_else_in_the_first_folder_that_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user who may not write /run/lock made it in /tmp: root must find it there."""
    absent, first, second = (tmp_path / name for name in ("absent", "first", "second"))
    second.mkdir()
    monkeypatch.setattr(leases, "FOLDERS", (str(absent), str(first), str(second)))
    Lease(None).take(*ANA, os.getpid(), 90.0)
    assert (second / leases.NAME).exists()
    first.mkdir()
    assert kind(Lease(None).take, *BEN, os.getpid(), 90.0) == "busy"
    (second / leases.NAME).unlink()
    Lease(None).take(*BEN, os.getpid(), 90.0)
    assert (first / leases.NAME).exists()


def test_a_file_removed_while_we_waited_for_it_is_not_taken_for_the_lease(
    lease: Lease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / leases.NAME
    tries: list[int] = []

    def removing(descriptor: int, timeout_s: float) -> bool:
        if not tries:
            path.unlink()
        tries.append(descriptor)
        return locks.acquire(descriptor, timeout_s)

    monkeypatch.setattr(leases, "acquire", removing)
    fence = lease.take(*ANA, os.getpid(), 90.0)
    assert json.loads(path.read_text())["fence"] == fence
    assert len(tries) == 2


def test_a_file_that_somebody_keeps_locked_is_not_waited_for_for_ever(
    lease: Lease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    fence = lease.take(*ANA, os.getpid(), 90.0)
    monkeypatch.setattr(leases, "WAIT_S", 0.05)
    with (tmp_path / leases.NAME).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Refused, match="locked"):
            lease.renew(fence, os.getpid(), 90.0)
    lease.renew(fence, os.getpid(), 90.0)


def test_another_users_words_cannot_steer_a_terminal(lease: Lease) -> None:
    lease.take("eve\x1b[2J@x", "w" * 5000 + "\n", "run-1", os.getpid(), 90.0)
    holder = lease.holder()
    assert holder is not None
    assert holder["owner"] == "eve?[2J@x"
    assert len(holder["what"]) == leases.TEXT_MAX


def test_of_many_at_once_one_gets_it(tmp_path: Path) -> None:
    """Processes, and the file is not there yet."""
    ready, go = os.pipe()
    children = []
    for number in range(8):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(ready, 1)
            got = kind(Lease(str(tmp_path)).take, "o@h", "w", f"run-{number}", os.getppid(), 90.0)
            os._exit({"": 0, "busy": 1}.get(got, 2))
        children.append(child)
    os.close(go)
    told = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    os.close(ready)
    assert sorted(told) == [0] + [1] * 7


def test_killed_at_any_moment_it_leaves_a_whole_lease(tmp_path: Path) -> None:
    lease, last = Lease(str(tmp_path)), 0
    for number in range(25):
        child = os.fork()
        if child == 0:
            while True:
                fence = lease.take("o@h", "w" * 200, f"run-{number}", os.getpid(), 90.0)
                lease.renew(fence, os.getpid(), 90.0)
                lease.release(fence)
        time.sleep(random.uniform(0.0, 0.01))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        data = (tmp_path / leases.NAME).read_bytes() if (tmp_path / leases.NAME).exists() else b""
        if data:
            assert json.loads(data)["fence"] >= last
            last = json.loads(data)["fence"]
    assert last > 0


class Sessions(RuleBasedStateMachine):
    """Several sessions and any order of what they and the board may do."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.boots = 0
        self.clock = Clock()
        self.dead: set[int] = set()
        self.fences: dict[int, int] = {}
        self.until: dict[int, float] = {}
        self.holder: int | None = None
        self.highest = 0
        self.patch = mock.patch.object(processes, "alive", lambda pid, began: pid not in self.dead)
        self.patch.start()
        self._boot()

    def teardown(self) -> None:
        if hasattr(self, "patch"):
            self.patch.stop()
            self.folder.cleanup()

    def _boot(self) -> None:
        path = Path(self.folder.name) / "proc/sys/kernel/random/boot_id"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(self.boots))
        self.lease = Lease(self.folder.name, self.clock, root=self.folder.name)

    def _valid(self) -> bool:
        one = self.holder
        return one is not None and one not in self.dead and self.until[one] > self.clock.now

    who = st.integers(1, 4)
    ttl = st.sampled_from([1.0, 30.0, 90.0])

    @rule(one=who, ttl=ttl)
    def take(self, one: int, ttl: float) -> None:
        self.dead.discard(one)
        refused = kind(lambda: self.fences.update({one: self._take(one, ttl)}))
        assert refused == ("busy" if self._valid() and self.holder != one else "")
        if not refused:
            if self.holder != one:
                assert self.fences[one] > self.highest
            self.highest = max(self.highest, self.fences[one])
            self.holder, self.until[one] = one, self.clock.now + ttl

    def _take(self, one: int, ttl: float) -> int:
        return self.lease.take("o@h", "w", f"run-{one}", one, ttl)

    @rule(one=who, ttl=ttl)
    def renew(self, one: int, ttl: float) -> None:
        if one in self.fences and one not in self.dead:
            refused = kind(self.lease.renew, self.fences[one], one, ttl)
            assert refused == ("" if self.holder == one else "lease_lost")
            if not refused:
                self.until[one] = self.clock.now + ttl

    @rule(one=who)
    def release(self, one: int) -> None:
        if one in self.fences:
            self.lease.release(self.fences[one])
            if self.holder == one:
                self.holder = None

    @rule(one=who)
    def die(self, one: int) -> None:
        self.dead.add(one)

    @rule(seconds=st.sampled_from([0.5, 29.0, 60.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def restart(self) -> None:
        self.boots += 1
        self.clock.now = 1.0
        self.dead.update(range(1, 5))
        self.holder = None
        self._boot()

    @invariant()
    def one_at_most_has_it(self) -> None:
        have = [one for one, fence in getattr(self, "fences", {}).items() if not kind(self.lease.check, fence)]
        assert have == ([] if self.holder is None else [self.holder]) if hasattr(self, "holder") else not have


Sessions.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyOrder = Sessions.TestCase
