"""What the telemetry beside the timed blocks says of the device: heat, supply, clock, other programs. Pure.

Unknown is no reason: a device without a sensor is not called hot. What changes the device's speed for longer than a
block counts in any round; what takes time away for a moment must do so in most. The thresholds on load and canary come
from some 900 rounds beside known loads on a small x86_64 virtual machine; those on heat and supply from the boards' own
documentation.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from edgeprof.records import DeviceFacts, Reading, Round, Telemetry

WAITING = 0.02
"""Share of the measuring threads' time in which they were ready to run but had no core. A competitor for the core makes
it a half; a load on another core 0.4 to 0.9%; two threads on two cores of an idle machine up to 2%."""

STOLEN = 0.02
"""Share of the measuring threads' time that the hypervisor gave to others."""
TICKS_NS = 30_000_000
"""Three ticks of /proc/stat, which counts in 10 ms: less in all is nothing."""

CROWDED = 0.05
"""Where waiting is not told: the share that other programs used beyond the cores that were free anyway."""

SWITCHES_PER_S = 60.0
"""Where neither is told: involuntary switches in a second and a thread. The scheduler of Linux takes a busy thread off
for a competitor every 3 to 10 ms; wake-ups on another core make 25 to 50 a second without harm."""

CLOCK_STEP_NS = 1_000_000
"""The wall clock against the monotonic one during a block; slewing moves it by at most 0.05%, 0.1 ms in 0.2 s."""

FIXED = ("performance", "userspace")
"""Governors that leave the clock where it is."""
AT_TOP = 0.97
"""A clock that was never seen below this share of its highest was as good as fixed."""
LOWERED = 0.9
"""A fixed clock below this share of its highest has been lowered by the device itself."""

# Bits of a Raspberry Pi's get_throttled (its documentation of vcgencmd): 0 under-voltage, 1 clock capped, 2 throttled,
# 3 soft temperature limit; from 16 on the same since the start.
PI_UNDER_VOLTAGE, PI_SLOWED = 0b0001, 0b1110
PI_SINCE_START = 16
PI_THROTTLES_C = 80.0
"""Where its firmware, which the kernel does not know of, begins to slow it."""
HOT_BELOW_C = 3.0
"""So near to the temperature at which it is slowed, a device is hot."""

CANARY = 0.03
"""Between the fastest canaries of two stretches of rounds: the device itself changed its speed. The fastest of a fresh
process varies by 0.3%; load from elsewhere slows most canaries, but hardly ever all of a stretch."""
STRETCH = 3
"""Rounds."""


def throttled(rounds: Sequence[Round], facts: DeviceFacts) -> bool:
    """Whether a flag, a counter of the kernel, or the clock itself says that the device slowed down."""
    for one in _watched(rounds):
        if _flagged(one, PI_SLOWED):
            return True
        before, after = one.begin.throttle_count, one.end.throttle_count
        if before is not None and after is not None and after > before:
            return True
    if facts.governor not in FIXED or facts.clock_mhz is None:
        return False
    return any(clock < LOWERED * facts.clock_mhz[1] for clock in _clocks(rounds))


def under_voltage(rounds: Sequence[Round]) -> bool:
    """Whether the supply fell below its limit."""
    watched = list(_watched(rounds))
    alarms = [reading.under_voltage for one in watched for reading in (one.begin, one.end)]
    return any(alarms) or any(_flagged(one, PI_UNDER_VOLTAGE) for one in watched)


def hot_at_start(rounds: Sequence[Round], facts: DeviceFacts) -> bool:
    """Whether a block began near the temperature at which the device is slowed."""
    for one in _watched(rounds):
        limit = facts.throttles_at_c
        if limit is None and one.begin.throttled_flags is not None:
            limit = PI_THROTTLES_C
        if limit is not None and one.begin.temperature_c is not None and one.begin.temperature_c >= limit - HOT_BELOW_C:
            return True
    return False


def governor_not_fixed(rounds: Sequence[Round], facts: DeviceFacts) -> bool:
    """Whether the clock was free to move, and was not seen at its top all the time."""
    if facts.governor is None or facts.governor in FIXED:
        return False
    if facts.clock_mhz is None:
        return True
    low, high = facts.clock_mhz
    clocks = list(_clocks(rounds))
    return low < high and not (clocks and min(clocks) >= AT_TOP * high)


def clock_step(rounds: Sequence[Round]) -> bool:
    """Whether the wall clock was set during a block."""
    return any(abs(one.clock_step_ns) > CLOCK_STEP_NS for one in _watched(rounds))


def other_load(rounds: Sequence[Round], facts: DeviceFacts) -> bool:
    """Whether other programs, or other guests of the machine, took processor time from the measuring threads.

    Waiting is exact, and its median over the rounds survives a bad moment as the latency's does. What /proc/stat tells
    is coarse in one block, so it is summed over all.
    """
    watched = [(one, one.telemetry) for one in rounds if one.samples_ns and one.telemetry is not None]
    watched = [(one, told) for one, told in watched if told.elapsed_ns > 0]
    demand = sum(told.elapsed_ns * one.threads_used for one, told in watched)
    stolen = sum(told.steal_ns for _, told in watched if told.steal_ns is not None)
    if stolen >= TICKS_NS and stolen > STOLEN * demand:
        return True
    waiting = [told.wait_ns / told.elapsed_ns / one.threads_used for one, told in watched if told.wait_ns is not None]
    if waiting:
        return statistics.median(waiting) > WAITING
    crowded = [
        max(0.0, told.other_ns - (facts.cores - one.threads_used) * told.elapsed_ns)
        for one, told in watched
        if told.other_ns is not None
    ]
    if crowded:
        return sum(crowded) > CROWDED * demand
    switches = [
        one.involuntary_switches / (sum(one.samples_ns) / 1e9) / one.threads_used
        for one in rounds
        if one.samples_ns and one.involuntary_switches is not None
    ]
    return bool(switches) and statistics.median(switches) > SWITCHES_PER_S


def canary_drifted(rounds: Sequence[Round], precision: float) -> bool:
    """Whether the fixed workload was slower throughout one stretch of rounds than in another.

    By more than varies on a steady device, and more than the precision asked for.
    """
    ordered = sorted(rounds, key=lambda one: one.position)
    floors = [min(one.canary_ns) for one in ordered if one.canary_ns]
    stretches = [min(floors[begin : begin + STRETCH]) for begin in range(len(floors) - STRETCH + 1)]
    return len(stretches) > STRETCH and max(stretches) > (1 + max(CANARY, precision)) * min(stretches)


def _watched(rounds: Sequence[Round]) -> Iterable[Telemetry]:
    return (one.telemetry for one in rounds if one.telemetry is not None)


def _clocks(rounds: Sequence[Round]) -> Iterable[float]:
    readings: Iterable[Reading] = (reading for one in _watched(rounds) for reading in (one.begin, one.end))
    return (reading.clock_mhz for reading in readings if reading.clock_mhz is not None)


def _flagged(one: Telemetry, bits: int) -> bool:
    """Whether one of the bits is set now, or was set for a moment in between."""
    before, after = one.begin.throttled_flags, one.end.throttled_flags
    if before is None or after is None:
        return False
    newly = (after & ~before) >> PI_SINCE_START
    return bool((before | after | newly) & bits)
