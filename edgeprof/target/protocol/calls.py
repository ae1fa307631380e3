"""Calls to the agent."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgeprof.records import Method, Record

Sites = dict[str, tuple[str, ...]]
"""Format -> folders on the device that hold its runtime, to be searched first."""


class Hello(Record, tag_field="call", tag="hello"):
    """Who are you?"""


class AskFacts(Record, tag_field="call", tag="facts"):
    """What is this device?"""

    sites: Sites = msgspec.field(default_factory=dict)
    full: bool = True
    """Also the cost of the timing loop, which takes a moment of the processor to find out."""
    now: bool = False
    """Also what goes on there at the moment, which takes 0.3 s to see."""
    state: dict[str, str | int] = msgspec.field(default_factory=dict)
    """With `now`: whether this could be set there."""


class AskProviders(Record, tag_field="call", tag="providers"):
    """What can the runtime of this format run on?"""

    format: str
    site: tuple[str, ...] = ()
    timeout_s: float


class CellPlan(Record):
    """All that the agent needs to measure a cell."""

    format: str
    precision: str
    threads: int
    cores: tuple[int, ...] | None
    """Cores to bind the process to; None: any."""
    provider: str | None
    """Where the graph is to run, see `records.Device.providers`; None: on the processor."""
    files: dict[str, str]
    """Conventional name -> path on the device."""
    samples: str | None
    """Path on the device of the .npz with inputs and expected outputs; None: invented inputs, unchecked outputs."""
    site: tuple[str, ...] = ()
    """Folders on the device with the format's runtime; none: what its Python finds by itself."""
    wrong_above: float | None
    """The round fails when an output differs by more than this share of the expected outputs' spread."""


class Step(Record):
    """One round of one cell, in its place in the order."""

    job: str
    round: int
    attempt: int = 0
    position: int
    look: bool
    """Whether to ask the runtime afterwards what ran (`records.Ran`)."""


class Measure(Record, tag_field="call", tag="measure"):
    """Measure these rounds in this order."""

    method: Method
    cells: dict[str, CellPlan]
    rounds: tuple[Step, ...]


class Profile(Record, tag_field="call", tag="operators"):
    """Where does the time go? A pass of its own over one cell."""

    job: str
    cell: CellPlan
    inferences: int
    timeout_s: float
    allow_fallback: bool = False


class Part(Record):
    """Some test images."""

    part: int
    images: str
    """Path on the device of an .npy, uint8 [n, S, S, 3]: resized and cropped, not normalised."""


class Evaluate(Record, tag_field="call", tag="evaluate"):
    """What does a cell say about these images? A pass of its own."""

    job: str
    cell: CellPlan
    layout: Literal["NCHW", "NHWC"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    parts: tuple[Part, ...]
    timeout_s: float
    """For each part."""
    allow_fallback: bool = False


class Meter(Record, tag_field="call", tag="energy"):
    """What power does the board take while it runs a cell? A pass of its own, a process a round."""

    job: str
    cell: CellPlan
    round: int
    window_s: float
    """Of each window; longer where the sensor is slow."""
    settle_s: float
    """Of the same before each window."""
    timeout_s: float
    allow_fallback: bool = False


class Inspect(Record, tag_field="call", tag="inspect"):
    """What does this file take and give?"""

    format: str
    precision: str
    files: dict[str, str]
    site: tuple[str, ...] = ()
    timeout_s: float


class End(Record, tag_field="call", tag="end"):
    """A session is over: put the device's state back and leave nothing behind."""


# --- of a board, beside measuring


class Take(Record, tag_field="call", tag="take"):
    """Lease the board: one measurement at a time there, across hosts and users."""

    owner: str
    what: str
    session: str
    """Whoever names the session that holds the lease may take it again."""
    fence: int | None = None
    """And so may whoever knows its number."""
    lease: str | None
    """Folder of the lease's file; None: where all users of a board look for it."""


class Release(Record, tag_field="call", tag="release"):
    """Let go of the board."""

    fence: int
    lease: str | None


class AskSites(Record, tag_field="call", tag="sites"):
    """Which of these wheels are unpacked?"""

    shas: tuple[str, ...]


class Unpack(Record, tag_field="call", tag="unpack"):
    """Unpack a wheel that was pushed."""

    sha: str
    name: str


class Look(Record, tag_field="call", tag="look"):
    """Is there a session of this name?"""

    name: str


class DropSession(Record, tag_field="call", tag="drop"):
    """Remove what is left of a session that has ended: all of it was read."""

    name: str


class StartSession(Record, tag_field="call", tag="start"):
    """Start a session that survives its link, unless it is there."""

    name: str
    fence: int
    lease: str | None
    linger_s: float
    """How long it waits for its host to come back."""
    state: dict[str, str | int]
    """What to set for its time, `governor` and `nvpmodel`."""


class Forget(Record, tag_field="call", tag="forget"):
    """Remove these files that were pushed."""

    shas: tuple[str, ...]


class Clean(Record, tag_field="call", tag="clean"):
    """Remove what has not been used for so long."""

    older_than_s: float
    everything: bool = False


Call = Hello | AskFacts | AskProviders | Inspect | Measure | Profile | Evaluate | Meter | End
BoardCall = Take | Release | AskSites | Unpack | Look | DropSession | StartSession | Forget | Clean
