"""What measuring more of a finished run came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeprof.api.results import RunResult

if TYPE_CHECKING:
    from edgeprof.api.place import Place
    from edgeprof.progress import Progress
    from edgeprof.records import Candidate, Choice, Limits
    from edgeprof.store import Store


@dataclass(frozen=True, repr=False)
class MeasuredMore(RunResult):
    """A run with the rounds that were added for a choice."""

    choice: Choice
    """What measuring ended with; `undecided` of it is None where the question is settled."""
    rounds: int
    """That were measured in addition; 0 where no choice was open that more rounds would settle."""
    lost: tuple[Candidate, ...]
    """What the choice hung on and is not trusted any more: it settled the question only by leaving the race."""


def settle(
    place: Place, store: Store, run: RunResult | str, asked: Limits, limit_s: float, wait_s: float, progress: Progress
) -> MeasuredMore:
    """Measure more of a run, or of the one of that name, for a choice.

    Raises:
        UsageError: there is no such run or device.
        DeviceError: the device is not in the state in which the run was measured.
    """
    from edgeprof import pipeline
    from edgeprof.pipeline import more

    this = run.outcome.run if isinstance(run, RunResult) else pipeline.find_run(store, None, run)
    board = place.files.device(this.device)
    found = more.measure_more(store, this, board, asked, limit_s=limit_s, wait_s=wait_s, progress=progress)
    return MeasuredMore(found.outcome, place.root, found.choice, found.rounds, found.lost)
