"""One model over all its runs on a device. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edgeprof.rank import comparable
from edgeprof.rank.changes import Before, Held, Side, alike, medians_ms, moved, told
from edgeprof.records import Identity
from edgeprof.records.compared import Basis, History, Line, Past
from edgeprof.stats.intervals import wilson
from edgeprof.stats.summary import summarize


def history(device: str, model: str, runs: Sequence[Held], zone: float) -> History:
    """Each candidate of the model over the runs, the oldest run first.

    Args:
        runs: of the device, the oldest first.
    """
    lines: dict[Identity, list[Past]] = {}
    last: dict[Identity, tuple[Held, Side]] = {}
    for number, held in enumerate(runs):
        for side in held.sides:
            if side.identity.model == model and side.rounds:
                before = last.get(side.identity)
                lines.setdefault(side.identity, []).append(_past(held, side, before, runs[:number], zone))
                last[side.identity] = held, side
    found = tuple(Line(identity=identity, runs=tuple(some)) for identity, some in lines.items())
    return History(device=device, model=model, zone=zone, lines=found)


def _past(held: Held, side: Side, before: tuple[Held, Side] | None, earlier: Sequence[Held], zone: float) -> Past:
    summary, artifact = summarize(side.rounds), side.artifact
    known = artifact.accuracy
    found = Past(
        run=held.run.run,
        started_at=held.run.started_at,
        job=side.measurement.cell.job,
        artifact_sha=artifact.artifact_sha,
        median_ms=summary.median_ms,
        p90_ms=summary.p90_ms,
        top1=wilson(known.top1 * known.images, known.images) if known and known.images else None,
        size_bytes=artifact.size_bytes,
        peak_rss_bytes=summary.peak_rss_bytes,
        trusted=side.measurement.trusted,
        reasons=side.measurement.reasons,
    )
    if before is None:
        return found
    then, its = before
    bases = [_basis(each, candidate) for each, candidate in ((then, its), (held, side))]
    differences = comparable.differences(bases[0], bases[1])
    if comparable.refused(differences):
        return msgspec.structs.replace(found, differences=differences, comparable=False)
    like = [one for one in earlier if alike(one, held)]
    median = moved(its, side, medians_ms, Before(like, like))
    verdict = None if median is None else told(its, side, median, zone)[0]
    return msgspec.structs.replace(found, differences=differences, change=median, verdict=verdict)


def _basis(held: Held, side: Side) -> Basis:
    """Of one candidate: other formats' runtimes do not matter to it."""
    return comparable.basis(held.run, side.measurement.rounds, [side.artifact.format])
