"""What the page needs to choose a candidate for a budget by itself, by the rule of `edgeprof choose`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import msgspec

from edgeprof.records import Candidate, Identity, Ranking, Record
from edgeprof.report.words import Names, clean, identity

PERCENTILES = (50, 90, 99)
ROOM = 1.1
"""Free space at either end of the slider, as a factor."""
DIGITS = 3
"""Of the slider's ends."""
FILE_NAME = 80
"""Most characters of a file's name."""


class Budgets(Record):
    """A slider over the budgets at which something changes, and the candidates to choose from."""

    percentiles: tuple[int, ...]
    """Those that some candidate has a bound of."""
    low_ms: float
    """Nothing meets it."""
    high_ms: float
    """All that has a bound meets it."""
    data: str
    """JSON: the names of the `files`, and the `candidates`, a list for each device. Of each candidate: the id of its
    row, its name, the number of its file, whether it is trusted, top-1 with both ends of its interval, bytes, the place
    of its job among the jobs, then value and upper bound in ms of each of `PERCENTILES`."""


def budgets(rankings: Sequence[Ranking], ids: Sequence[Mapping[str, str]]) -> Budgets | None:
    """None where nothing can be chosen: no accuracy is known, or no latency has a bound.

    Args:
        ids: for each ranking, the id of each job's row in the page.
    """
    candidates = [one for ranking in rankings for one in ranking.candidates]
    bounds = {each: [high for one in candidates if (high := latency(one, each)[1])] for each in PERCENTILES}
    known = tuple(each for each in PERCENTILES if bounds[each])
    if not known or all(one.top1 is None for one in candidates):
        return None
    found = [high for each in known for high in bounds[each]]
    names = Names(candidates)
    files: dict[Identity, str] = {}
    for one in candidates:
        files.setdefault(identity(one), names.file(one, FILE_NAME))
    numbers = {file: number for number, file in enumerate(files)}
    rows = [_rows(ranking, row_ids, names, numbers) for ranking, row_ids in zip(rankings, ids, strict=True)]
    return Budgets(
        percentiles=known,
        low_ms=_rounded(min(found) / ROOM, math.floor),
        high_ms=_rounded(max(found) * ROOM, math.ceil),
        data=msgspec.json.encode({"files": list(files.values()), "candidates": rows}).decode(),
    )


def devices(rankings: Sequence[Ranking]) -> str:
    """JSON: names and runs of the devices, in the order of `Budgets.data`."""
    return msgspec.json.encode([{"name": clean(one.device), "run": clean(one.run)} for one in rankings]).decode()


def latency(one: Candidate, percentile: int) -> tuple[float | None, float | None]:
    """A percentile of the latency in ms, and the upper end of its interval, which a budget is held against."""
    found = {
        50: (one.median_ms, one.median_high_ms),
        90: (one.p90_ms, one.p90_high_ms),
        99: (one.p99_ms, one.p99_high_ms),
    }
    return found[percentile]


def _rows(ranking: Ranking, ids: Mapping[str, str], names: Names, files: Mapping[Identity, int]) -> list[list[object]]:
    # The last of the rules that settle a tie: by job. Scripts compare text by other rules than Python.
    order = {job: place for place, job in enumerate(sorted({one.job for one in ranking.candidates}))}
    return [
        [
            ids[one.job],
            names.full(one),
            files[identity(one)],
            one.trusted,
            one.top1,
            one.top1_low,
            one.top1_high,
            one.size_bytes,
            order[one.job],
            *(number for each in PERCENTILES for number in latency(one, each)),
        ]
        for one in ranking.candidates
    ]


def _rounded(value: float, towards: Callable[[float], int]) -> float:
    """To `DIGITS` significant digits, down or up."""
    power = math.floor(math.log10(value)) - DIGITS + 1
    return float(f"{towards(value / 10.0**power)}e{power}")
