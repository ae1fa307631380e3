"""The energy of an inference, in a pass of its own after everything is measured: reading a sensor slows a model down.

Each round is a fresh process that idles beside the loaded file and runs it, with the power sensor read by another
process; the rounds of all cells are interleaved, and each is stored as it ends.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from edgeprof.agent.power import NONE_FOUND
from edgeprof.errors import LinkError, RecordError
from edgeprof.measure.session import GRACE_S, RECONNECTS, failure_key, failure_of, plans
from edgeprof.progress import Progress
from edgeprof.records import Artifact, Cell, Device, DeviceFacts, Energy, Failure, Metered, Round, Run
from edgeprof.stats.energy import of_cell
from edgeprof.store import Store
from edgeprof.target import AgentChannel, Connection, unexpected
from edgeprof.target.protocol import CellPlan, Done, EnergyTold, Event, Failed, Meter, Misunderstood

STAGE = "energy"
ROUNDS = 5
"""Fresh processes of each cell."""
WINDOW_S = 1.0
"""Of each of the three windows of a round; the agent makes it longer where the sensor is slow."""
SETTLE_S = 0.2
SLOWEST_S = 150.0
"""What the windows of a slow sensor may take beyond a round's own deadline."""
NOT_ASKED = "energy was not asked for: run with --energy"
NO_ENERGY = "no energy"
BROKEN_OFF = "the pass that measures energy was broken off before its turn"


def forewarn(facts: DeviceFacts, progress: Progress) -> None:
    """Tell of a device without a sensor before hours are spent on it. An agent that says neither is not judged."""
    if facts.power is None and facts.power_missing is not None:
        progress.note(f"{STAGE}: cannot be measured on this device: {facts.power_missing}; all else is")


def energy(
    store: Store, run: Run, artifacts: Sequence[Artifact], device: Device, connection: Connection, progress: Progress
) -> list[Failure]:
    """Meter what was measured and not metered yet; without a sensor nothing, and it is told.

    Returns: what could not be metered; stored as well. The cell's latency stands all the same.

    Raises:
        LinkError: the agent was lost and could not be had again; the rounds that ended are kept.
        DeviceError: the files cannot be brought to the device, or it is somebody else's now.
    """
    assert run.facts is not None
    if run.facts.power is None:
        progress.note(f"{STAGE}: not measured: {_no_sensor(run)}")
        return []
    work = _Pass(store, run, artifacts, device, connection, progress)
    if not work.order():
        return []
    progress.start(STAGE, len(work.order()))
    losses = 0
    try:
        while work.order():
            kept = work.kept
            try:
                work.carry_out()
            except LinkError as error:
                work.close()
                losses = losses + 1 if work.kept == kept else 1
                if losses > RECONNECTS:
                    raise
                progress.note(f"{STAGE}: {error}; starting the agent again ({losses} of {RECONNECTS})")
                time.sleep(losses)
    finally:
        work.close()
        progress.finish(STAGE)
    return work.failures


class _Pass:
    """The cells to be metered, what is known of them, and a session to ask: it keeps the device as it was measured."""

    def __init__(
        self,
        store: Store,
        run: Run,
        artifacts: Sequence[Artifact],
        device: Device,
        connection: Connection,
        progress: Progress,
    ) -> None:
        self.store = store
        self.run = run
        self.device = device
        self.connection = connection
        self.progress = progress
        self.failures: list[Failure] = []
        self.kept = 0
        self._artifacts = artifacts
        self._rounds = metered(store, run)
        self._cells = dict(_due(store, run, self._rounds))
        self._plans: dict[str, CellPlan] = {}
        self._channel: AgentChannel | None = None

    def order(self) -> list[tuple[int, str]]:
        """What is left, as (round, job): all cells in each round, in random order, so that heat hits all alike."""
        found: list[tuple[int, str]] = []
        for number in range(ROUNDS):
            due = [job for job in self._cells if all(one.round != number for one in self._rounds[job])]
            random.Random(f"{self.run.method.order_seed}/energy/{number}").shuffle(due)  # noqa: S311
            found += [(number, job) for job in due]
        return found

    def carry_out(self) -> None:
        """Meter what is left.

        Raises:
            LinkError: the agent was lost.
        """
        for job in list(self._cells):
            self._plan(job)
        timeout_s = self.run.method.timeout_s + SLOWEST_S
        if self._channel is None:
            self._channel = self.connection.open_session(self.run.run)
        while self._channel.unfinished:  # of an earlier host
            self._take(self._channel.receive(timeout_s + GRACE_S))
        for number, job in self.order():
            if job not in self._cells:
                continue
            call = Meter(
                job=_name(job),
                cell=self._plans[job],
                round=number,
                window_s=WINDOW_S,
                settle_s=SETTLE_S,
                timeout_s=timeout_s,
                allow_fallback=self.run.method.allow_fallback,
            )
            self._channel.send(call)
            while not self._take(self._channel.receive(timeout_s + GRACE_S)):
                pass

    def close(self) -> None:
        """End the session. May be called twice."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _plan(self, job: str) -> None:
        """Have the file on the device; one that is damaged here fails alone."""
        if job in self._plans:
            return
        rest = (self.store, self.run, self._artifacts, self.device, self.connection)
        try:
            self._plans |= plans({job: self._cells[job]}, *rest)
        except RecordError as error:
            failure = Failure(
                stage="profile",
                identity=self._cells[job].identity,
                error=str(error),
                error_class="damaged",
                transient=True,
                hint=error.hint,
            )
            self._give_up(job, failure)

    def _take(self, event: Event) -> bool:
        """Keep what an event tells; whether it was the last of its call."""
        if isinstance(event, EnergyTold):
            self._keep(event)
        elif isinstance(event, Failed) and _job(event.job) in self._cells:
            job = _job(event.job)
            gone = event.error_class == "sensor"
            failure = failure_of(event, self._cells[job], self.device)
            if gone:  # it may be back another time
                hint = f"edgeprof device probe {self.device.name} tells what sensor there is"
                failure = msgspec.structs.replace(failure, transient=True, hint=hint)
            self._give_up(job, failure)
            if gone:  # the others would fare no better
                self._cells.clear()
        elif isinstance(event, Misunderstood):  # nothing else comes of that call
            raise unexpected(event)
        # What else an earlier host asked for, whose session was found, is nothing to this pass.
        return isinstance(event, Done)

    def _keep(self, event: EnergyTold) -> None:
        job = _job(event.job)
        if job not in self._cells or any(one.round == event.round for one in self._rounds[job]):
            return  # told twice
        told = {**msgspec.structs.asdict(event), "job": job}
        record = Metered(run=self.run.run, agent_sha=self.connection.agent_sha, **told)
        self.store.put(Metered.KIND, f"{self.run.run}/{job}/{event.round}", record, run=self.run.run)
        self._rounds[job].append(record)
        self.kept += 1
        self.progress.advance(STAGE, 1, self._cells[job].identity.label())

    def _give_up(self, job: str, failure: Failure) -> None:
        what = "its energy was not measured to the end" if self._rounds[job] else NO_ENERGY
        failure = msgspec.structs.replace(failure, error=f"{what}: {failure.error}")
        del self._cells[job]
        self.store.put(Failure.KIND, energy_key(self.run, job), failure, run=self.run.run)
        self.failures.append(failure)
        self.kept += 1
        self.progress.note(f"{STAGE}: {failure.identity.label()}: {failure.error}")


def _name(job: str) -> str:
    """Of a job in this pass, so that what comes of it is never taken for a round's."""
    return f"{job}/energy"


def _job(name: str) -> str:
    return name.removesuffix("/energy") if name.endswith("/energy") else ""


def _due(store: Store, run: Run, rounds: Mapping[str, Sequence[Metered]]) -> Iterator[tuple[str, Cell]]:
    """What was measured, is not metered, and has not failed for good."""
    known = {one.job for one in store.all(Round.KIND, Round, run=run.run)}
    for cell in run.cells:
        failure = store.get(Failure.KIND, energy_key(run, cell.job), Failure)
        if failure is not None and failure.transient:
            store.delete(Failure.KIND, energy_key(run, cell.job))
            failure = None
        lost = failure or store.get(Failure.KIND, failure_key(run, cell.job), Failure)
        if cell.job in known and lost is None and len(rounds[cell.job]) < ROUNDS:
            yield cell.job, cell


def metered(store: Store, run: Run) -> dict[str, list[Metered]]:
    """What is metered of a run, by job."""
    found: dict[str, list[Metered]] = defaultdict(list)
    for one in store.all(Metered.KIND, Metered, run=run.run):
        found[one.job].append(one)
    return found


def energies(store: Store, run: Run) -> list[Energy]:
    """The energy of each cell of a run, computed anew from what was read, or why there is none."""
    rounds = metered(store, run)
    return [of_cell(cell.job, rounds[cell.job], _why_none(store, run, cell.job)) for cell in run.cells]


def _why_none(store: Store, run: Run, job: str) -> str:
    """Why nothing is metered of it."""
    if not run.energy:
        return NOT_ASKED
    if run.facts is not None and run.facts.power is None:
        return _no_sensor(run)
    failure = store.get(Failure.KIND, energy_key(run, job), Failure)
    return BROKEN_OFF if failure is None else failure.error.removeprefix(f"{NO_ENERGY}: ")


def _no_sensor(run: Run) -> str:
    missing = run.facts.power_missing if run.facts is not None else None
    return missing or NONE_FOUND


def energy_key(run: Run, job: str) -> str:
    """Of the record that a cell could not be metered."""
    return f"{failure_key(run, job)}/energy"
