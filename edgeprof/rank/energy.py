"""What is known of a candidate's energy, and what to say where nothing is."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edgeprof.errors import UsageError
from edgeprof.records import Candidate, DeviceFacts, Energy
from edgeprof.stats.energy import Known, known

HINT = (
    "edgeprof run --energy measures it, on a device that has a power sensor: edgeprof device probe NAME tells which, or"
    " why there is none"
)


NO_SENSOR = (
    "this run's device has no power sensor that can be read, so --energy would measure nothing there either: choose by"
    " another figure, or measure on a device that has one (edgeprof device probe NAME tells)"
)


def known_energy(one: Candidate) -> Known | None:
    """Its energy as a distribution in mJ; None where there is no interval."""
    return known(one.energy_mj, one.energy_high_mj, one.energy_rounds)


def with_energy(candidate: Candidate, found: Energy | None) -> Candidate:
    """With its energy, or why there is none."""
    if found is None:
        return candidate
    energy, above = found.energy_mj, found.above_idle_mj
    if energy is None or above is None:
        return msgspec.structs.replace(candidate, energy_reason=found.reason)
    return msgspec.structs.replace(
        candidate,
        energy_mj=energy.value,
        energy_low_mj=energy.low,
        energy_high_mj=energy.high,
        energy_above_idle_mj=above.value,
        energy_above_idle_low_mj=above.low,
        energy_above_idle_high_mj=above.high,
        power_w=found.power_w,
        idle_power_w=found.idle_power_w,
        energy_rounds=found.rounds,
    )


def unmeasured(
    what: str, candidates: Sequence[Candidate], where: str | None = None, facts: DeviceFacts | None = None
) -> UsageError:
    """The error that no candidate's energy is known, and why.

    Args:
        facts: the device's; where they tell that it has no sensor, the hint is not to ask for energy again.
    """
    reasons = dict.fromkeys(one.energy_reason for one in candidates if one.energy_reason is not None)
    why = "; ".join(reasons) or "it was not measured"
    without = facts is not None and facts.power is None and facts.power_missing is not None
    hint = NO_SENSOR if without else HINT
    return UsageError(f"{what}: no candidate of this run has an energy: {why}", where=where, hint=hint)
