"""Two runs, candidate by candidate. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeprof.rank import comparable
from edgeprof.records import Artifact, Identity, Interval, Measurement, OnSameImages, Round, Run
from edgeprof.records.compared import (
    CandidateChange,
    ChangeVerdict,
    Difference,
    Moved,
    RunsCompared,
)
from edgeprof.records.measured import LASTING
from edgeprof.stats import accuracy
from edgeprof.stats.changes import Change, change
from edgeprof.stats.intervals import block_quantiles

TOLD_BY_THE_INTERVAL = frozenset({"interval wide", "too few samples"})
"""Reasons for distrust that a change's own interval tells."""


class Answered(NamedTuple):
    """What a file said of test images."""

    right: NDArray[np.bool_]
    """[N], for each whether it is right."""
    images: object
    """Which images: equal for the same ones in the same order."""


class Side(NamedTuple):
    """A candidate of a run."""

    measurement: Measurement
    artifact: Artifact
    answered: Answered | None = None

    @property
    def identity(self) -> Identity:
        """Without the device: runs of two devices may be compared knowingly."""
        return msgspec.structs.replace(
            self.measurement.cell.identity, device=None, threads=self.measurement.cell.threads
        )

    @property
    def rounds(self) -> list[Round]:
        """Those with samples."""
        return [one for one in self.measurement.rounds if one.samples_ns and min(one.samples_ns) > 0]


class Held(NamedTuple):
    """A run and its candidates."""

    run: Run
    sides: Sequence[Side]


Quantity = Callable[[Sequence[Round]], list[float]]
"""One positive number a round; rounds that do not know it are left out."""


def medians_ms(rounds: Sequence[Round]) -> list[float]:
    """The median of each round."""
    return [value / 1e6 for value in block_quantiles([one.samples_ns for one in rounds], 0.5)]


def p90s_ms(rounds: Sequence[Round]) -> list[float]:
    """The 90th percentile of each round."""
    return [value / 1e6 for value in block_quantiles([one.samples_ns for one in rounds], 0.9)]


def peaks(rounds: Sequence[Round]) -> list[float]:
    """The largest resident set of each round's process, in bytes."""
    return [float(one.peak_rss_bytes) for one in rounds if one.peak_rss_bytes]


def compare(
    one: Held, other: Held, differences: tuple[Difference, ...], zone: float, others: Sequence[Held] = ()
) -> RunsCompared:
    """The change of each candidate that both have.

    Args:
        zone: as a share, above 0.
        others: further runs; where they have the same file under the same facts, they tell how far runs spread.
    """
    before = Before(*([each, *(run for run in others if alike(run, each))] for each in (one, other)))
    pairs, only_one, only_other = match(one.sides, other.sides)
    return RunsCompared(
        one=one.run.run,
        one_started_at=one.run.started_at,
        other=other.run.run,
        other_started_at=other.run.started_at,
        zone=zone,
        differences=differences,
        canary=canary(one.sides, other.sides),
        changes=tuple(_change(*pair, zone, before) for pair in pairs),
        only_one=tuple(side.identity for side in only_one),
        only_other=tuple(side.identity for side in only_other),
    )


def match(one: Sequence[Side], other: Sequence[Side]) -> tuple[list[tuple[Side, Side]], list[Side], list[Side]]:
    """The candidates of the same identity, and those of one alone.

    Where several of a run have one identity (ready files of one name), the same file comes first, then their order.
    """
    left = list(other)
    found: dict[int, Side] = {}

    def take(alike: Callable[[Side, Side], bool]) -> None:
        for place, side in enumerate(one):
            if place not in found:
                its = next((each for each in left if side.identity == each.identity and alike(side, each)), None)
                if its is not None:
                    found[place] = its
                    left.remove(its)

    take(lambda side, each: side.artifact.artifact_sha == each.artifact.artifact_sha)
    take(lambda side, each: True)
    pairs = [(side, found[place]) for place, side in enumerate(one) if place in found]
    return pairs, [side for place, side in enumerate(one) if place not in found], left


def canary(one: Sequence[Side], other: Sequence[Side]) -> Interval | None:
    """How the fixed workload beside the blocks changed, over all rounds; None where a run has none."""
    here, there = ([float(min(ns)) for ns in _canaries(sides) if ns and min(ns) > 0] for sides in (one, other))
    return change(here, there).ratio if here and there else None


def _canaries(sides: Sequence[Side]) -> list[tuple[int, ...]]:
    return [each.canary_ns for side in sides for each in side.rounds]


def _change(one: Side, other: Side, zone: float, before: Before) -> CandidateChange:
    median = moved(one, other, medians_ms, before)
    assert median is not None
    p90 = moved(one, other, p90s_ms, before)
    assert p90 is not None
    same_file = one.artifact.artifact_sha == other.artifact.artifact_sha
    verdict, why = told(one, other, median, zone)
    top1 = None if same_file else on_same_images(one, other)
    return CandidateChange(
        identity=one.identity,
        one_job=one.measurement.cell.job,
        other_job=other.measurement.cell.job,
        same_file=same_file,
        verdict=verdict,
        why=why,
        median_ms=median,
        p90_ms=p90,
        one_size_bytes=one.artifact.size_bytes,
        other_size_bytes=other.artifact.size_bytes,
        memory_bytes=moved(one, other, peaks, before),
        one_top1=one.artifact.accuracy.top1 if one.artifact.accuracy else None,
        other_top1=other.artifact.accuracy.top1 if other.artifact.accuracy else None,
        top1=top1,
        top1_verdict=None if top1 is None else _better(top1.difference),
        notes=tuple(_notes(one, other)),
    )


def moved(one: Side, other: Side, quantity: Quantity, before: Before) -> Moved | None:
    """A quantity's change; None where a side does not know it."""
    here, there = quantity(one.rounds), quantity(other.rounds)
    if not (here and there):
        return None
    found: Change = change(here, there, _history(one, other, quantity, before))
    values = [math.exp(float(np.log(some).mean())) for some in (here, there)]
    return Moved(one=values[0], other=values[1], ratio=found.ratio, runs=found.runs)


class Before(NamedTuple):
    """Runs that tell how far runs spread: whose facts are those of the one (itself among them), or of the other."""

    like_one: Sequence[Held]
    like_other: Sequence[Held]


def _history(one: Side, other: Side, quantity: Quantity, before: Before) -> list[list[list[float]]]:
    """The same files at the same setting in other runs: for each file its runs, of each the numbers of its rounds."""
    used = {other.measurement.run}  # what is asked is whether it differs
    found = []
    for side, runs in ((one, before.like_one), (other, before.like_other)):
        same: list[list[float]] = []
        for held in runs:
            its = [each for each in held.sides if _same_cell(each, side)]
            known = quantity(its[0].rounds) if its and held.run.run not in used else []
            if known:
                same.append(known)
        if one.artifact.artifact_sha == other.artifact.artifact_sha:
            used |= {held.run.run for held in runs}
        found.append(same)
    return found


def _same_cell(one: Side, other: Side) -> bool:
    """The same bytes in the same setting."""
    return (one.artifact.artifact_sha, _setting(one)) == (other.artifact.artifact_sha, _setting(other))


def _setting(side: Side) -> tuple[int, str | None]:
    return side.measurement.cell.threads, side.measurement.cell.provider


def told(one: Side, other: Side, median: Moved, zone: float) -> tuple[ChangeVerdict, str | None]:
    """The verdict on the other's latency, or why there is none."""
    here, there = _doubts(one), _doubts(other)
    shared = here & there & LASTING  # a property of both, such as a governor that is not fixed
    doubts = [
        f"run {side.measurement.run}: {', '.join(sorted(some - shared))}"
        for side, some in ((one, here), (other, there))
        if some - shared
    ]
    if doubts:
        return "cannot tell", f"not trusted in {'; '.join(doubts)}"
    low, high, edge = median.ratio.low, median.ratio.high, 1 + zone
    if low is None or high is None:
        return "cannot tell", "fewer than 3 rounds"
    if high < 1 / edge:
        return "faster", None
    if low > edge:
        return "slower", None
    if 1 / edge <= low and high <= edge:
        return "same", None
    return "cannot tell", f"its interval holds changes of less and of more than {100 * zone:g}%"


def _doubts(side: Side) -> frozenset[str]:
    return frozenset(side.measurement.reasons) - TOLD_BY_THE_INTERVAL


def on_same_images(one: Side, other: Side) -> OnSameImages | None:
    """The other (first) against the one; None where they did not answer the same images."""
    if one.answered is None or other.answered is None or one.answered.images != other.answered.images:
        return None
    found = accuracy.paired(other.answered.right, one.answered.right)
    return OnSameImages(
        images=found.images,
        only_first=found.only_first,
        only_second=found.only_second,
        difference=found.difference,
        p=found.p,
    )


def _better(difference: Interval) -> Literal["better", "worse", "cannot tell"]:
    if difference.low is not None and difference.low > 0:
        return "better"
    return "worse" if difference.high is not None and difference.high < 0 else "cannot tell"


def _notes(one: Side, other: Side) -> Iterable[str]:
    for name, field in (("ran on", "runs_on"), ("executed in", "precision_executed")):
        here, there = (" / ".join(dict.fromkeys(getattr(each, field) for each in side.rounds)) for side in (one, other))
        if here != there:
            yield f"{name} {here}, then {there}"


def alike(one: Held, other: Held) -> bool:
    """Whether the facts of two runs are such that their numbers may be compared."""
    return not comparable.refused(comparable.differences(comparable.basis(one.run), comparable.basis(other.run)))
