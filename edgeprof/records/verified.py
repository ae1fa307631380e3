"""What a file says about test images on the device, beside what the same file says on the host."""

from __future__ import annotations

from typing import ClassVar, Literal

from edgeprof.records.base import Record

Agreement = Literal["same", "rounding", "differs"]
"""`same`: every bit. `rounding`: not beyond what the precision explains. `differs`: beyond it."""


class Verified(Record):
    """A part of the test images as a file saw them on the device: as many as were run in one go, of one cell."""

    KIND: ClassVar[str] = "verified"

    run: str
    job: str
    part: int
    artifact_sha: str
    which: tuple[int, ...]
    """Numbers of the images in the test set."""
    logits_sha: str
    """Blob: .npy, float32 [images, classes]."""
    elapsed_ns: int
    """For all its images, preparing them included: no latency."""
    runs_on: str
    precision_executed: str
    threads_used: int
    runtime: str
    """Version of what ran it."""
    agent_sha: str


class Changed(Record):
    """A test image for which the device names another class than the host, with the same file."""

    image: int
    """Its number in the test set."""
    label: int
    host: int
    device: int
    """-1: it gives a NaN or an infinity."""
    margin: float
    """By how much the host preferred its class to the device's, as a share of the logits' spread."""


class OnDevice(Record):
    """What a file computes on the device against what it computes on the host. Derived, never stored as the source."""

    job: str
    images: int
    max_abs_diff: float | None
    """Largest difference of a logit, as a share of the spread (max - min) of the host's; None if one is not finite."""
    allowed: float
    """The difference that the precision explains."""
    agreement: float
    """Share of the images for which both name the same class."""
    top1: float
    top1_low: float | None
    top1_high: float | None
    host_top1: float
    """Of the same images."""
    not_finite: int
    """Images with a NaN or an infinity that the host does not have."""
    changed: tuple[Changed, ...]
    """The clearest ones, at most `stats.agreement.NAMED`."""
    changed_images: int
    """How many there are in all."""
    verdict: Agreement
