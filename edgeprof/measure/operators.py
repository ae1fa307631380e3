"""Time by operator, in a pass of its own after everything is measured: profiling never touches a latency sample."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edgeprof.errors import DeviceError
from edgeprof.measure.asking import ask
from edgeprof.measure.session import failure_key, failure_of, plans
from edgeprof.progress import Progress
from edgeprof.records import Artifact, Device, Failure, Operators, Round, Run
from edgeprof.store import Store
from edgeprof.target import Connection
from edgeprof.target.protocol import Failed, Profile, Profiled

STAGE = "per-op"
INFERENCES = 50
"""Profiled; the median over them is kept for each operator."""


def operators(
    store: Store, run: Run, artifacts: Sequence[Artifact], device: Device, connection: Connection, progress: Progress
) -> list[Failure]:
    """Profile by operator what was measured and not profiled yet.

    Returns: what could not be profiled; stored as well. The cell's latency stands all the same.

    Raises:
        LinkError, DeviceError: the agent was lost, or the files cannot be brought to the device.
    """
    measured = {one.job for one in store.all(Round.KIND, Round, run=run.run)}
    done = {one.job for one in store.all(Operators.KIND, Operators, run=run.run)}
    cells = {
        cell.job: cell
        for cell in run.cells
        if cell.job in measured - done and store.get(Failure.KIND, failure_key(run, cell.job), Failure) is None
    }
    failures: list[Failure] = []
    if not cells:
        return failures
    progress.start(STAGE, len(cells))
    # While it is open the device stays as it was measured: the session puts its governor back when it ends.
    session = connection.open_session(run.run) if device.state else None
    try:
        timeout_s = run.method.timeout_s
        for job, plan in plans(cells, store, run, artifacts, device, connection).items():
            call = Profile(
                job=job,
                cell=plan,
                inferences=INFERENCES,
                timeout_s=timeout_s,
                allow_fallback=run.method.allow_fallback,
            )
            connection.hold(f"edgeprof run {run.run}", run.run)  # for as long again
            told = ask(connection, call, timeout_s + 30)
            if isinstance(told, Profiled):
                record = Operators(run=run.run, **msgspec.structs.asdict(told))
                store.put(Operators.KIND, f"{run.run}/{job}", record, run=run.run)
            elif isinstance(told, Failed):
                failure = failure_of(told, cells[job], device)
                failure = msgspec.structs.replace(failure, error=f"no times by operator: {failure.error}")
                store.put(Failure.KIND, f"{failure_key(run, job)}/operators", failure, run=run.run)
                failures.append(failure)
                progress.note(f"per-op: {cells[job].identity.label()}: {failure.error}")
            else:
                raise DeviceError(f"the agent said {type(told).__name__} when times by operator were due")
            progress.advance(STAGE, 1, cells[job].identity.label())
    finally:
        if session is not None:
            session.close()
        progress.finish(STAGE)
    return failures
