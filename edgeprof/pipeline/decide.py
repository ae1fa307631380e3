"""From a run to what to ship: the evidence behind its ranking, and the choice on one device or on several."""

from __future__ import annotations

from collections.abc import Sequence

from edgeprof.errors import UsageError
from edgeprof.pipeline import accuracy
from edgeprof.pipeline.read import Outcome, artifacts_of
from edgeprof.records import Choice, FleetChoice, Limits
from edgeprof.store import Store


def choose(store: Store, outcome: Outcome, limits: Limits) -> Choice:
    """The best candidate of a run that keeps to the limits, with its odds.

    Raises:
        UsageError: the limits mean nothing.
    """
    from edgeprof import rank

    right = accuracy.right(store, artifacts_of(store, outcome.run))
    return rank.choose(outcome.ranking, limits, known=rank.evidence(outcome.measurements, right))


def choose_again(store: Store, outcome: Outcome, limits: Limits) -> Choice:
    """As `choose`, by bounds that hold however often one looks: whether further rounds have settled the question."""
    from edgeprof import rank

    known = rank.evidence(outcome.measurements, accuracy.right(store, artifacts_of(store, outcome.run)))
    return rank.choose(rank.looked_at(outcome.ranking, known), limits, known=known, doubt=rank.DOUBT_AT_ALL_LOOKS)


def choose_for_all(store: Store, outcomes: Sequence[Outcome], limits: Limits) -> FleetChoice:
    """The best file that keeps to the limits on every device.

    Raises:
        UsageError: the limits mean nothing, or two runs are of one device.
    """
    from edgeprof import rank

    devices = [one.run.device for one in outcomes]
    if len(set(devices)) != len(devices):
        raise UsageError("a device is named twice", hint="name each device once")
    return rank.choose_for_all([(one.ranking, choose(store, one, limits)) for one in outcomes], limits)
