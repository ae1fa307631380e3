"""A user's desk and a device behind a real sshd, whose rounds can be held where a fault is to strike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ready_models
from commands import Ended, Running
from desk import Desk
from held_rounds import HeldRounds
from testbed.sshd import Sshd
from waiting import awaited

from edgeprof.agent import processes as agent_processes
from edgeprof.records import Round, Run
from edgeprof.store import Store

HURRIED = Path(__file__).with_name("hurried.py")
FILES = ("a.onnx", "b.onnx")


class Scene:
    """A desk with two ready files, and a device whose lease and rounds are the test's own.

    Args:
        server: is restarted, so that its logins have what holds the rounds.
        root: the desk's suite, instead of a new one.
    """

    def __init__(self, folder: Path, server: Sshd, root: Path | None = None) -> None:
        self.server = server
        self.folder = folder
        self.leases = folder / "leases"
        self.leases.mkdir()
        self.rounds = HeldRounds(folder / "rounds")
        server.environment.update(self.rounds.environment)
        server.restart()
        self.desk = self.new_desk("desk", root)
        self.keep_s = 600.0
        """How long a lost device is tried again, and how long a session waits for its host."""
        self._running: list[Running] = []
        self._sleepers: list[subprocess.Popen[bytes]] = []

    def new_desk(self, name: str, root: Path | None = None) -> Desk:
        """One of a user who knows the device, with two ready files."""
        desk = Desk(self.folder / name, root)
        desk.add(self.server, lease=str(self.leases))
        for file in FILES:
            ready_models.onnx_file(desk.root / file, weights=4 + FILES.index(file))
        return desk

    def behind(self, port: int) -> None:
        """Have the desk reach the device through a proxy."""
        self.desk.add(self.server, port=port, lease=str(self.leases))

    def profile(
        self,
        *options: str,
        rounds: int,
        files: tuple[str, ...] = FILES,
        desk: Desk | None = None,
        hurry: Mapping[str, float] | None = None,
    ) -> Running:
        """Begin to profile the files on the device.

        Args:
            hurry: limit -> seconds, see `hurried.py`.
        """
        words = ["profile", *files, "--device", "board", "--rounds", str(rounds), "--json", *options]
        return self.begin(*words, desk=desk, hurry=hurry)

    def begin(self, *words: str, desk: Desk | None = None, hurry: Mapping[str, float] | None = None) -> Running:
        """Begin a command."""
        desk = desk or self.desk
        limits = [f"{name}={seconds}" for name, seconds in {"keep": self.keep_s, **(hurry or {})}.items()]
        process = subprocess.Popen(
            [sys.executable, str(HURRIED), *limits, "--", *words],
            cwd=desk.root,
            env=desk.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running = Running(process)
        self._running.append(running)
        return running

    def await_round(self, number: int) -> int:
        """The process of a round, as soon as it has begun."""

        def pid() -> int | None:
            begun = self.rounds.begun()
            if len(begun) > number:
                return begun[number].pid
            assert any(one.running() for one in self._running), "".join(self._running[-1].lines)
            return None

        return awaited(pid, lambda: f"round {number} has not begun:\n" + "".join(self._running[-1].lines))

    def close(self) -> None:
        """The end of all commands."""
        for running in self._running:
            running.close()
        for sleeper in self._sleepers:
            sleeper.kill()
            sleeper.wait()

    # --- the device

    @property
    def workdir(self) -> Path:
        """Of edgeprof on the device."""
        return self.server.home / ".cache" / "edgeprof"

    def sessions(self) -> list[Path]:
        """The folders of sessions there."""
        return sorted((self.workdir / "sessions").glob("[!.]*"))

    def agent(self) -> int:
        """The process of the one session there, when it is there."""

        def pid() -> int | None:
            try:
                (place,) = self.sessions()
                return int(json.loads((place / "session.json").read_text())["pid"])
            except (ValueError, OSError):
                return None

        return awaited(pid, "there is no session")

    def spooled(self, event: str) -> int:
        """How many events of a kind lie in the spools of the sessions."""
        word = b'"event": "%s"' % event.encode()
        found = 0
        for place in self.sessions():
            for spool in place.glob("spool-*"):
                try:
                    found += spool.read_bytes().count(word)
                except FileNotFoundError:
                    continue
        return found

    @property
    def lease(self) -> Path:
        """The file."""
        return self.leases / "edgeprof.lease"

    def holders(self) -> list[dict[str, Any]]:
        """The processes that hold the lease and live."""
        try:
            found: list[dict[str, Any]] = json.loads(self.lease.read_bytes())["holders"]
        except FileNotFoundError:
            return []
        return [one for one in found if Path(f"/proc/{one['pid']}").exists()]

    def await_free(self) -> None:
        """Returns when nothing runs on the device any more and nobody holds it."""
        awaited(lambda: not self.server.processes(), lambda: "left: " + _commands(self.server.processes()))
        awaited(lambda: not self.holders(), lambda: f"held: {self.holders()}")

    def take_lease_by_force(self, owner: str, what: str) -> int:
        """As after an expiry that nobody noticed: another has it, with a higher number. Returns that."""
        record = json.loads(self.lease.read_bytes())
        sleeper = subprocess.Popen(["sleep", "1000"])
        self._sleepers.append(sleeper)
        holder = {**record["holders"][0], "pid": sleeper.pid, "started": agent_processes.started(sleeper.pid)}
        record |= {"fence": record["fence"] + 1, "session": "other", "owner": owner, "what": what}
        record["holders"] = [{**holder, "expires": agent_processes.boottime() + 1000.0}]
        self.lease.write_bytes(json.dumps(record).encode().ljust(4095) + b"\n")
        return int(record["fence"])

    # --- what came of it

    def kept(self, desk: Desk | None = None) -> list[Round]:
        """The rounds that are stored."""
        store = Store((desk or self.desk).root / ".edgeprof", read_only=True)
        try:
            return store.all(Round.KIND, Round)
        finally:
            store.close()

    def runs(self, desk: Desk | None = None) -> list[Run]:
        """All that were begun."""
        store = Store((desk or self.desk).root / ".edgeprof", read_only=True)
        try:
            return store.all(Run.KIND, Run)
        finally:
            store.close()

    def check(self, ended: Ended, rounds: int, *, cells: int = len(FILES), desk: Desk | None = None) -> None:
        """Every round of every cell is there once, whole, and as many as asked; nothing is left on the device."""
        self.check_rounds(ended, rounds, cells=cells, desk=desk)
        self.await_free()
        assert not self.sessions()

    def check_rounds(self, ended: Ended, rounds: int, *, cells: int = len(FILES), desk: Desk | None = None) -> None:
        """Every round of every cell is there once, whole, and as many as asked."""
        assert not ended.told["failures"], ended.told["failures"]
        kept = [one for one in self.kept(desk) if one.run == ended.told["run"]]
        jobs = {one.job for one in kept}
        assert len(jobs) == cells
        assert sorted((one.job, one.round) for one in kept) == [
            (job, number) for job in sorted(jobs) for number in range(rounds)
        ]
        assert len({one.started_at for one in kept}) == len(kept), "one process counts for two rounds"
        candidates = ended.told["candidates"]
        assert [one["rounds"] for one in candidates] == [rounds] * cells
        assert sum(one["samples"] for one in candidates) == sum(len(one.samples_ns) for one in kept)


def _commands(pids: list[int]) -> str:
    found = []
    for pid in pids:
        try:
            found.append(f"{pid} " + Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")[:200])
        except OSError:
            continue
    return "; ".join(found) + f" (of {os.getpid()})"
