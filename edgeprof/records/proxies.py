"""How far cheap numbers tell the order of models by latency. Derived, never stored as the source."""

from __future__ import annotations

from typing import Literal

from edgeprof.records.base import Record
from edgeprof.records.measured import Interval

ProxyKind = Literal["macs", "params", "size", "host", "device", "runtime", "precision", "initialisation"]


class RankAgreement(Record):
    """How far two orders of the same models agree: Kendall's tau-b, 1 for the same order, -1 for the reverse."""

    kind: ProxyKind
    first: str
    """What orders the models: `MACs`, an exporter, a device, an initialisation."""
    second: str
    """What orders them beside it: the latency of an exporter's files, another exporter, device or initialisation."""
    threads: int | None
    """Of the latencies; None of accuracies."""
    models: int
    """That both know; one point each, whatever the number of seeds and initialisations."""
    tau: Interval | None
    """With its 95% interval over the models."""
    why: str | None = None
    """Why there is none."""
    devices: tuple[str, str] | None = None
    """Whose latencies they are, between devices."""


class ProxySwap(Record):
    """Two models that a device runs surely the other way round than their MACs say."""

    slower: str
    """The model with fewer MACs, and yet slower."""
    faster: str
    exporter: str
    threads: int
    """Where it is most so."""
    settings: int
    """In how many settings (exporter and threads) it is so."""
    slower_macs: int
    faster_macs: int
    slower_ms: Interval
    faster_ms: Interval
    """Their 95% intervals do not touch."""
    factor: float
    """How many times as slow it is."""


class DeviceSwap(Record):
    """Two models that one device runs surely the other way round than another: the same files, in as many threads."""

    first: str
    second: str
    """The devices."""
    slower: str
    """The model that is the slower one on the first device, and the faster one on the second."""
    faster: str
    exporter: str
    threads: int
    """Where it is most so."""
    settings: int
    """In how many settings (exporter and threads) it is so."""
    first_factor: float
    """How many times as slow `slower` is on the first device."""
    second_factor: float
    """How many times as slow `faster` is on the second."""


class DeviceProxies(Record):
    """What proxies hide on one device."""

    device: str
    run: str
    agreements: tuple[RankAgreement, ...]
    swaps: tuple[ProxySwap, ...]
    """The largest factor first, each pair of models once."""
    untrusted: int
    """Candidates in the agreements that are not to be trusted; they are in no swap."""
    host_run: str | None = None
    """Of the latencies on the host, where its files are the same."""


class Proxies(Record):
    """What `edgeprof show proxies` answers."""

    schema: int = 1
    devices: tuple[DeviceProxies, ...]
    between: tuple[RankAgreement, ...]
    """Of each pair of devices, over the same files in the same number of threads."""
    swaps: tuple[DeviceSwap, ...] = ()
    """What two devices put the other way round, the largest factors first; of each pair of devices and models one."""
