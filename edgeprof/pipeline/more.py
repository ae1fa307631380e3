"""`edgeprof choose --measure-more`: measure what the choice hangs on, until it is settled or the time is up."""

from __future__ import annotations

import time
from typing import NamedTuple

from edgeprof import measure as measuring
from edgeprof import target
from edgeprof.errors import DeviceError
from edgeprof.measure.more import further
from edgeprof.measure.session import STAGE
from edgeprof.pipeline.decide import choose
from edgeprof.pipeline.read import Outcome, artifacts_of, assemble
from edgeprof.progress import Progress
from edgeprof.records import Candidate, Choice, Device, DeviceFacts, Limits, Run
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
    with target.connect(device, store, progress) as connection:
        connection.hold(f"edgeprof choose on {device.name}", this.run, wait_s)
        connection.provide({cell.format for cell in this.cells if cell.job in choice.undecided.jobs})
        if device.state:  # set by the session, as when the run was measured
            connection.open_session(this.run)
        _check_same(this, measuring.facts(connection))
        session = measuring.Session(store, this, artifacts, device, connection, progress)
        began = time.monotonic()
        progress.start(STAGE, CYCLES_A_LOOK * len(choice.undecided.jobs))
        try:
            while choice.undecided is not None and time.monotonic() - began < limit_s:
                places = []
                for _ in range(CYCLES_A_LOOK):
                    jobs = [job for job in choice.undecided.jobs if job in session.cells]
                    places = further(jobs, session.rounds, this.method.order_seed)
                    session.carry_out(places)
                    measured += len(places)
                if not places:  # all have as many rounds as the intervals are made for
                    break
                outcome = assemble(store, this, write=False)
                choice = choose(store, outcome, limits)
                asked |= set(choice.undecided.jobs) if choice.undecided else set()
                left = 0 if choice.undecided is None else CYCLES_A_LOOK * len(choice.undecided.jobs)
                progress.expect(STAGE, left)
        finally:
            session.close()
            progress.finish(STAGE)
    outcome = assemble(store, this)
    lost = tuple(one for one in outcome.ranking.candidates if one.job in asked and not one.trusted)
    return Settled(outcome, choice, measured, lost)


def _check_same(this: Run, now: DeviceFacts) -> None:
    """Rounds of a device in another state belong to another run."""
    then = this.facts
    if then is None:
        return
    changed = [
        f"{name.replace('_', ' ')} {before!s} then, {after!s} now"
        for name in ("kernel", "governor", "clock_mhz", "power_mode", "cores", "runtimes")
        if (before := getattr(then, name)) != (after := getattr(now, name))
    ]
    if changed:
        raise DeviceError(
            "the device is not in the state in which the run was measured: " + "; ".join(changed),
            where=f"run {this.run}",
            hint=f"measure anew: edgeprof run --device {this.device} --fresh",
        )
