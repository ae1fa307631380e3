"""A board over SSH: see `Connection`."""

from __future__ import annotations

import getpass
import secrets
import socket
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import msgspec

from edgeprof.errors import DeviceBusyError, DeviceError, LinkError
from edgeprof.progress import Progress
from edgeprof.records import Device, DeviceFacts, Run
from edgeprof.store import Store
from edgeprof.target.build import agent_bytes, agent_zip
from edgeprof.target.connection import ANSWER_S, NoRuntime, greet, unexpected
from edgeprof.target.protocol import (
    AskFacts,
    AskSites,
    BoardCall,
    Call,
    Clean,
    Cleaned,
    DropSession,
    Event,
    Facts,
    Forget,
    Look,
    Refused,
    Release,
    SessionTold,
    Sites,
    SitesTold,
    StartSession,
    Take,
    Taken,
    Unpack,
    Unpacked,
)
from edgeprof.target.ssh.bootstrap import ANSWERED_S, Place, start
from edgeprof.target.ssh.control import AskChannel, ControlChannel
from edgeprof.target.ssh.link import Link
from edgeprof.target.ssh.provision import choose, wanted
from edgeprof.target.ssh.push import push
from edgeprof.target.ssh.refusals import refusal
from edgeprof.target.ssh.session import GivenUpError, SessionChannel
from edgeprof.target.ssh.stream import Stream
from edgeprof.target.stop import Stop

KEEP_S = 600.0
"""How long a lost device is tried again, and how long a session on it waits for us."""
STOOD_S = 60.0
UNPACK_S = 600.0
"""For a small board with a slow card."""
BUSY_POLL_S = 3.0
UNNAMED = "host-"
"""What a host is called that measures nothing yet."""
LEAVING_S = 10.0
"""How long such a host may keep the device for itself: that of one that was killed ends within moments."""

T = TypeVar("T")


class SshConnection:
    """Connects when something is asked; connects anew when the link broke."""

    def __init__(self, device: Device, store: Store, progress: Progress, keep_s: float = KEEP_S) -> None:
        self.sites: Sites = {}
        self._device = device
        self._store = store
        self._progress = progress
        self._keep_s = keep_s
        self._stop = Stop()
        self._link = Link(device, progress, self._stop)
        _, self.agent_sha = agent_zip(store)
        self._control: ControlChannel | None = None
        self._place: Place | None = None
        self._lease: Take | None = None
        self._fence: int | None = None
        self._holder: ControlChannel | None = None
        self._pushed: dict[str, str] = {}
        self._sessions: dict[str, SessionChannel] = {}
        self._found: str | None = None
        """The run of an edgeprof that was stopped, whose lease was taken over."""
        self._reached = False

    def hold(self, what: str, session: str, wait_s: float = 0.0) -> None:
        """See `Connection.hold`."""
        owner = f"{getpass.getuser()}@{socket.gethostname()}"
        name = session or f"{UNNAMED}{secrets.token_hex(6)}"
        lease = Take(owner=owner, what=what, session=name, lease=self._device.lease)
        began = time.monotonic()
        told = False
        while True:
            try:
                if session:
                    self._end_found(but=session)
                self._take(lease)
                return
            except DeviceBusyError as error:
                if self._adopted(error.session):
                    if not session:
                        return  # under its name: whoever finds it after us must know it too
                    continue
                leaving = LEAVING_S if (error.session or "").startswith(UNNAMED) else 0.0
                if time.monotonic() >= began + max(wait_s, leaving):
                    raise
                if not told:
                    told = True
                    self._progress.note(f"{self._device.name}: {error.what}; waiting for it")
                self._stop.wait([], BUSY_POLL_S)

    def provide(self, formats: Collection[str], *, bring: bool = True) -> dict[str, NoRuntime]:
        """See `Connection.provide`."""
        if self._device.provision == "never":
            return {}
        found = choose(self._store, formats, wanted(self._facts()), self._progress, bring=bring)
        there = self._sites(found.wheels)
        absent = {sha: name for sha, name in found.wheels.items() if sha not in there}
        if bring and absent:
            self._push({sha: self._store.blob(sha) for sha in absent})
            self._progress.start("provision", len(absent))
            for sha, name in absent.items():
                told = self._ask(Unpack(sha=sha, name=name), UNPACK_S)
                if not isinstance(told, Unpacked):
                    raise unexpected(told)
                there[sha] = told.path
                self._progress.advance("provision", 1, name)
            self._progress.finish("provision")
        self.sites = found.sites(there)
        return found.missing

    def push(self, files: Mapping[str, Path]) -> dict[str, str]:
        """See `Connection.push`. What was sent or checked in this connection is not looked at again."""
        new = {sha: path for sha, path in files.items() if sha not in self._pushed}
        if new:
            self._push(new)
            self._pushed |= {sha: f"{self._there().workdir}/blobs/{sha}" for sha in new}
        return {sha: self._pushed[sha] for sha in files}

    def forget(self, shas: Collection[str]) -> None:
        """See `Connection.forget`."""
        told = self._ask(Forget(shas=tuple(shas)), UNPACK_S)
        if not isinstance(told, Cleaned):
            raise unexpected(told)
        self._pushed = {sha: path for sha, path in self._pushed.items() if sha not in shas}

    def start_agent(self) -> AskChannel:
        """See `Connection.start_agent`. It is the one agent that we talk with anyway."""
        self._again(self._open_control)
        return AskChannel(self._ask)

    def open_session(self, name: str) -> SessionChannel:
        """See `Connection.open_session`."""
        told = self._look(name)
        known = self._sessions.get(name)
        # Events of its last call may wait there that nobody has read: sent by a host that died, or by us before a loss.
        unread = told.calls > 0 and (known is None or (told.calls == known.number and not known.settled))
        if not unread and not told.alive:
            told = self._start_session(name)
        channel = self._channel(name, told, unread)
        if unread:
            self._progress.note(
                f"{self._device.name}: found session {name} {'running' if told.alive else 'ended'} there"
            )
        self._sessions[name] = channel
        channel.attach()
        return channel

    def _channel(self, name: str, told: SessionTold, unread: bool) -> SessionChannel:
        return SessionChannel(
            lambda mark: self._follow(name, mark),
            self._device.name,
            self._progress,
            number=told.calls,
            unfinished=unread,
            keep_s=self._keep_s,
            take_over=self._take_over,
            stop=self._stop,
        )

    def clean(self, older_than_s: float, everything: bool) -> Cleaned:
        """Remove from the device what was not used for so long.

        Raises:
            LinkError, DeviceError: it cannot be asked.
        """
        told = self._ask(Clean(older_than_s=older_than_s, everything=everything), UNPACK_S)
        if not isinstance(told, Cleaned):
            raise unexpected(told)
        return told

    def interrupt(self) -> None:
        """See `Connection.interrupt`."""
        self._stop.set()

    def close(self) -> None:
        """See `Connection.close`."""
        self._stop.off()
        for name, channel in self._sessions.items():
            read = channel.settled  # before it is closed, which passes over what was not
            channel.close()
            if read and channel.left:
                self._drop_session(name)
        self._sessions.clear()
        if self._control is not None and self._fence is not None and self._link.alive():
            with suppress(DeviceError):  # without us the lease ends by itself
                self._control.ask(Release(fence=self._fence, lease=self._device.lease), ANSWERED_S)
        self._fence = self._lease = None
        self._drop()

    def __enter__(self) -> SshConnection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- the agent that we talk with

    def _open_control(self) -> ControlChannel:
        if self._control is not None and self._control.usable and self._link.alive():
            return self._control
        self._drop_control()
        for anew in (False, True):
            stream, self._place = start(self._link, self._device, agent_bytes(), self.agent_sha, anew=anew)
            channel = ControlChannel(stream, self._device.name)
            try:
                greet(channel, self.agent_sha)
            except DeviceError as error:
                stream.close()
                # A file of its name that is not it: changed or half written. Only a lost link is no sign of that.
                if anew or (isinstance(error, LinkError) and stream.status is None):
                    raise
                continue
            break
        self._control = channel
        self._reached = True
        return channel

    def _there(self) -> Place:
        self._again(self._open_control)
        assert self._place is not None
        return self._place

    def _ask(self, call: BoardCall | Call, timeout_s: float = ANSWER_S) -> Event:
        """One answer of the agent; asked again over a new link where the old one broke."""
        told = self._again(lambda: self._open_control().ask(call, timeout_s))
        if isinstance(told, Refused):
            raise refusal(told, self._device.name)
        return told

    def _again(self, step: Callable[[], T]) -> T:
        """Do a step; once the device was reached, a broken link is made anew until `keep_s` have passed without one."""
        lost_at: float | None = None
        pause = 1.0
        while True:
            began = time.monotonic()
            try:
                return step()
            except LinkError as error:
                now = time.monotonic()
                # A link that stood for a while is a link: what drops often still gets on.
                stood = now - began > STOOD_S
                reached, lost_at = self._reached, now if lost_at is None or stood else lost_at
                self._drop()
                if not reached:
                    raise
                if now - lost_at + pause > self._keep_s:
                    raise GivenUpError(self._keep_s, self._device.name, error) from error
                self._progress.note(f"{self._device.name}: {error.what}; trying again in {pause:.0f} s")
                self._stop.wait([], pause)
                pause = min(2 * pause, 30.0)

    def _drop(self) -> None:
        self._drop_control()
        self._link.close()

    def _drop_control(self) -> None:
        if self._control is not None:
            self._control.end()
            self._control = None

    # --- parts of the above

    def _facts(self) -> DeviceFacts:
        told = self._ask(AskFacts(full=False))
        if not isinstance(told, Facts):
            raise unexpected(told)
        return told.facts

    def _look(self, name: str) -> SessionTold:
        told = self._ask(Look(name=name))
        if not isinstance(told, SessionTold):
            raise unexpected(told)
        return told

    def _take(self, lease: Take) -> None:
        told = self._ask(msgspec.structs.replace(lease, fence=self._fence))
        if not isinstance(told, Taken):
            raise unexpected(told)
        self._lease, self._fence, self._holder = lease, told.fence, self._control

    def _adopted(self, session: str | None) -> bool:
        """Whether it is a run of ours that has the board, left by an edgeprof that was killed: its lease is ours."""
        run = self._store.get(Run.KIND, session, Run) if session else None
        if run is None or run.device != self._device.name or self._lease is not None:
            return False
        owner = f"{getpass.getuser()}@{socket.gethostname()}"
        self._progress.note(f"{self._device.name}: run {session} of an edgeprof that was stopped has it; taken over")
        self._take(Take(owner=owner, what=f"edgeprof run {session}", session=run.run, lease=self._device.lease))
        self._found = session
        return True

    def _end_found(self, but: str) -> None:
        """End the run whose lease was taken over, unless it is the one that goes on."""
        found, self._found = self._found, None
        if found is None or found == but:
            return
        told = self._look(found)
        if told.alive:
            channel = self._channel(found, told, unread=True)
            with suppress(LinkError):  # it has ended
                channel.attach()
            channel.close()

    def _take_over(self) -> None:
        """Hold the board ourselves before its session ends; without a link nobody needs to."""
        if self._lease is not None and self._control is not None and self._control.usable and self._link.alive():
            told = self._control.ask(msgspec.structs.replace(self._lease, fence=self._fence), ANSWERED_S)
            self._fence = told.fence if isinstance(told, Taken) else None

    def _drop_session(self, name: str) -> None:
        """Leave nothing of a session that ended without us; without a link it stays until `device clean`."""
        if self._control is not None and self._control.usable and self._link.alive():
            with suppress(DeviceError):
                self._control.ask(DropSession(name=name), ANSWERED_S)

    def _sites(self, every: Collection[str]) -> dict[str, str]:
        if not every:
            return {}
        told = self._ask(AskSites(shas=tuple(every)))
        if not isinstance(told, SitesTold):
            raise unexpected(told)
        return dict(told.sites)

    def _push(self, files: Mapping[str, Path]) -> None:
        def attempt() -> None:
            control = self._open_control()
            if self._lease is not None and control is not self._holder:
                # The agent that held it is gone, with its link or in a restart of the device.
                self._keep_lease(control, self._lease)
            try:
                push(
                    control.stream,
                    files,
                    fence=self._fence,
                    lease=self._device.lease,
                    device=self._device.name,
                    progress=self._progress,
                )
            except BaseException:
                control.end()  # what it makes of half a transfer nobody knows
                raise

        self._again(attempt)

    def _keep_lease(self, control: ControlChannel, lease: Take) -> None:
        """Hold it by another agent of ours."""
        told = control.ask(msgspec.structs.replace(lease, fence=self._fence), ANSWER_S)
        if isinstance(told, Refused):
            raise refusal(told, self._device.name)
        if not isinstance(told, Taken):
            raise unexpected(told)
        self._fence, self._holder = told.fence, control

    def _start_session(self, name: str) -> SessionTold:
        if self._lease is None:
            raise DeviceError("a session needs the device's lease", where=self._device.name)
        # Again: the agent that took it may have died with its link, and the device may have been restarted.
        self._take(self._lease)
        assert self._fence is not None
        call = StartSession(
            name=name, fence=self._fence, lease=self._device.lease, linger_s=self._keep_s, state=self._device.state
        )
        told = self._ask(call)
        if not isinstance(told, SessionTold):
            raise unexpected(told)
        return told

    def _follow(self, name: str, mark: str) -> Stream:
        self._open_control()
        assert self._place is not None
        return self._link.open(self._place.command("follow", mark, "--session", name))
