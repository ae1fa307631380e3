"""Rounds carried out by agents that come and go; each is stored as it ends."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from edgeprof.errors import DeviceError, LinkError, RecordError
from edgeprof.measure.plan import bound_cores, install_line
from edgeprof.measure.schedule import Place
from edgeprof.measure.trust import wrong_above
from edgeprof.progress import Progress
from edgeprof.records import Artifact, Cell, Device, Failure, Identity, Round, Run
from edgeprof.store import Store
from edgeprof.target import AgentChannel, Connection, unexpected
from edgeprof.target.protocol import (
    CellPlan,
    Done,
    EnergyTold,
    Evaluated,
    Event,
    Failed,
    Measure,
    Measured,
    Started,
    Step,
)

STAGE = "profile"
RECONNECTS = 3
"""How often a lost agent is started again without a round having come to its end in between."""
GRACE_S = 30.0
"""What a round may take beyond its own deadline until its event is here."""

HINTS = {
    "cores": "name usable cores: --cores 0,1, or cores = [0, 1] in the device file",
    "crash": "the runtime crashed on this file: try another version of it, or another exporter",
    "hang": "the file is too slow for this device, or the runtime hangs on it: try it with fewer threads",
    "nan": "the file computes NaN on this device: do not use it there",
    "fallback": "name a provider that the device has in its file, or measure what runs with --allow-fallback",
    "outputs_wrong": "the device computes something else than the host: do not use this file there",
}


class Session:
    """What is known of a run's cells, and an agent to measure them with. Close it.

    `cells` are those that have not failed for good; `rounds` those stored, by job; `failures` those of this session.
    """

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
        for cell in run.cells:
            failure = store.get(Failure.KIND, failure_key(run, cell.job), Failure)
            if failure is not None and failure.transient:
                store.delete(Failure.KIND, failure_key(run, cell.job))
        self.cells = {
            cell.job: cell for cell in run.cells if store.get(Failure.KIND, failure_key(run, cell.job), Failure) is None
        }
        self.rounds = stored_rounds(store, run)
        self._artifacts = artifacts
        self._plans: dict[str, CellPlan] = {}
        self._todo: list[Place] = []
        self._kept = 0
        self._channel: AgentChannel | None = None

    def carry_out(self, places: Sequence[Place]) -> None:
        """Measure these rounds in this order; a lost agent is started again.

        Raises:
            LinkError: the agent was lost and could not be had again; what was measured is kept.
            DeviceError: the files cannot be brought to the device.
        """
        self._todo = list(places)
        losses = 0
        while self._todo:
            kept = self._kept
            try:
                self._cycle()
            except LinkError as error:
                self.close()
                losses = losses + 1 if self._kept == kept else 1
                if losses > RECONNECTS:
                    raise
                self.progress.note(f"profile: {error}; starting it again ({losses} of {RECONNECTS})")
                time.sleep(losses)

    def close(self) -> None:
        """End the agent. May be called twice; a later `carry_out` starts another."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _cycle(self) -> None:
        self._bring([place.job for place in self._todo])
        if not self._todo:
            return
        if self._channel is None:
            self._channel = self.connection.open_session(self.run.run)
        while self._channel.unfinished:
            self._take(self._channel.receive(self.run.method.timeout_s + GRACE_S))
        if not self._todo:
            return
        self._channel.send(
            Measure(
                method=self.run.method,
                cells={job: self._plans[job] for job in {place.job for place in self._todo}},
                rounds=tuple(_step(place, self.rounds[place.job]) for place in self._todo),
            )
        )
        while not self._take(self._channel.receive(self.run.method.timeout_s + GRACE_S)):
            pass
        if self._todo:
            raise LinkError(f"the agent ended with {len(self._todo)} rounds left", where=self.device.name)

    def _bring(self, jobs: Sequence[str]) -> None:
        """Have the cells' files on the device; a file that is damaged here fails its cell alone."""
        new = {job: self.cells[job] for job in jobs if job not in self._plans and job in self.cells}
        rest = (self.store, self.run, self._artifacts, self.device, self.connection)
        try:
            self._plans |= plans(new, *rest)
            return
        except RecordError:
            pass  # one of them is damaged: which?
        for job, cell in new.items():
            try:
                self._plans |= plans({job: cell}, *rest)
            except RecordError as error:
                self._give_up(
                    job,
                    Failure(
                        stage="profile",
                        identity=self.cells[job].identity,
                        error=str(error),
                        error_class="damaged",
                        transient=True,
                        hint=error.hint,
                    ),
                )

    def _take(self, event: Event) -> bool:
        """Keep what an event tells; whether it was the last of the cycle."""
        if isinstance(event, Measured):
            self._keep(event)
        elif isinstance(event, Failed):
            self._fail(event)
        elif isinstance(event, Done):
            return True
        elif not isinstance(event, Started | Evaluated | EnergyTold):  # an earlier host's, asked for anew if due
            raise unexpected(event)
        return False

    def _keep(self, event: Measured) -> None:
        if event.job not in self.cells or any(one.round == event.round for one in self.rounds[event.job]):
            return  # told twice
        record = Round(run=self.run.run, agent_sha=self.connection.agent_sha, **msgspec.structs.asdict(event))
        self.store.put(Round.KIND, f"{self.run.run}/{event.job}/{event.round}", record, run=self.run.run)
        self.rounds[event.job].append(record)
        # An earlier host may have asked for it, of a session that was found again.
        self._todo = [place for place in self._todo if (place.job, place.round) != (event.job, event.round)]
        self._kept += 1
        self.progress.advance(STAGE, 1, self.cells[event.job].identity.label())

    def _fail(self, event: Failed) -> None:
        if event.job in self.cells:  # else it was told twice
            self._give_up(event.job, failure_of(event, self.cells[event.job], self.device))

    def _give_up(self, job: str, failure: Failure) -> None:
        del self.cells[job]
        self.store.put(Failure.KIND, failure_key(self.run, job), failure, run=self.run.run)
        self.failures.append(failure)
        self._todo = [place for place in self._todo if place.job != job]
        self._kept += 1
        self.progress.note(f"profile: {failure.identity.label()} failed; why: edgeprof show {self.run.run}")


def failure_of(event: Failed, cell: Cell, device: Device) -> Failure:
    """What the agent told of a cell, with what to do about it."""
    said = f"; its last words: {event.stderr[-1]}" if event.stderr and event.error_class in ("crash", "hang") else ""
    return Failure(
        stage="profile",
        identity=cell.identity,
        error=event.message + said,
        error_class=event.error_class,
        transient=event.transient,
        hint=install_line(event.package, device) if event.package else HINTS.get(event.error_class),
    )


def plans(
    cells: dict[str, Cell],
    store: Store,
    run: Run,
    artifacts: Sequence[Artifact],
    device: Device,
    connection: Connection,
) -> dict[str, CellPlan]:
    """Bring the files of the cells to the device and say where they lie, for each job."""
    known = {(artifact.artifact_sha, artifact.identity): artifact for artifact in artifacts}
    chosen: dict[str, Artifact] = {}
    for job, cell in cells.items():
        artifact = known.get((cell.artifact_sha, _without_device(cell.identity)))
        if artifact is None:
            raise DeviceError("the run names a file that was not given", where=cell.identity.label())
        chosen[job] = artifact
    shas = {file.sha256 for artifact in chosen.values() for file in artifact.files}
    shas |= {artifact.samples_sha for artifact in chosen.values() if artifact.samples_sha is not None}
    assert run.facts is not None
    cores = bound_cores(device, run.facts)
    paths = connection.push({sha: store.blob(sha) for sha in sorted(shas)})
    return {
        job: CellPlan(
            format=artifact.format,
            precision=artifact.precision,
            threads=cells[job].threads,
            cores=cores,
            provider=cells[job].provider,
            files={file.name: paths[file.sha256] for file in artifact.files},
            site=connection.sites.get(artifact.format, ()),
            samples=None if artifact.samples_sha is None else paths[artifact.samples_sha],
            wrong_above=None if artifact.samples_sha is None else wrong_above(artifact.precision),
        )
        for job, artifact in chosen.items()
    }


def stored_rounds(store: Store, run: Run) -> dict[str, list[Round]]:
    """What is measured of a run, by job."""
    rounds: dict[str, list[Round]] = defaultdict(list)
    for one in store.all(Round.KIND, Round, run=run.run):
        rounds[one.job].append(one)
    return rounds


def _step(place: Place, rounds: Sequence[Round]) -> Step:
    """With a look at what ran in the first round of each attempt: it does not change from process to process."""
    look = not any(one.attempt == place.attempt for one in rounds)
    return Step(job=place.job, round=place.round, attempt=place.attempt, position=place.position, look=look)


def _without_device(identity: Identity) -> Identity:
    return msgspec.structs.replace(identity, device=None, threads=None)


def failure_key(run: Run, job: str) -> str:
    """Of the record that a cell of a run failed."""
    return f"{run.run}/{job}"
