"""Measure what is missing of a run, and bring together what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from edgeprof.measure import schedule
from edgeprof.measure.session import STAGE, Session, failure_key, stored_rounds
from edgeprof.measure.trust import verdict
from edgeprof.progress import Progress
from edgeprof.records import Artifact, Device, Failure, Measurement, Run
from edgeprof.store import Store
from edgeprof.target import Connection


def measure(
    store: Store, run: Run, artifacts: Sequence[Artifact], device: Device, connection: Connection, progress: Progress
) -> list[Failure]:
    """Measure the run's cells until each is precise enough or its rounds or time are used up (`measure.schedule`).

    Each round is stored as it ends: a kill at any moment loses one. A cell that failed for good before is not tried
    again; one whose failure may pass is.

    Returns: the failures of this call, which are stored as well.

    Raises:
        LinkError: the agent was lost and could not be had again; what was measured is kept.
        DeviceError: the files cannot be brought to the device.
    """
    session = Session(store, run, artifacts, device, connection, progress)
    open_cells = _Open(session)
    due = open_cells.due()
    if not due:
        return []
    progress.start(STAGE, open_cells.left(due))
    try:
        while due:
            session.carry_out(schedule.cycle(due, session.rounds, run.method))
            due = open_cells.due()
            progress.expect(STAGE, open_cells.left(due))
    finally:
        session.close()
        progress.finish(STAGE)
    return session.failures


class _Open:
    """The cells that are not settled. A verdict is remembered: a cell waits while others are measured."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._known: dict[tuple[str, int], int | None] = {}

    def due(self) -> dict[str, int]:
        """Job -> the attempt that it is in."""
        run, found = self.session.run, {}
        assert run.facts is not None
        for job, cell in self.session.cells.items():
            mine = self.session.rounds[job]
            key = (job, len(mine))
            if key not in self._known:
                self._known[key] = schedule.next_attempt(run.method, mine, cell, run.facts)
            attempt = self._known[key]
            if attempt is not None:
                found[job] = attempt
        return found

    def left(self, due: dict[str, int]) -> int:
        """About how many rounds are left."""
        method, rounds = self.session.run.method, self.session.rounds
        return sum(schedule.left(method, rounds[job], attempt) for job, attempt in due.items())


def collect(store: Store, run: Run) -> list[Measurement]:
    """The measurements of a run from its stored rounds, in the order of its cells. Failed cells are not among them."""
    rounds = stored_rounds(store, run)
    measurements = []
    for cell in run.cells:
        mine = rounds[cell.job]
        if not mine or run.facts is None or store.get(Failure.KIND, failure_key(run, cell.job), Failure) is not None:
            continue
        found = schedule.counted(run.method, mine, cell, run.facts)
        reasons = verdict(run.method, found.rounds, cell, run.facts)
        measurements.append(
            Measurement(
                run=run.run,
                device=run.device,
                cell=cell,
                rounds=found.rounds,
                attempts=found.attempts,
                facts=run.facts,
                method=run.method,
                trusted=not reasons,
                reasons=reasons,
            )
        )
    return measurements
