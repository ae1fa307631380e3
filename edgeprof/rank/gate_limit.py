"""One candidate against the limits of a gate. Pure."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from edgeprof.errors import RecordError
from edgeprof.records import PASSING, Interval
from edgeprof.records.gate import (
    BaselineCandidate,
    GateCalibration,
    GateLimits,
    GateVerdict,
    Judgement,
    KnownTop1,
    RoundNumbers,
)
from edgeprof.stats import accuracy, regression
from edgeprof.stats.intervals import wilson

if TYPE_CHECKING:
    from edgeprof.rank.gate import Again

P99_SAMPLES = 100
"""Fewest samples in each round for its 99th percentile: one lies above it."""
OVER_BEFORE = "over the budget in the baseline too"
SAME_FILE = "the baseline's own file, byte for byte"
How = Literal["run", "in turn", "again", "exact"]


@dataclass(frozen=True)
class Case:
    """A candidate then and now, and what it is held against."""

    before: BaselineCandidate
    now: BaselineCandidate
    again: Again | None
    limits: GateLimits
    alpha: float
    """One-sided error of each judgement that chance has a part in."""
    not_comparable: tuple[str, ...]
    """Facts that differ and are not allowed to."""
    allowed: tuple[str, ...]
    calibration: GateCalibration | None

    @property
    def new_reasons(self) -> list[str]:
        """Lasting reasons not to trust it that the baseline does not have: measuring again does not change them."""
        return [one for one in self.now.reasons if one not in PASSING and one not in self.before.reasons]


def random_limits(limits: GateLimits) -> int:
    """Limits of one candidate that chance has a part in."""
    return len(limits.latency) + sum(one is not None for one in (limits.top1, limits.memory, limits.budget_ms))


def judgements(case: Case) -> list[Judgement]:
    """One for each limit."""
    found = [_latency(case, one.percentile, one.share) for one in case.limits.latency]
    for limit, judged in (
        (case.limits.top1, _top1),
        (case.limits.size, _size),
        (case.limits.memory, _memory),
        (case.limits.budget_ms, _budget),
    ):
        if limit is not None:
            one = judged(case, limit)
            if one is not None:
                found.append(one)
    return found


# --- latency


def _latency(case: Case, percentile: int, share: float) -> Judgement:
    name = f"p{percentile}"
    before, now = _column(case.before.rounds, name), _column(case.now.rounds, name)
    levels = _levels(before, now)

    def told(
        verdict: GateVerdict, reason: str, found: regression.Finding | None = None, how: How = "run", open: bool = False
    ) -> Judgement:
        change = levels[1] / levels[0] - 1
        interval = Interval(value=change, low=None, high=None)
        if found is not None:
            interval = Interval(value=found.change, low=found.low, high=found.high)
        return _judgement(case, name, *levels, interval, share, verdict, reason, how, open)

    if case.not_comparable:
        return told("cannot tell", _not_comparable(case))
    if case.new_reasons:
        return told("cannot tell", f"not to be trusted: {', '.join(case.new_reasons)}")
    if percentile == 99:
        least = min(*case.before.rounds.samples, *case.now.rounds.samples)
        if least < P99_SAMPLES:
            return told("cannot tell", f"p99 is not measured: a round has {least} samples, it takes {P99_SAMPLES}")
    if case.before.artifact_sha == case.now.artifact_sha and not case.allowed:
        moved = levels[1] / levels[0] - 1
        device = f"; the device is {_percent(moved)} now" if abs(moved) >= share else ""
        return told("pass", SAME_FILE + device, how="exact")
    again = case.again
    if again is not None and again.failed is not None:
        return told("infrastructure", f"it could not be measured again: {again.failed}", how="again")
    if again is not None and again.reasons:
        return told("cannot tell", f"measured again, not to be trusted: {', '.join(again.reasons)}", how="again")
    if again is not None and again.before is not None:
        levels = _levels(_column(again.before, name), _column(again.now, name))
        logs = [
            math.log(one / other)
            for one, other in zip(_column(again.now, name), _column(again.before, name), strict=False)
        ]
        found = regression.in_turn(logs, share, case.alpha, over=again.over)
        pairs = f"{found.rounds} pairs in turn with the baseline's file"
        return told(*_words(found, share, pairs), found, "in turn", found.verdict == "undecided")
    known = case.calibration
    found = regression.apart(
        before,
        [*now, *_column(again.now, name)] if again else now,
        share,
        case.alpha,
        between_sd=known.between_sd if known else regression.UNKNOWN_BETWEEN,
        between_df=known.between_df if known else None,
        runs=2 if again else 1,
    )
    doubts = [one for one in case.now.reasons if one in PASSING]
    if doubts and again is None:
        return told("cannot tell", f"not to be trusted: {', '.join(doubts)}", found, open=True)
    return told(
        *_words(found, share, "measured apart from the baseline"),
        found,
        "again" if again else "run",
        # Without a calibration a device that is faster today may hide what became slower.
        found.verdict != "pass" or known is None,
    )


def _words(found: regression.Finding, share: float, how: str) -> tuple[GateVerdict, str]:
    limit = f"{100 * share:g}%"
    if found.verdict == "pass":
        return "pass", f"surely less than {limit} more; {how}"
    if found.verdict == "fail":
        if found.low is not None and found.low >= share:
            return "fail", f"surely more than {limit} more; {how}"
        return "fail", f"surely more, and {limit} more are not excluded; {how}"
    return "cannot tell", f"neither sure that it is more nor that it is less than {limit} more; {how}"


def _levels(before: Sequence[float], now: Sequence[float]) -> tuple[float, float]:
    """In ms."""
    return float(np.median(before)) / 1e6, float(np.median(now)) / 1e6


def _column(rounds: RoundNumbers, name: str) -> list[float]:
    return [float(one) for one in getattr(rounds, f"{name}_ns")]


# --- memory


def _memory(case: Case, share: float) -> Judgement | None:
    before, now = _known(case.before.rounds), _known(case.now.rounds)
    if case.again is not None:
        now += _known(case.again.now)
        before += _known(case.again.before) if case.again.before is not None else []
    if not before and not now and "memory" not in case.limits.asked:
        return None  # this device does not tell, and nobody asked
    levels = (float(np.median(before)) if before else None, float(np.median(now)) if now else None)

    def told(
        verdict: GateVerdict, reason: str, change: Interval | None = None, how: How = "run", open: bool = False
    ) -> Judgement:
        return _judgement(case, "memory", *levels, change, share, verdict, reason, how, open)

    if not before or not now:
        who = "the baseline" if not before else "this run"
        return told("cannot tell", f"memory is not measured in {who}: the device does not tell the peak of a process")
    if case.not_comparable:
        return told("cannot tell", _not_comparable(case))
    # Pages do not drift with the device's clock or heat, so nothing is added from run to run.
    found = regression.apart(before, now, share, case.alpha, between_sd=0.0, between_df=None)
    how: How = "again" if case.again is not None else "run"
    change = Interval(value=found.change, low=found.low, high=found.high)
    return told(*_words(found, share, "peak of the process"), change, how, found.verdict != "pass")


def _known(rounds: RoundNumbers) -> list[float]:
    return [float(one) for one in rounds.peak_rss_bytes if one]


# --- what is exact


def _size(case: Case, share: float) -> Judgement:
    before, now = case.before.size_bytes, case.now.size_bytes
    change = now / before - 1 if before else 0.0 if not now else math.inf
    worse = change > share * (1 + 1e-9)  # 2% of 1000 bytes are 20, whatever floats make of it
    reason = "larger" if change > 0 else "smaller" if change < 0 else "the same"
    change = min(change, 1e9)
    return _judgement(
        case,
        "size",
        float(before),
        float(now),
        Interval(value=change, low=change, high=change),
        share,
        "fail" if worse else "pass",
        f"{reason}: {before} bytes then, {now} now",
        "exact",
        False,
    )


def _top1(case: Case, points: float) -> Judgement | None:
    before, now = case.before.top1, case.now.top1
    levels = (before.top1 if before else None, now.top1 if now else None)

    def told(verdict: GateVerdict, reason: str, change: Interval | None = None) -> Judgement:
        return _judgement(case, "top1", *levels, change, points, verdict, reason, "exact", False)

    if before is None and now is None and "top1" not in case.limits.asked:
        return None  # ready files have none, and nobody asked
    if before is None or now is None:
        who = "the baseline" if before is None else "this run"
        return told("cannot tell", f"top-1 is not known in {who}, as for a ready file")
    if before.labels_sha is not None and now.labels_sha is not None and before.labels_sha != now.labels_sha:
        return told("cannot tell", f"other test images: {before.images} then, {now.images} now")
    drop, level = before.top1 - now.top1, 1 - 2 * case.alpha
    if case.before.artifact_sha == case.now.artifact_sha and before.top1 == now.top1:
        return told("pass", "the same file, byte for byte, and as accurate as it was")
    one, other = unpacked(before), unpacked(now)
    if one is not None and other is not None and before.labels_sha == now.labels_sha:
        paired = accuracy.paired(one, other, level)
        change = paired.difference
        lost, gained = paired.only_first, paired.only_second
        words = f"{lost} of {paired.images} images lost, {gained} won"
    else:
        change = _apart(before, now, level)
        words = f"{before.images} images then, {now.images} now, not the same ones for all that is known"
    if drop <= points + 1e-12:
        return told("pass", words, change)
    if change.low is not None and change.low > 0:
        return told("fail", words, change)
    return told("cannot tell", f"{words}: so few may be chance", change)


def _apart(before: KnownTop1, now: KnownTop1, level: float) -> Interval:
    """Difference of two independent shares: Newcombe 1998, doi 10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>
    3.0.CO;2-I, method 10."""
    one, other = (wilson(each.top1 * each.images, each.images, level) for each in (before, now))
    bounds = (one.low, one.high, other.low, other.high)
    down, up, its_down, its_up = (0.0 if each is None else each for each in bounds)
    drop = one.value - other.value
    return Interval(
        value=drop,
        low=drop - math.hypot(one.value - down, its_up - other.value),
        high=drop + math.hypot(up - one.value, other.value - its_down),
    )


def packed(right: NDArray[np.bool_]) -> str:
    """See `KnownTop1.right`."""
    return base64.b64encode(np.packbits(right).tobytes()).decode()


def unpacked(known: KnownTop1) -> NDArray[np.bool_] | None:
    """[images]; None where it is not kept.

    Raises:
        RecordError: it is of another length, or no base64.
    """
    if known.right is None:
        return None
    try:
        bits = np.unpackbits(np.frombuffer(base64.b64decode(known.right, validate=True), dtype=np.uint8))
    except (binascii.Error, ValueError):
        bits = np.zeros(0, dtype=np.uint8)
    if not known.images <= bits.size < known.images + 8:
        raise RecordError("the list of right answers is damaged", hint="write the baseline anew: --update")
    return bits[: known.images].astype(np.bool_)


# --- the budget


def _budget(case: Case, budget_ms: float) -> Judgement:
    before, now = case.before.p90_ms, case.now.p90_ms
    how: How = "run"
    if case.again is not None:
        now, how = case.again.p90_ms, "again"

    def told(verdict: GateVerdict, reason: str, open: bool = False) -> Judgement:
        return _judgement(case, "budget", before.value, now.value, None, budget_ms, verdict, reason, how, open)

    if case.not_comparable:
        return told("cannot tell", _not_comparable(case))
    if now.high is None or now.low is None:
        return told("cannot tell", "too little was measured to bound p90", open=True)
    if now.high <= budget_ms:
        return told("pass", f"p90 is at most {now.high:.4g} ms")
    if before.high is None or before.high > budget_ms:
        return told("pass", f"{OVER_BEFORE}: p90 was at most {_number(before.high)} ms, and is {now.value:.4g} ms")
    if now.low > budget_ms:
        return told("fail", f"p90 is at least {now.low:.4g} ms", open=case.again is None)
    return told("cannot tell", f"p90 lies between {now.low:.4g} and {now.high:.4g} ms", open=True)


# --- words


def _judgement(
    case: Case,
    limit: str,
    before: float | None,
    now: float | None,
    change: Interval | None,
    allowed: float | None,
    verdict: GateVerdict,
    reason: str,
    how: How,
    open: bool,
) -> Judgement:
    return Judgement(
        candidate=case.before.label,
        identity=case.before.identity,
        limit=limit,
        baseline=before,
        current=now,
        change=change,
        allowed=allowed,
        verdict=verdict,
        reason=reason,
        how=how,
        open=open,
    )


def _not_comparable(case: Case) -> str:
    return f"not comparable: {'; '.join(case.not_comparable)}"


def _number(value: float | None) -> str:
    return "an unknown number of" if value is None else f"{value:.4g}"


def _percent(change: float) -> str:
    return f"{100 * abs(change):.0f}% {'slower' if change > 0 else 'faster'}"


def check_rounds(rounds: RoundNumbers) -> str | None:
    """What is wrong with them; None: nothing."""
    columns: Sequence[tuple[str, Sequence[int | None]]] = [
        (name, getattr(rounds, name))
        for name in ("samples", "p50_ns", "p90_ns", "p99_ns", "canary_ns", "peak_rss_bytes")
    ]
    count = len(rounds.samples)
    if not count:
        return "there are no rounds"
    for name, values in columns:
        if len(values) != count:
            return f"{name} has {len(values)} rounds, samples has {count}"
        least = 1 if name in ("samples", "p50_ns", "p90_ns", "p99_ns") else 0
        if any(one is not None and not least <= one < 2**62 for one in values):
            return f"{name} has a number that cannot be"
    if any(not a <= b <= c for a, b, c in zip(rounds.p50_ns, rounds.p90_ns, rounds.p99_ns, strict=True)):
        return "a higher percentile lies below a lower one"
    return None
