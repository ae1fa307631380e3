"""This machine as a device: the agent as a process of its own, spoken to through the same protocol as on a board."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType

from edgeprof.errors import DeviceError, LinkError, RecordError
from edgeprof.records import Device
from edgeprof.store import Store
from edgeprof.target.build import agent_zip
from edgeprof.target.connection import NoRuntime, decoded, encoded, greet
from edgeprof.target.protocol import Call, Event, Sites
from edgeprof.target.stop import Stop

CLOSE_S = 5.0
"""How long an agent may take to end by itself when its channel is closed."""
STDERR_LINES = 8
MADE_AGAIN = "what was exported is made again by edgeprof export or run, a ready file by naming it again"


class LocalConnection:
    """Files are used where they lie in the store; the agent runs under the device file's Python, else under ours."""

    def __init__(self, device: Device, store: Store) -> None:
        self._python = _python(device)
        self._name = device.name
        self._program, self.agent_sha = agent_zip(store)
        self.sites: Sites = {}
        self._channels: list[LocalChannel] = []
        self._stop = Stop()

    def hold(self, what: str, session: str, wait_s: float = 0.0) -> None:
        """See `Connection.hold`. Here the store's lock is what keeps a second measurement away."""

    def provide(self, formats: Collection[str], *, bring: bool = True) -> dict[str, NoRuntime]:
        """See `Connection.provide`. What the Python has is what there is."""
        return {}

    def push(self, files: Mapping[str, Path]) -> dict[str, str]:
        """See `Connection.push`. Nothing moves, but every file is hashed before it is used."""
        for sha, path in files.items():
            try:
                with path.open("rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise RecordError(
                    f"cannot be read: {error.strerror or error}", where=str(path), hint=MADE_AGAIN
                ) from error
            if found != sha:
                raise RecordError(
                    f"the file was changed or damaged: its sha256 is {found[:12]}, recorded is {sha[:12]}",
                    where=str(path),
                    hint=f"delete this file; {MADE_AGAIN}",
                )
        return {sha: str(path.resolve()) for sha, path in files.items()}

    def forget(self, shas: Collection[str]) -> None:
        """See `Connection.forget`. Nothing was copied."""

    def start_agent(self) -> LocalChannel:
        """See `Connection.start_agent`."""
        channel = LocalChannel([self._python, str(self._program.resolve()), "serve"], self._name, self._stop)
        self._channels.append(channel)
        return channel

    def open_session(self, name: str) -> LocalChannel:
        """See `Connection.open_session`. There is no link that could drop, so it dies with us."""
        channel = self.start_agent()
        greet(channel, self.agent_sha)
        return channel

    def interrupt(self) -> None:
        """See `Connection.interrupt`."""
        self._stop.set()

    def close(self) -> None:
        """See `Connection.close`."""
        self._stop.off()
        while self._channels:
            self._channels.pop().close()

    def __enter__(self) -> LocalConnection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class LocalChannel:
    """See `AgentChannel`. The agent's stderr is kept aside for the error that may come."""

    def __init__(self, command: list[str], device: str, stop: Stop | None = None) -> None:
        self.unfinished = False
        self._stop = stop or Stop()
        self._device = device
        self._pending = b""
        self._spoke = False
        self._python = command[0]
        # A file, not a pipe: nobody has to read it while we wait for events.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                bufsize=0,
                # Ctrl-C goes to the host alone, which then ends the agent in order.
                start_new_session=True,
            )
        except OSError as error:
            self._stderr.close()
            raise DeviceError(
                f"the agent cannot be started: {error.strerror or error}", where=f"{device}, {command[0]}"
            ) from error

    @property
    def pid(self) -> int:
        """The agent's process."""
        return self._process.pid

    def send(self, call: Call) -> None:
        """See `AgentChannel.send`."""
        assert self._process.stdin is not None
        data = memoryview(encoded(call))
        try:
            while data:
                data = data[self._process.stdin.write(data) or 0 :]
        except (BrokenPipeError, ValueError):
            raise self._gone() from None

    def receive(self, timeout_s: float) -> Event:
        """See `AgentChannel.receive`."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._pending:
            if not self._stop.wait([self._process.stdout], deadline - time.monotonic()):
                raise LinkError(f"the agent has not said anything for {timeout_s:.0f} s", where=self._device)
            data = os.read(self._process.stdout.fileno(), 1 << 16)
            if not data:
                raise self._gone()
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        event = decoded(line, self._device)
        self._spoke = True
        return event

    def close(self) -> None:
        """See `AgentChannel.close`."""
        if self._stderr.closed:
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            # Else an agent that is writing a long event would wait for us to read it.
            self._process.stdout.close()
            self._process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # Also when a second Ctrl-C interrupts the waiting. The agent's worker dies with it.
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            self._stderr.close()

    def _gone(self) -> DeviceError:
        """What an agent that has ended leaves to say."""
        if self._stderr.closed:
            return LinkError("the channel was closed", where=self._device)
        try:
            status = self._process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            return LinkError("the agent closed its output", where=self._device)
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").split("\n")
        said = "; ".join(line.strip() for line in lines[-STDERR_LINES - 1 :] if line.strip())
        how = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
        message = f"the agent {how}" + (f": {said}" if said else "")
        if status > 0 and not self._spoke:
            return DeviceError(
                message,
                where=self._device,
                hint=f"see what it is: {self._python} --version; the agent needs Python 3.8 or newer and numpy",
            )
        return LinkError(message, where=self._device)


def _python(device: Device) -> str:
    """The interpreter for the agent: the device file's, else the one that runs us."""
    if device.python is None:
        return sys.executable
    found = shutil.which(os.path.expanduser(device.python))
    if found is None:
        raise DeviceError(
            f"there is no such Python: {device.python}",
            where=f"devices/{device.name}.toml, python",
            hint="give the path of a Python 3.8 or newer, or leave python out for the one that runs edgeprof",
        )
    return found
