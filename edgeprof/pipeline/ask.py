"""What a user asks of a measurement, whatever it is that is measured."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from edgeprof.errors import UsageError
from edgeprof.records import Method, TestImages
from edgeprof.records.advice import QUICK_BLOCK_S

QUICK_ROUNDS, QUICK_PRECISION = 5, 0.10
"""Student's t with 3 rounds would be twice as wide as with 5."""
MOST_ROUNDS = 60


@dataclass(frozen=True)
class Ask:
    """How to measure, and what beside latency to find out on the device."""

    method: Method = field(default_factory=Method)
    per_op: bool = False
    """Also the time by operator of each candidate, in a pass of its own."""
    energy: bool = False
    """Also the energy of an inference of each candidate, in a pass of its own."""
    test_images: TestImages = None
    """Also what each file says about so many test images there (or about "all"), in a pass of its own."""
    fresh: bool = False
    """Begin a new run even if one is unfinished."""
    wait_s: float = 0.0
    """How long to wait for a device on which somebody else measures."""


def method_of(
    *,
    quick: bool = False,
    rounds: int | None = None,
    precision: float | None = None,
    cell_s: float | None = None,
    allow_fallback: bool = False,
) -> Method:
    """How to measure a candidate: `quick` chooses, what is named goes before.

    Args:
        quick: 5 short rounds to within 10%: a first look.
        rounds: exactly so many fresh processes, whatever the precision.
        precision: half width of the median's 95% interval at which it is done, as a share of the median.
        cell_s: most time for it in seconds (twice that if it must be measured again).
        allow_fallback: measure also what does not run on the provider asked for, and say so.

    Raises:
        UsageError: a value means nothing.
    """
    asked = Method(allow_fallback=allow_fallback)
    if quick:
        asked = msgspec.structs.replace(
            asked,
            precision=QUICK_PRECISION,
            min_rounds=QUICK_ROUNDS,
            max_rounds=QUICK_ROUNDS,
            again=False,
            block_s=QUICK_BLOCK_S,
        )
    if rounds is not None:
        if not 1 <= rounds <= MOST_ROUNDS:
            raise UsageError(f"rounds must be 1 to {MOST_ROUNDS}, not {rounds}")
        asked = msgspec.structs.replace(asked, min_rounds=rounds, max_rounds=rounds, again=False)
    if precision is not None:
        if not 0 < precision < 1:
            raise UsageError(f"precision must lie above 0 and below 1, not {precision}", hint="for example 0.01 for 1%")
        asked = msgspec.structs.replace(asked, precision=precision)
    if cell_s is not None:
        if not 0 < cell_s < float("inf"):
            raise UsageError(f"the time for a candidate must be above 0 s, not {cell_s}", hint="for example 5")
        asked = msgspec.structs.replace(asked, cell_s=cell_s)
    return asked
