"""`edgeprof choose --measure-more`: measure what the choice hangs on, until it is settled or the time is up."""

from __future__ import annotations

import time
from typing import NamedTuple

import msgspec

from edgeprof import measure as measuring
from edgeprof import target
from edgeprof.errors import DeviceError
from edgeprof.measure.more import further
from edgeprof.measure.session import STAGE
from edgeprof.pipeline.decide import choose, choose_again
from edgeprof.pipeline.read import Outcome, artifacts_of, assemble
from edgeprof.progress import Progress
from edgeprof.records import Candidate, Choice, Device, DeviceFacts, Limits, Run, Undecided
from edgeprof.store import Store

CYCLES_A_LOOK = 2
"""Rounds of each open cell between two looks at the choice, which takes about as long as a round."""


class Settled(NamedTuple):
    """What further measuring came to."""

    outcome: Outcome
    choice: Choice
    rounds: int
    """That were measured in addition."""
    lost: tuple[Candidate, ...] = ()
    """What the choice hung on and is not trusted any more: it left the question open by leaving the race."""


def measure_more(
    store: Store, this: Run, device: Device, limits: Limits, *, limit_s: float, wait_s: float, progress: Progress
) -> Settled:
    """Choose; where that is undecided, measure just the cells in question, in turn, and choose again.

    The rounds are added to the run and its report is written anew. Each is stored as it ends, so nothing is lost when
    the link is.

    Raises:
        DeviceError: the device is not in the state in which the run was measured, so its rounds do not go together.
        UsageError: the limits mean nothing.
    """
    outcome = assemble(store, this, write=False)
    choice = choose(store, outcome, limits)
    if choice.undecided is None:
        return Settled(outcome, choice, 0)
    measured, asked = 0, set(choice.undecided.jobs)
    artifacts = artifacts_of(store, this)
    if this.bound_to is not None:  # by --cores, which the device file need not say
        device = msgspec.structs.replace(device, cores=this.bound_to)
    with target.connect(device, store, progress) as connection:
        connection.hold(f"edgeprof choose on {device.name}", this.run, wait_s)
        connection.provide({cell.format for cell in this.cells if cell.job in choice.undecided.jobs})
        if device.state:  # set by the session, as when the run was measured
            connection.open_session(this.run)
        _check_same(this, device, measuring.facts(connection))
        session = measuring.Session(store, this, artifacts, device, connection, progress)
        began = time.monotonic()
        progress.start(STAGE, CYCLES_A_LOOK * len(choice.undecided.jobs))
        try:
            asks: Undecided | None = choice.undecided
            while asks is not None and time.monotonic() - began < limit_s:
                places = []
                for _ in range(CYCLES_A_LOOK):
                    jobs = [job for job in asks.jobs if job in session.cells]
                    places = further(jobs, session.rounds, this.method.order_seed)
                    session.carry_out(places)
                    measured += len(places)
                if not places:  # all have as many rounds as the intervals are made for
                    break
                outcome = assemble(store, this, write=False)
                asks = choose_again(store, outcome, limits).undecided
                asked |= set(asks.jobs) if asks else set()
                progress.expect(STAGE, CYCLES_A_LOOK * len(asks.jobs) if asks else 0)
        finally:
            session.close()
            progress.finish(STAGE)
    outcome = assemble(store, this)
    choice = choose(store, outcome, limits)
    lost = tuple(one for one in outcome.ranking.candidates if one.job in asked and not one.trusted)
    return Settled(outcome, choice, measured, lost)


def _check_same(this: Run, device: Device, now: DeviceFacts) -> None:
    """Rounds of a device in another state, or on other cores, belong to another run."""
    from edgeprof.rank import comparable

    after = msgspec.structs.replace(this, facts=now, bound_to=device.cores)
    found = comparable.refused(comparable.differences(comparable.basis(this), comparable.basis(after)))
    if found:
        changed = "; ".join(f"{one.name.replace('_', ' ')} {one.one} then, {one.other} now" for one in found)
        raise DeviceError(
            f"the device is not in the state in which the run was measured: {changed}",
            where=f"run {this.run}",
            hint=f"measure anew: edgeprof run --device {this.device} --fresh",
        )
