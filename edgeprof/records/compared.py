"""Two runs, or all runs of a model, beside each other. Derived, never stored."""

from __future__ import annotations

from edgeprof.records.base import Record
from edgeprof.records.inputs import Format
from edgeprof.records.measured import DeviceFacts, Method


class Basis(Record):
    """What the numbers of a run rest on: those of two runs may be compared where this is alike."""

    device: str
    facts: DeviceFacts | None
    """None where it failed before it was asked."""
    method: Method
    formats: tuple[Format, ...] = ()
    """Of the files that were measured: the runtimes of others do not matter. (): not known, so all do."""
    training: str | None = None
    suite_sha: str | None = None
    agents: tuple[str, ...] = ()
    """sha256 of each agent that measured; (): not known."""


class Difference(Record):
    """Something in which two runs differ beside the files."""

    name: str
    """`kernel`, `governor`, `runtime:onnxruntime`, ...: see `rank.comparable`."""
    one: str
    other: str
    spoils: bool
    """Whether latencies are not comparable for it; else it is only told."""
    allowed: bool = False
    """It would spoil, and was accepted knowingly (`--allow NAME`)."""
