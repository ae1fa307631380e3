"""What executed each candidate, as the runtime tells it: what was asked is not always what runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgeprof.records import Candidate, Measurement, Ran, Record
from edgeprof.report.words import UNKNOWN


class Executed(Record):
    """One candidate beside what really ran, in words."""

    candidate: Candidate
    threads_used: str
    nodes: str
    """On the provider, of all."""
    share: float | None
    """Of the nodes, on the provider."""
    partitions: str
    precisions: str
    """Executed, with the nodes of each."""
    asked: str
    """The precision asked for where another one was executed; "" otherwise."""
    source: str


def executed(candidates: Sequence[Candidate], measurements: Mapping[str, Measurement]) -> list[Executed]:
    """What ran of each candidate.

    Args:
        measurements: by job; without them the threads really used are not known.
    """
    return [_executed(one, measurements.get(one.job)) for one in candidates]


def _executed(one: Candidate, measurement: Measurement | None) -> Executed:
    used = sorted({each.threads_used for each in measurement.rounds}) if measurement else []
    ran = one.ran
    nodes, share = _nodes(ran)
    return Executed(
        candidate=one,
        threads_used=", ".join(str(number) for number in used) or UNKNOWN,
        nodes=nodes,
        share=share,
        partitions=UNKNOWN if ran is None or ran.partitions is None else str(ran.partitions),
        precisions=_precisions(one),
        asked="" if one.precision == one.precision_executed else one.precision,
        source=ran.source if ran else UNKNOWN,
    )


def _nodes(ran: Ran | None) -> tuple[str, float | None]:
    if ran is None or ran.on_provider is None:
        return UNKNOWN, None
    if not ran.nodes:
        return str(ran.on_provider), None
    return f"{ran.on_provider} of {ran.nodes}", ran.on_provider / ran.nodes


def _precisions(one: Candidate) -> str:
    """With the number of nodes where the runtime tells it, the most frequent first."""
    if one.ran is None or not one.ran.precisions:
        return one.precision_executed
    ordered = sorted(one.ran.precisions.items(), key=lambda item: (-item[1], item[0]))
    counted = ", ".join(f"{name} ({count})" for name, count in ordered)
    return counted if one.precision_executed in one.ran.precisions else f"{one.precision_executed}: {counted}"
