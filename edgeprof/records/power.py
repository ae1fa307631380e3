"""The power of a device while it runs a file, as its own sensor tells it, and the energy of an inference from it."""

from __future__ import annotations

from typing import ClassVar, Literal

from edgeprof.records.base import Record
from edgeprof.records.measured import Interval

Counts = Literal["power", "energy"]
"""What a sensor tells: the power at a moment in µW, or the energy since some moment in µJ."""


class PowerWindow(Record):
    """A while in which the device did one thing."""

    state: Literal["idle", "busy"]
    """`idle`: the file loaded, nothing run. `busy`: run without a pause."""
    elapsed_ns: int
    """From the begin of the first inference to the end of the last; by the monotonic clock."""
    inferences: int
    median_ns: int | None
    """Of one inference; not a latency sample, but what reading the sensor costs is seen by it."""
    at_ns: tuple[int, ...]
    """When the sensor was read, after the begin of the window; () where it was left alone."""
    values: tuple[int, ...]
    """What it told."""


class Metered(Record):
    """One fresh process of one cell beside the power sensor, everything as it was read."""

    KIND: ClassVar[str] = "metered"

    run: str
    job: str
    round: int
    started_at: float
    """Unix time on the device."""
    sensor: str
    covers: str
    """What is in its figure, and what is not."""
    counts: Counts
    wraps: int | None
    """The largest value of a counter, after which it begins at 0 again."""
    update_ns: int | None
    """How often the sensor measures, where it tells."""
    windows: tuple[PowerWindow, ...]
    """Idle, busy, and busy with the sensor left alone; in the reverse order in every second round."""
    runs_on: str
    precision_executed: str
    threads_used: int
    agent_sha: str


class Energy(Record):
    """The energy of an inference of one cell. Derived, never stored as the source."""

    job: str
    reason: str | None = None
    """Why there is none; None where there is."""
    sensor: str | None = None
    covers: str | None = None
    energy_mj: Interval | None = None
    """All that the sensor counted while it ran, for each inference, in mJ: mean over the rounds, on the logarithms."""
    above_idle_mj: Interval | None = None
    """The same without what the idle device takes in that time; below zero where it is lost in noise."""
    power_w: float | None = None
    """While it ran."""
    idle_power_w: float | None = None
    rounds: int = 0
    """Fresh processes behind it."""
    inferences: int = 0
    seconds: float = 0.0
    """Of running, in all rounds."""
    readings: int = 0
    """Measurements of the sensor in the window that holds fewest."""
    slowed: Interval | None = None
    """Median of an inference with the sensor read, over that with the sensor left alone."""
