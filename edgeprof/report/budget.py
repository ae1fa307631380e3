"""What the page needs to choose a candidate under limits by itself, by the rule of `edgeprof choose`."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from edgeprof.records import Candidate, Identity, Ranking, Record
from edgeprof.report.odds import PERCENTILES, Curves, curve_numbers
from edgeprof.report.words import Names, clean, identity

ROOM = 1.1
"""Free space at either end of the slider, as a factor."""
DIGITS = 3
"""Of the slider's ends."""
FILE_NAME = 80
"""Most characters of a file's name."""


class LimitField(NamedTuple):
    """A limit besides the budget: its field in the page, and its option of `edgeprof choose`."""

    name: str
    """As in `Rejected.limits`."""
    option: str
    label: str
    unit: str
    """Of the number in the field, also on the command line."""
    read: Callable[[Candidate], float | None]
    broken: str
    """What is said of candidates that do not keep to it."""
    unknown: str
    """What is said of candidates of which it is not known."""
    times: float = 1.0
    over: float = 1.0
    """The limit is the number in the field, times and over these."""
    least: bool = False
    """Whether it is the least and not the most."""
    exact: bool = False
    """Whether what was measured is all that there is to know of it, as of a file's size."""
    whole: bool = False
    """Rounded down, to one at least: bytes."""
    most: float | None = None
    """The largest limit that means something."""


LIMITS = (
    LimitField(
        "top1",
        "--min-top1",
        "Top-1 of at least",
        "%",
        lambda one: one.top1,
        "top-1 too low",
        "accuracy unknown",
        over=100,
        least=True,
        most=1,
    ),
    LimitField(
        "size",
        "--max-size",
        "File of at most",
        "MB",
        lambda one: one.size_bytes,
        "file too large",
        "size unknown",
        times=1e6,
        exact=True,
        whole=True,
    ),
    LimitField(
        "memory",
        "--max-memory",
        "Memory of at most",
        "MB",
        lambda one: one.peak_rss_bytes,
        "takes too much memory",
        "memory not measured",
        times=1e6,
        exact=True,
        whole=True,
    ),
    LimitField(
        "energy",
        "--max-energy",
        "Energy an inference of at most",
        "mJ",
        lambda one: one.energy_high_mj,
        "takes too much energy",
        "energy not known",
    ),
)
"""Where nothing of it is known, the page has no field for it."""


class Budgets(Record):
    """A slider over the budgets at which something changes, the other limits, and the candidates to choose from."""

    percentiles: tuple[int, ...]
    """Those that some candidate has a bound of."""
    low_ms: float
    """Nothing meets it."""
    high_ms: float
    """All that has a bound meets it."""
    accuracies: bool
    """Whether any is known: else only the fastest can be chosen."""
    limits: tuple[str, ...]
    """Names of `LIMITS` that something is known of."""
    data: str
    """JSON: the `limits`, the names of the `files`, and the `candidates`, a list for each device. Of each candidate:
    the id of its row, its name, the number of its file, null or why it is not trusted, the place of its job among the
    jobs; both ends of the interval of its top-1 and its test images; the values that `limits` hold; value and upper
    bound in ms of each of `PERCENTILES`; and the curves of `report.odds`, where they are known."""


def budgets(
    rankings: Sequence[Ranking], ids: Sequence[Mapping[str, str]], known: Sequence[Mapping[str, Curves]] = ()
) -> Budgets | None:
    """None where nothing can be chosen: no latency has a bound.

    Args:
        ids: for each ranking, the id of each job's row in the page.
        known: for each ranking, what probabilities are computed from; empty: the page tells none.
    """
    candidates = [one for ranking in rankings for one in ranking.candidates]
    bounds = {each: [high for one in candidates if (high := latency(one, each)[1])] for each in PERCENTILES}
    percentiles = tuple(each for each in PERCENTILES if bounds[each])
    if not percentiles:
        return None
    found = [high for each in percentiles for high in bounds[each]]
    names = Names(candidates)
    files: dict[Identity, str] = {}
    for one in candidates:
        files.setdefault(identity(one), names.file(one, FILE_NAME))
    numbers = {file: number for number, file in enumerate(files)}
    each_known = known or [{} for _ in rankings]
    rows = [
        _rows(ranking, row_ids, names, numbers, curves)
        for ranking, row_ids, curves in zip(rankings, ids, each_known, strict=True)
    ]
    return Budgets(
        percentiles=percentiles,
        low_ms=_rounded(min(found) / ROOM, math.floor),
        high_ms=_rounded(max(found) * ROOM, math.ceil),
        accuracies=any(one.top1 is not None for one in candidates),
        limits=tuple(each.name for each in LIMITS if any(each.read(one) is not None for one in candidates)),
        data=msgspec.json.encode(
            {"limits": [_told(each) for each in LIMITS], "files": list(files.values()), "candidates": rows}
        ).decode(),
    )


def devices(rankings: Sequence[Ranking]) -> str:
    """JSON: of the devices, in the order of `Budgets.data`, the name, what names its run to `edgeprof choose`, and what
    measures it again (as `rank.choice_words.again`)."""
    several = len(rankings) > 1
    return msgspec.json.encode(
        [
            {
                "name": clean(one.device),
                "asked": _asked("--device", one.device) if several else _asked("--run", one.run),
                "again": _again(one.training),
                "option": _asked("--device", one.device),
            }
            for one in rankings
        ]
    ).decode()


def latency(one: Candidate, percentile: int) -> tuple[float | None, float | None]:
    """A percentile of the latency in ms, and the upper end of its interval, which a budget is held against."""
    found = {
        50: (one.median_ms, one.median_high_ms),
        90: (one.p90_ms, one.p90_high_ms),
        99: (one.p99_ms, one.p99_high_ms),
    }
    return found[percentile]


def _asked(option: str, name: str) -> str:
    """An option as a shell reads it, whatever the name is; one that begins like an option stays a value."""
    quoted = shlex.quote(clean(name))
    return f"{option}={quoted}" if name.startswith("-") else f"{option} {quoted}"


def _again(training: str | None) -> str:
    """The command without its devices."""
    if training is None:
        return "profile FILE... --fresh"
    return "run --fresh" if training == "demo" else f"run --fresh {_asked('--training', training)}"


def _told(one: LimitField) -> dict[str, object]:
    return {key: value for key, value in one._asdict().items() if key != "read"}


def _rows(
    ranking: Ranking,
    ids: Mapping[str, str],
    names: Names,
    files: Mapping[Identity, int],
    known: Mapping[str, Curves],
) -> list[list[object]]:
    # The last of the rules that settle a tie: by job. Scripts compare text by other rules than Python.
    order = {job: place for place, job in enumerate(sorted({one.job for one in ranking.candidates}))}
    return [
        [
            ids[one.job],
            names.full(one),
            files[identity(one)],
            None if one.trusted else clean("; ".join(one.reasons)) or "no reason given",
            order[one.job],
            [one.top1_low, one.top1_high, one.test_images],
            [each.read(one) for each in LIMITS],
            [number for each in PERCENTILES for number in latency(one, each)],
            *([curve_numbers(known, one.job)] if known else []),
        ]
        for one in ranking.candidates
    ]


def _rounded(value: float, towards: Callable[[float], int]) -> float:
    """To `DIGITS` significant digits, down or up."""
    power = math.floor(math.log10(value)) - DIGITS + 1
    return float(f"{towards(value / 10.0**power)}e{power}")
