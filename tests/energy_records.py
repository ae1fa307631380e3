"""Hand-made rounds beside a power sensor: only what the energy is made of varies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from edgeprof.records import Metered, PowerWindow

STEP_NS = 20_000_000
READINGS = 50


def window(state: Any, values: Sequence[int], *, inferences: int = 0, median_ns: int | None = None) -> PowerWindow:
    """A window whose readings are `STEP_NS` apart, from its begin to its end."""
    return PowerWindow(
        state=state,
        elapsed_ns=STEP_NS * max(1, len(values) - 1),
        inferences=inferences,
        median_ns=median_ns,
        at_ns=tuple(place * STEP_NS for place in range(len(values))),
        values=tuple(values),
    )


def noisy(watts: float) -> list[int]:
    """Readings in µW around a power, each other than the one before."""
    return [round(watts * 1e6) + (1 if place % 2 else -1) for place in range(READINGS)]


def each_ms(rounds: Sequence[Metered]) -> float:
    """What an inference took beside the sensor, by the rounds' geometric mean: a restless machine moves it."""
    busy = [one for each in rounds for one in each.windows if one.state == "busy" and one.at_ns]
    return math.exp(sum(math.log(one.elapsed_ns / 1e6 / one.inferences) for one in busy) / len(busy))


def metered(
    number: int = 0, busy_w: float = 5.0, idle_w: float = 2.0, inferences: int = 100, **changes: Any
) -> Metered:
    """A round in which everything is known: 0.98 s of each, so `busy_w` x 9.8 mJ an inference."""
    alone = PowerWindow(
        state="busy", elapsed_ns=980_000_000, inferences=inferences, median_ns=9_700_000, at_ns=(), values=()
    )
    fields: dict[str, Any] = {
        "run": "r1",
        "job": "a",
        "round": number,
        "started_at": 0.0,
        "sensor": "INA3221, rail VDD_IN",
        "covers": "all that the module takes in",
        "counts": "power",
        "wraps": None,
        "update_ns": None,
        "windows": (
            window("idle", noisy(idle_w)),
            window("busy", noisy(busy_w), inferences=inferences, median_ns=9_800_000),
            alone,
        ),
        "runs_on": "CPU",
        "precision_executed": "fp32",
        "threads_used": 1,
        "agent_sha": "a",
    }
    return Metered(**{**fields, **changes})
