"""Measure what is missing of a run, and bring together what was measured."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from edgeprof.errors import DeviceError, LinkError
from edgeprof.measure.plan import Place, install_line, order
from edgeprof.measure.trust import verdict, wrong_above
from edgeprof.progress import Progress
from edgeprof.records import Artifact, Cell, Device, DeviceFacts, Failure, Identity, Measurement, Round, Run
from edgeprof.store import Store
from edgeprof.target import AgentChannel, Connection
from edgeprof.target.protocol import (
    PROTOCOL,
    AskFacts,
    Call,
    CellPlan,
    Done,
    Event,
    Facts,
    Failed,
    Hello,
    HelloBack,
    Measure,
    Measured,
    Misunderstood,
    Started,
    Step,
)

STAGE = "profile"
RECONNECTS = 3
"""How often a lost agent is started again without a round having come to its end in between."""
ANSWER_S = 60.0
"""Deadline for an answer that needs no measuring: Python starts slowly on a small board."""
GRACE_S = 30.0
"""What a round may take beyond its own deadline until its event is here."""

HINTS = {
    "crash": "the runtime crashed on this file: try another version of it, or another exporter",
    "hang": "the file is too slow for this device, or the runtime hangs on it: try it with fewer threads",
    "nan": "the file computes NaN on this device, which it did not on the host: do not use it there",
    "outputs_wrong": "the device computes something else than the host: do not use this file there",
}


def facts(connection: Connection) -> DeviceFacts:
    """What the device is.

    Raises:
        LinkError, DeviceError: it cannot be asked.
    """
    event = ask(connection, AskFacts(), ANSWER_S)
    if not isinstance(event, Facts):
        raise _unexpected(event)
    return event.facts


def ask(connection: Connection, call: Call, timeout_s: float) -> Event:
    """Ask an agent of its own one thing.

    Raises:
        LinkError, DeviceError: no agent, or no answer in time.
    """
    channel = connection.start_agent()
    try:
        _greet(channel, connection)
        channel.send(call)
        return channel.receive(timeout_s)
    finally:
        channel.close()


def measure(
    store: Store, run: Run, artifacts: Sequence[Artifact], device: Device, connection: Connection, progress: Progress
) -> list[Failure]:
    """Measure the rounds that the run's cells still lack. Each is stored as it ends: a kill at any moment loses one.

    A cell that failed for good before is not tried again; one whose failure may pass is.

    Returns: the failures of this call, which are stored as well.

    Raises:
        LinkError: the agent was lost and could not be had again; what was measured is kept.
        DeviceError, RecordError: the files cannot be brought to the device.
    """
    session = _Session(store, run, device, connection, progress)
    if not session.todo:
        return []
    progress.start(STAGE, len(session.todo))
    try:
        plans = _plans(store, session.cells, artifacts, device, connection)
        losses = 0
        while session.todo:
            left = len(session.todo)
            try:
                session.go_on(plans)
            except LinkError as error:
                losses = losses + 1 if len(session.todo) == left else 1
                if losses > RECONNECTS:
                    raise
                progress.note(f"profile: {error}; starting it again ({losses} of {RECONNECTS})")
                time.sleep(losses)
    finally:
        progress.finish(STAGE)
    return session.failures


def collect(store: Store, run: Run) -> list[Measurement]:
    """The measurements of a run from its stored rounds, in the order of its cells. Failed cells are not among them."""
    rounds: dict[str, list[Round]] = defaultdict(list)
    for one in store.all(Round.KIND, Round, run=run.run):
        rounds[one.job].append(one)
    measurements = []
    for cell in run.cells:
        mine = tuple(sorted(rounds[cell.job], key=lambda one: one.round))
        if not mine or run.facts is None or store.get(Failure.KIND, _failure_key(run, cell.job), Failure) is not None:
            continue
        reasons = verdict(run.method, mine, cell, run.facts)
        measurements.append(
            Measurement(
                run=run.run,
                device=run.device,
                cell=cell,
                rounds=mine,
                facts=run.facts,
                method=run.method,
                trusted=not reasons,
                reasons=reasons,
            )
        )
    return measurements


class _Session:
    """What is left to measure of a run, carried over agents that come and go."""

    def __init__(self, store: Store, run: Run, device: Device, connection: Connection, progress: Progress) -> None:
        self.store = store
        self.run = run
        self.device = device
        self.connection = connection
        self.progress = progress
        self.failures: list[Failure] = []
        for cell in run.cells:
            failure = store.get(Failure.KIND, _failure_key(run, cell.job), Failure)
            if failure is not None and failure.transient:
                store.delete(Failure.KIND, _failure_key(run, cell.job))
        self.cells = {
            cell.job: cell
            for cell in run.cells
            if store.get(Failure.KIND, _failure_key(run, cell.job), Failure) is None
        }
        done = {(one.job, one.round) for one in store.all(Round.KIND, Round, run=run.run)}
        # The order is that of all cells, so that what is left keeps its places.
        self.todo: list[Place] = [place for place in order(run.cells, run.method, done) if place.job in self.cells]

    def go_on(self, plans: dict[str, CellPlan]) -> None:
        """Have one agent measure all that is left."""
        channel = self.connection.start_agent()
        try:
            _greet(channel, self.connection)
            jobs = {place.job for place in self.todo}
            channel.send(
                Measure(
                    method=self.run.method,
                    cells={job: plan for job, plan in plans.items() if job in jobs},
                    rounds=tuple(Step(job=p.job, round=p.round, position=p.position) for p in self.todo),
                )
            )
            while self.todo:
                self.take(channel.receive(self.run.method.timeout_s + GRACE_S))
        finally:
            channel.close()

    def take(self, event: Event) -> None:
        """Keep what an event tells."""
        if isinstance(event, Measured):
            self.keep(event)
        elif isinstance(event, Failed):
            self.fail(event)
        elif isinstance(event, Done):
            # Done with rounds left over: the agent dropped some of the plan.
            raise LinkError(f"the agent ended with {len(self.todo)} rounds left", where=self.device.name)
        elif not isinstance(event, Started):
            raise _unexpected(event)

    def keep(self, event: Measured) -> None:
        fields = msgspec.structs.asdict(event)
        record = Round(run=self.run.run, agent_sha=self.connection.agent_sha, **fields)
        self.store.put(Round.KIND, f"{self.run.run}/{event.job}/{event.round}", record, run=self.run.run)
        self.todo = [place for place in self.todo if (place.job, place.round) != (event.job, event.round)]
        self.progress.advance(STAGE, 1, self.cells[event.job].identity.label())

    def fail(self, event: Failed) -> None:
        cell = self.cells[event.job]
        said = (
            f"; its last words: {event.stderr[-1]}" if event.stderr and event.error_class in ("crash", "hang") else ""
        )
        failure = Failure(
            stage="profile",
            identity=cell.identity,
            error=event.message + said,
            error_class=event.error_class,
            transient=event.transient,
            hint=install_line(event.package, self.device) if event.package else HINTS.get(event.error_class),
        )
        self.store.put(Failure.KIND, _failure_key(self.run, event.job), failure, run=self.run.run)
        self.failures.append(failure)
        left = [place for place in self.todo if place.job != event.job]
        self.progress.note(f"profile: {cell.identity.label()} failed: {failure.error}")
        self.progress.advance(STAGE, len(self.todo) - len(left), cell.identity.label())
        self.todo = left


def _plans(
    store: Store, cells: dict[str, Cell], artifacts: Sequence[Artifact], device: Device, connection: Connection
) -> dict[str, CellPlan]:
    """Bring the files of the cells to the device and say where they lie."""
    known = {(artifact.artifact_sha, artifact.identity): artifact for artifact in artifacts}
    chosen: dict[str, Artifact] = {}
    for job, cell in cells.items():
        artifact = known.get((cell.artifact_sha, _without_device(cell.identity)))
        if artifact is None:
            raise DeviceError("the run names a file that was not given", where=cell.identity.label())
        chosen[job] = artifact
    shas = {file.sha256 for artifact in chosen.values() for file in artifact.files}
    shas |= {artifact.samples_sha for artifact in chosen.values() if artifact.samples_sha is not None}
    paths = connection.push({sha: store.blob(sha) for sha in sorted(shas)})
    return {
        job: CellPlan(
            format=artifact.format,
            precision=artifact.precision,
            threads=cells[job].threads,
            cores=device.cores,
            files={file.name: paths[file.sha256] for file in artifact.files},
            samples=None if artifact.samples_sha is None else paths[artifact.samples_sha],
            wrong_above=None if artifact.samples_sha is None else wrong_above(artifact.precision),
        )
        for job, artifact in chosen.items()
    }


def _greet(channel: AgentChannel, connection: Connection) -> None:
    channel.send(Hello())
    hello = channel.receive(ANSWER_S)
    if not isinstance(hello, HelloBack):
        raise _unexpected(hello)
    if hello.protocol != PROTOCOL or hello.agent_sha != connection.agent_sha:
        raise DeviceError(
            f"another agent answered: protocol {hello.protocol}, {hello.agent_sha[:12]};"
            f" ours is {PROTOCOL}, {connection.agent_sha[:12]}"
        )


def _unexpected(event: Event) -> DeviceError:
    if isinstance(event, Misunderstood):
        return DeviceError(f"the agent did not understand: {event.message}")
    return DeviceError(f"the agent said {type(event).__name__} when something else was due")


def _without_device(identity: Identity) -> Identity:
    return msgspec.structs.replace(identity, device=None, threads=None)


def _failure_key(run: Run, job: str) -> str:
    return f"{run.run}/{job}"
