"""Further rounds of some cells of a run that is measured already, for a question that its rounds leave open."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from edgeprof.measure.schedule import Place
from edgeprof.records import Round
from edgeprof.stats import sequence


def further(jobs: Sequence[str], rounds: Mapping[str, Sequence[Round]], order_seed: int) -> list[Place]:
    """One more round of each of these cells, in a random order of its own; it counts with the attempt that counts.

    Cells with as many rounds as the intervals are made for are left out. Pure, as `measure.schedule`.
    """
    begin = 1 + max((one.position for each in rounds.values() for one in each), default=-1)
    open_jobs = sorted(job for job in jobs if len(rounds.get(job, ())) < sequence.HORIZON)
    random.Random(f"{order_seed}/more/{begin}").shuffle(open_jobs)  # noqa: S311
    places = []
    for number, job in enumerate(open_jobs):
        mine = rounds.get(job, ())
        attempt = max((one.attempt for one in mine), default=0)
        places.append(Place(job, 1 + max((one.round for one in mine), default=-1), attempt, begin + number))
    return places
