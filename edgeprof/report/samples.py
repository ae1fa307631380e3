"""Raw samples made small enough to draw, without hiding a single outlier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeprof.records import Measurement, Record

BUCKETS = 24
"""Most columns that a round is drawn with."""
COLUMNS = 140
"""About as many columns as a candidate is drawn with when it has many rounds: a page of many stays small."""
ROWS = 60
"""Most candidates that have a row in one drawing."""
FEWEST = 4
GAP = 3
"""Columns between rounds."""


class Spread(Record):
    """Where the samples of one candidate lie, all rounds together, in ms."""

    low: float
    p10: float
    p25: float
    p50: float
    p75: float
    p90: float
    high: float


class Bucket(Record):
    """Samples that follow one another in one round: the smallest, the middle and the largest of them, in ms."""

    round: int
    position: float
    """Column in the drawing; rounds follow one another with a gap."""
    low: float
    middle: float
    high: float


def spread(measurement: Measurement) -> Spread:
    """The quantiles of all samples of a measurement that has some."""
    pooled = np.concatenate([np.asarray(one.samples_ns, dtype=np.float64) for one in measurement.rounds]) / 1e6
    low, p10, p25, p50, p75, p90, high = (float(q) for q in np.quantile(pooled, (0, 0.1, 0.25, 0.5, 0.75, 0.9, 1)))
    return Spread(low=low, p10=p10, p25=p25, p50=p50, p75=p75, p90=p90, high=high)


def in_time_order(measurement: Measurement, buckets: int | None = None) -> list[Bucket]:
    """Every round cut into at most `buckets` equal stretches of time order; each sample is in exactly one of them."""
    rounds = [one for one in measurement.rounds if one.samples_ns]
    buckets = buckets or max(FEWEST, min(BUCKETS, COLUMNS // max(1, len(rounds))))
    drawn = []
    for number, one in enumerate(rounds):
        samples = np.asarray(one.samples_ns, dtype=np.float64) / 1e6
        pieces = np.array_split(samples, min(buckets, samples.size))
        for index, piece in enumerate(pieces):
            column = (index + 0.5) / len(pieces) * buckets
            drawn.append(
                Bucket(
                    round=number,
                    position=number * (buckets + GAP) + column,
                    low=float(piece.min()),
                    middle=float(np.median(piece)),
                    high=float(piece.max()),
                )
            )
    return drawn


def by_job(measurements: Sequence[Measurement]) -> dict[str, Measurement]:
    """The measurements that have samples, by the job of their cell."""
    return {one.cell.job: one for one in measurements if any(each.samples_ns for each in one.rounds)}
