"""From the windows of a power sensor to the energy of an inference, with its interval over rounds. Pure.

A round is one fresh process: the mean power of its busy window, times the window's length, divided by its inferences;
and the same after the mean power of its idle window is taken off. Rounds are independent of each other as far as
processes are, readings within a window are not; so the intervals are Student's t over the rounds (Student 1908, doi
10.1093/biomet/6.1.1): of the logarithms, since energies spread by shares, but for the difference to idle, which may be
zero or less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from edgeprof.records import Energy, Interval, Metered, PowerWindow

MIN_ROUNDS = 3
"""For an interval."""
MIN_READINGS = 10
"""Measurements of the sensor that a window must hold: with fewer, its ends and the sensor's own averaging weigh more
than what runs in it."""


class _Figures(NamedTuple):
    """One round in figures."""

    energy_mj: float
    above_idle_mj: float
    power_w: float
    idle_w: float
    busy: PowerWindow


def of_cell(job: str, rounds: Sequence[Metered], why_none: str | None = None) -> Energy:
    """The energy of an inference of a cell; without a figure, and with the reason, where the rounds give none.

    Args:
        why_none: the reason where there are no rounds.
    """
    if not rounds:
        return Energy(job=job, reason=why_none or "not measured")
    last = rounds[-1]
    about = Energy(job=job, sensor=last.sensor, covers=last.covers)
    same = [one for one in rounds if one.sensor == last.sensor]
    figures = [found for one in same if (found := _figures(one)) is not None]
    if not figures:
        return Energy(job=job, reason=_reason(same), sensor=last.sensor, covers=last.covers)
    return Energy(
        job=job,
        sensor=about.sensor,
        covers=about.covers,
        energy_mj=log_mean([one.energy_mj for one in figures]),
        above_idle_mj=_mean([one.above_idle_mj for one in figures]),
        power_w=float(np.mean([one.power_w for one in figures])),
        idle_power_w=float(np.mean([one.idle_w for one in figures])),
        rounds=len(figures),
        inferences=sum(one.busy.inferences for one in figures),
        seconds=sum(one.busy.elapsed_ns for one in figures) / 1e9,
        readings=min(readings(one, window) for one in same for window in one.windows if window.at_ns),
        slowed=_slowed(same),
    )


def mean_power_w(one: Metered, window: PowerWindow) -> float | None:
    """Over the time between the first and the last reading of a window; None where they tell none."""
    at, values = window.at_ns, window.values
    if len(at) < 2 or at[-1] <= at[0]:
        return None
    if one.counts == "power":
        held = sum((later - before) * (low + high) / 2 for (before, low), (later, high) in pairwise(_rows(window)))
        return held / (at[-1] - at[0]) / 1e6
    grown = [_grown(low, high, one.wraps) for low, high in pairwise(values)]
    if any(step is None for step in grown):
        return None
    return sum(step for step in grown if step is not None) / (at[-1] - at[0]) * 1e3


def _rows(window: PowerWindow) -> list[tuple[int, int]]:
    return list(zip(window.at_ns, window.values, strict=True))


def _grown(before: int, after: int, wraps: int | None) -> int | None:
    """By how much a counter grew; it begins at 0 again after its largest value."""
    if after >= before:
        return after - before
    return None if wraps is None or before > wraps else after + wraps - before


def readings(one: Metered, window: PowerWindow) -> int:
    """How often the sensor measured in a window, as far as it can be known: from what it tells of itself, else by how
    often its reading changed."""
    if one.update_ns:
        return min(len(window.values), window.elapsed_ns // one.update_ns)
    return sum(before != after for before, after in pairwise(window.values)) + bool(window.values)


def _figures(one: Metered) -> _Figures | None:
    read = {window.state: window for window in one.windows if window.at_ns}
    idle, busy = read.get("idle"), read.get("busy")
    if idle is None or busy is None or not busy.inferences or _still(one):
        return None
    if min(readings(one, idle), readings(one, busy)) < MIN_READINGS:
        return None
    power, resting = mean_power_w(one, busy), mean_power_w(one, idle)
    if power is None or resting is None or power <= 0:
        return None
    milliseconds = busy.elapsed_ns / 1e6 / busy.inferences
    return _Figures(power * milliseconds, (power - resting) * milliseconds, power, resting, busy)


def _still(one: Metered) -> bool:
    """Whether the sensor told the very same value, idle and busy."""
    return len({value for window in one.windows for value in window.values}) < 2


def _reason(rounds: Sequence[Metered]) -> str:
    if all(_still(one) for one in rounds):
        return "the sensor told the same value whatever ran"
    fewest = min(
        (readings(one, window) for one in rounds if not _still(one) for window in one.windows if window.at_ns),
        default=0,
    )
    if fewest < MIN_READINGS:
        return f"too few readings of the sensor: {fewest} in a window, {MIN_READINGS} are needed"
    return "the readings of the sensor make no sense"


def _slowed(rounds: Sequence[Metered]) -> Interval | None:
    ratios = []
    for one in rounds:
        busy = [window for window in one.windows if window.state == "busy" and window.median_ns]
        read = next((window.median_ns for window in busy if window.at_ns), None)
        alone = next((window.median_ns for window in busy if not window.at_ns), None)
        if read and alone:
            ratios.append(read / alone)
    return log_mean(ratios) if ratios else None


def log_mean(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Mean on the logarithms with Student's t interval.

    Args:
        values: positive, at least one.
    """
    found = _mean([math.log(one) for one in values], confidence)
    if found.low is None or found.high is None:
        return Interval(value=math.exp(found.value), low=None, high=None)
    return Interval(value=math.exp(found.value), low=math.exp(found.low), high=math.exp(found.high))


def _mean(values: Sequence[float], confidence: float = 0.95) -> Interval:
    mean, rounds = float(np.mean(values)), len(values)
    if rounds < MIN_ROUNDS:
        return Interval(value=mean, low=None, high=None)
    half = _t(rounds, confidence) * float(np.std(values, ddof=1)) / math.sqrt(rounds)
    return Interval(value=mean, low=mean - half, high=mean + half)


def _t(rounds: int, confidence: float) -> float:
    return float(special.stdtrit(rounds - 1, 0.5 + confidence / 2))


class Known(NamedTuple):
    """What is known of an energy: that of `log_mean` at 95%, from which all else follows."""

    value: float
    high: float
    rounds: int

    @property
    def _scale(self) -> float:
        """Standard error of the mean logarithm."""
        return math.log(self.high / self.value) / _t(self.rounds, 0.95)

    def interval(self, confidence: float) -> Interval:
        """The same at another level."""
        half = self._scale * _t(self.rounds, confidence)
        return Interval(value=self.value, low=self.value * math.exp(-half), high=self.value * math.exp(half))

    def probability_within(self, limit: float) -> float:
        """That the true energy is at most `limit`."""
        if self._scale == 0:
            return float(self.value <= limit)
        return float(special.stdtr(self.rounds - 1, math.log(limit / self.value) / self._scale))

    def draws(self, uniform: NDArray[np.float64]) -> NDArray[np.float64]:
        """The energy at each of these probabilities."""
        found: NDArray[np.float64] = self.value * np.exp(self._scale * special.stdtrit(self.rounds - 1, uniform))
        return found


def known(value: float | None, high: float | None, rounds: int | None) -> Known | None:
    """Of a candidate's figures; None where there is no interval."""
    if value is None or high is None or rounds is None or rounds < MIN_ROUNDS:
        return None
    return Known(value, high, rounds)
