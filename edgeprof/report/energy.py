"""The energy of an inference: who has one, by which sensor, and why the others have none."""

from __future__ import annotations

from collections.abc import Sequence

from edgeprof.records import Candidate, Energy, Interval, Ranking, Record
from edgeprof.report.drawing import Spec
from edgeprof.report.starts import bars
from edgeprof.report.words import Names


class Spent(Record):
    """One candidate and what it spends."""

    candidate: Candidate
    found: Energy
    slowed: str
    """By how much reading the sensor slowed it down, in per cent."""
    slowed_span: str


class Told(Record):
    """What the section says."""

    rows: tuple[Spent, ...]
    """Those with an energy, in the ranking's order."""
    missing: tuple[tuple[str, int], ...]
    """Why others have none, and how many."""
    sensors: tuple[tuple[str, str], ...]
    """Names, and what they cover."""


def told(ranking: Ranking) -> Told | None:
    """None where it was not asked for."""
    if not ranking.energy:
        return None
    by_job = {one.job: one for one in ranking.energy}
    pairs = [(one, by_job[one.job]) for one in ranking.candidates if one.job in by_job]
    reasons = [found.reason for _, found in pairs if found.reason is not None]
    sensors = [(found.sensor, found.covers) for _, found in pairs if found.sensor is not None]
    return Told(
        rows=tuple(
            Spent(candidate=one, found=found, slowed=_slowed(found.slowed), slowed_span=_span(found.slowed))
            for one, found in pairs
            if found.energy_mj
        ),
        missing=tuple((reason, reasons.count(reason)) for reason in dict.fromkeys(reasons)),
        sensors=tuple((name, covers or "") for name, covers in dict.fromkeys(sensors) if name is not None),
    )


def _slowed(ratio: Interval | None) -> str:
    return "not known" if ratio is None else f"{_share(ratio.value)}%"


def _span(ratio: Interval | None) -> str:
    if ratio is None or ratio.low is None or ratio.high is None:
        return "no interval"
    return f"{_share(ratio.low)} to {_share(ratio.high)}"


def _share(ratio: float) -> str:
    shown = f"{100 * (ratio - 1):.1f}"
    return "0.0" if float(shown) == 0 else shown.replace("-", "\u2212")


def chart(candidates: Sequence[Candidate], names: Names, *, width: int) -> Spec:
    """A bar per candidate with an energy: what the idle device takes in the time (pale), then the rest (full), in mJ.

    Where the rest is lost in noise and below zero, all of the bar is pale.
    """
    values = []
    for row, one in enumerate(candidates):
        assert one.energy_mj is not None
        rest = max(0.0, one.energy_above_idle_mj or 0.0)
        label = names.short(one)
        ends = {"a": max(0.0, one.energy_mj - rest), "b": one.energy_mj}
        values.append({"row": row, "label": label, "format": one.format, **ends})
    spec = bars(values, width, "Millijoule an inference")
    spec["description"] = f"Energy of an inference of {len(values)} candidates; the table holds the same numbers."
    return spec
