"""Every precision of a model side by side: what it saves, and what it costs in accuracy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeprof.records import Candidate, Record

ORDER = ("fp32", "fp16", "int8", "dynamic-int8")


class Beside(Record):
    """A file beside the 32-bit file of the same model, format and number of threads, if there is one."""

    candidate: Candidate
    latency: float | None
    """Median latency as a multiple of that file's."""
    size: float | None
    base: bool
    """It is that file."""


class InShort(Record):
    """All files of an exporter together."""

    exporter: str
    format: str
    precision: str
    files: int
    latency: float | None
    """Median over the files of `Beside.latency`."""
    size: float | None
    drop: float | None
    """Mean of the drops that are known."""
    largest_drop: float | None
    clear: int
    """Files whose drop is beyond noise: its interval excludes zero."""
    warned: int


def several(candidates: Sequence[Candidate]) -> bool:
    """Whether the precision is something to choose."""
    return len({one.precision for one in candidates}) > 1


def beside(candidates: Sequence[Candidate]) -> list[Beside]:
    """Each file once, at the fewest threads that all precisions of its model and format were measured at; those of a
    model, initialisation, seed and format follow one another."""
    groups: dict[tuple[object, ...], list[Candidate]] = {}
    for one in candidates:
        groups.setdefault((one.model, one.training, one.init, one.seed, one.format), []).append(one)
    found = []
    for same in groups.values():
        files: dict[str, dict[int, Candidate]] = {}
        for one in same:
            files.setdefault(one.exporter, {})[one.threads] = one
        common = set.intersection(*(set(by_threads) for by_threads in files.values()))
        shown = [by_threads[min(common) if common else min(by_threads)] for by_threads in files.values()]
        shown.sort(key=lambda one: (_order(one.precision), one.exporter))
        base = next((one for one in shown if one.precision == "fp32"), None)
        found += [_beside(one, base) for one in shown]
    return found


def _order(precision: str) -> int:
    return ORDER.index(precision) if precision in ORDER else len(ORDER)


def _beside(one: Candidate, base: Candidate | None) -> Beside:
    comparable = base is not None and base.threads == one.threads
    return Beside(
        candidate=one,
        latency=one.median_ms / base.median_ms if base is not None and comparable else None,
        size=one.size_bytes / base.size_bytes if base is not None and base.size_bytes else None,
        base=base is not None and one.job == base.job,
    )


def in_short(rows: Sequence[Beside]) -> list[InShort]:
    """One line for each exporter, in the order of formats and precisions."""
    groups: dict[tuple[str, int, str], list[Beside]] = {}
    for one in rows:
        key = (one.candidate.format, _order(one.candidate.precision), one.candidate.exporter)
        groups.setdefault(key, []).append(one)
    return [_together(groups[key]) for key in sorted(groups)]


def _together(same: Sequence[Beside]) -> InShort:
    first = same[0].candidate
    latencies = [one.latency for one in same if one.latency is not None and one.candidate.trusted]
    sizes = [one.size for one in same if one.size is not None]
    drops = [one.candidate.top1_drop for one in same if one.candidate.top1_drop is not None]
    return InShort(
        exporter=first.exporter,
        format=first.format,
        precision=first.precision,
        files=len(same),
        latency=float(np.median(latencies)) if latencies else None,
        size=float(np.median(sizes)) if sizes else None,
        drop=float(np.mean(drops)) if drops else None,
        largest_drop=max(drops) if drops else None,
        clear=sum(lost(one.candidate) for one in same),
        warned=sum(bool(one.candidate.warnings) for one in same),
    )


def lost(one: Candidate) -> bool:
    """Whether it surely lost accuracy against its checkpoint."""
    return one.top1_drop_low is not None and one.top1_drop_low > 0


def warned(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Each file with a warning once, the first of its candidates."""
    return list({one.artifact_sha: one for one in reversed(candidates) if one.warnings}.values())[::-1]
