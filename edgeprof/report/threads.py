"""The same file at several numbers of threads: how latency falls, and what each thread is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgeprof.records import Candidate, Interval, Measurement, Record
from edgeprof.report.drawing import CONFIG, SCHEMA, Spec, colour
from edgeprof.report.words import Names
from edgeprof.stats.intervals import interval_of_median

AXIS = 38
HEIGHT = 96
ROOM = 1.25
"""Free space at either end of the axis of threads, as a factor."""


class Sweep(Record):
    """One file at two or more thread counts, fewest threads first."""

    candidates: tuple[Candidate, ...]
    speedups: tuple[Interval, ...]
    """Of each candidate against the first: above 1 when it is faster."""


def sweeps(candidates: Sequence[Candidate], measurements: Mapping[str, Measurement]) -> list[Sweep]:
    """The files that were measured at several thread counts, in the order of their best candidates.

    Args:
        measurements: by job; without them the speed-ups have no intervals.
    """
    files: dict[tuple[object, ...], list[Candidate]] = {}
    for one in candidates:
        key = (one.model, one.training, one.init, one.seed, one.exporter, one.artifact_sha)
        files.setdefault(key, []).append(one)
    found = []
    for same in files.values():
        ordered = sorted(same, key=lambda one: one.threads)
        if ordered[0].threads < ordered[-1].threads:
            speedups = tuple(_speedup(ordered[0], one, measurements) for one in ordered)
            found.append(Sweep(candidates=tuple(ordered), speedups=speedups))
    return found


def _speedup(base: Candidate, one: Candidate, measurements: Mapping[str, Measurement]) -> Interval:
    """The median over the rounds of the ratio of two round medians; rounds of the same number ran beside each other,
    so what slows the device slows both (Bulej et al. 2020, arXiv 2001.05811). The ratio of the medians, without an
    interval, where no round has a partner."""
    if one.job == base.job:
        return Interval(value=1.0, low=None, high=None)
    slow, fast = (_medians(measurements.get(job)) for job in (base.job, one.job))
    pairs = [slow[key] / fast[key] for key in slow if key in fast]
    if not pairs:
        return Interval(value=base.median_ms / one.median_ms, low=None, high=None)
    return interval_of_median(pairs)


def _medians(measurement: Measurement | None) -> dict[tuple[int, int], float]:
    rounds = measurement.rounds if measurement else ()
    return {(one.attempt, one.round): float(np.median(one.samples_ns)) for one in rounds if one.samples_ns}


def scaling(rows: Sequence[Sweep], names: Names, *, width: int, columns: int) -> Spec:
    """Small panels, one per file: median latency with its interval at each number of threads, and a dashed line for
    what it would be if every thread were worth as much as the first."""
    counts = sorted({one.threads for sweep in rows for one in sweep.candidates})
    x: Spec = {
        "field": "threads",
        "type": "quantitative",
        "scale": {"type": "log", "base": 2, "domain": [counts[0] / ROOM, counts[-1] * ROOM], "nice": False},
        "axis": {"values": counts, "format": "d", "grid": False, "labelOverlap": True, "labelFontSize": 10.5},
        "title": None,
    }
    y: Spec = {
        "type": "quantitative",
        "scale": {"zero": True},
        "axis": {"tickCount": 3, "labelFontSize": 10.5, "format": "~r", "minExtent": AXIS, "maxExtent": AXIS},
        "title": None,
    }
    ideal = {
        "mark": {"type": "line", "strokeDash": [3, 3], "strokeWidth": 1.2, "stroke": "var(--front)", "aria": False},
        "encoding": {"x": x, "y": {**y, "field": "ideal"}},
    }
    line = {
        "mark": {"type": "line", "strokeWidth": 2, "aria": False},
        "encoding": {"x": x, "y": {**y, "field": "median"}, "stroke": colour()},
    }
    interval = {
        "mark": {"type": "rule", "strokeWidth": 1.6, "aria": False},
        "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "stroke": colour()},
    }
    panels = [
        {
            "title": {
                "text": names.file(sweep.candidates[0], 42),
                "anchor": "start",
                "frame": "group",
                "fontSize": 11.5,
                "fontWeight": "normal",
            },
            "width": (width - columns * (AXIS + 16)) // columns,
            "height": HEIGHT,
            "data": {"values": [_point(one, sweep.candidates[0]) for one in sweep.candidates]},
            "layer": [ideal, line, interval, _points(x, y, trusted=True), _points(x, y, trusted=False)],
        }
        for sweep in rows
    ]
    return {
        "$schema": SCHEMA,
        "background": "transparent",
        "padding": 2,
        "description": f"Latency against threads of {len(rows)} files; the table below holds the same numbers.",
        "concat": panels,
        "columns": columns,
        "spacing": {"row": 18, "column": 14},
        "config": {**CONFIG, "title": {"color": "var(--ink)", "offset": 4}},
    }


def _point(one: Candidate, base: Candidate) -> Spec:
    return {
        "threads": one.threads,
        "median": one.median_ms,
        "low": one.median_ms if one.median_low_ms is None else one.median_low_ms,
        "high": one.median_ms if one.median_high_ms is None else one.median_high_ms,
        "ideal": base.median_ms * base.threads / one.threads,
        "format": one.format,
        "trusted": one.trusted,
    }


def _points(x: Spec, y: Spec, *, trusted: bool) -> Spec:
    mark: Spec = {"type": "point", "filled": trusted, "size": 46, "opacity": 1, "strokeWidth": 1.6, "aria": False}
    if not trusted:
        mark["fill"] = "var(--page)"
    return {
        "transform": [{"filter": {"field": "trusted", "equal": trusted}}],
        "mark": mark,
        "encoding": {"x": x, "y": {**y, "field": "median"}, "fill" if trusted else "stroke": colour()},
    }
