"""What proxies hide on several devices: whether one tells the order on another, and where MACs or sizes do."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from edgeprof.records import Fleet, Record
from edgeprof.records.proxies import DeviceSwap, RankAgreement
from edgeprof.report.proxies import COUNTED
from edgeprof.report.words import UNKNOWN, number, plural

EACH = 500
"""Most settings that are listed one by one."""


class Several(Record):
    """Rank correlations over several settings (exporter and threads)."""

    middle: float
    low: float
    high: float
    """Of the estimates, not of their intervals."""
    settings: int
    models: int


class OnDevice(Record):
    """How far each of `COUNTED` tells the order by latency on a device."""

    device: str
    cells: tuple[Several | None, ...]


class Pair(Record):
    """How far two devices put the models in the same order."""

    first: str
    second: str
    found: Several


def context(fleet: Fleet) -> dict[str, Any]:
    """What the template takes."""
    known = [one for one in fleet.between if one.tau is not None]
    devices = [_on_device(ranking.device, ranking.proxies.agreements) for ranking in fleet.rankings if ranking.proxies]
    devices = [one for one in devices if any(one.cells)]
    return {
        "fleet_proxies": bool(known or devices or fleet.swaps),
        "device_proxies": devices,
        "device_pairs": pairs(fleet),
        "each_pair": known if len(known) <= EACH else [],
        "device_swaps": [swap(one) for one in fleet.swaps],
    }


def several(some: Iterable[RankAgreement]) -> Several | None:
    """None where none of them has a correlation."""
    known = [one for one in some if one.tau is not None]
    taus = [one.tau.value for one in known if one.tau is not None]
    if not taus:
        return None
    return Several(
        middle=statistics.median(taus),
        low=min(taus),
        high=max(taus),
        settings=len(taus),
        models=max(one.models for one in known),
    )


def signed(value: float | None) -> str:
    """A correlation with its sign."""
    return UNKNOWN if value is None else f"{value:+.2f}".replace("-", "\u2212")


def swap(one: DeviceSwap) -> str:
    """A pair in a sentence."""
    more = f"; so in {one.settings} settings" if one.settings > 1 else ""
    return (
        f"{one.slower} takes {number(one.first_factor)} times as long as {one.faster} on {one.first}; on {one.second}"
        f" {one.faster} takes {number(one.second_factor)} times as long as {one.slower}"
        f" ({one.exporter}, {plural(one.threads, 'thread')}{more})."
    )


def _on_device(device: str, agreements: Sequence[RankAgreement]) -> OnDevice:
    return OnDevice(
        device=device, cells=tuple(several(one for one in agreements if one.kind == kind) for kind in COUNTED)
    )


def pairs(fleet: Fleet) -> list[Pair]:
    """In the order of the devices."""
    devices = [ranking.device for ranking in fleet.rankings]
    found = []
    for at, first in enumerate(devices):
        for second in devices[at + 1 :]:
            its = several(one for one in fleet.between if one.devices == (first, second))
            if its is not None:
                found.append(Pair(first=first, second=second, found=its))
    return found
