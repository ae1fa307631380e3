"""What a user asks of a measurement, whatever it is that is measured."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgeprof.records import Method, TestImages


@dataclass(frozen=True)
class Ask:
    """How to measure, and what beside latency to find out on the device."""

    method: Method = field(default_factory=Method)
    per_op: bool = False
    """Also the time by operator of each candidate, in a pass of its own."""
    test_images: TestImages = None
    """Also what each file says about so many test images there (or about "all"), in a pass of its own."""
    fresh: bool = False
    """Begin a new run even if one is unfinished."""
    wait_s: float = 0.0
    """How long to wait for a device on which somebody else measures."""
