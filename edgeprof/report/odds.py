"""What the page computes probabilities from: of each candidate, how probable it is that a latency is below a limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgeprof.records import Measurement, Record
from edgeprof.stats import beliefs

PERCENTILES = (50, 90, 99)
TOLERANCE = 0.002
"""Most that a probability is off for being drawn through fewer points."""


class Curve(Record):
    """A confidence distribution: the latency is at most `ms[i]` with probability `below[i]`; between two points the
    probability is linear in the logarithm of the latency."""

    ms: tuple[float, ...]
    below: tuple[float, ...]


Curves = tuple[Curve | None, ...]
"""Of each of `PERCENTILES`; None where too few rounds tell nothing."""


def curves(measurements: Sequence[Measurement]) -> dict[str, Curves]:
    """By job, of those that are trusted: nothing else is ever chosen."""
    return {one.cell.job: tuple(_curve(one, each) for each in PERCENTILES) for one in measurements if one.trusted}


def curve_numbers(found: Mapping[str, Curves], job: str) -> list[object]:
    """For the page: of each percentile its values and probabilities, or None."""
    return [None if one is None else [one.ms, one.below] for one in found.get(job, (None,) * len(PERCENTILES))]


def _curve(measurement: Measurement, percentile: int) -> Curve | None:
    found = beliefs.of_latency([one.samples_ns for one in measurement.rounds if one.samples_ns], percentile)
    if found is None:
        return None
    thin = found.thinned(TOLERANCE)
    return Curve(
        ms=tuple(float(f"{value / 1e6:.7g}") for value in thin.values),
        below=tuple(round(float(each), 4) for each in thin.below),
    )
