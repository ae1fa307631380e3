"""What proxies hide on one device: a table of orders that agree or do not, and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeprof.records import Interval, Record
from edgeprof.records.proxies import DeviceProxies, ProxyKind, ProxySwap, RankAgreement
from edgeprof.report.words import UNKNOWN, ms, number, plural

COUNTED: tuple[ProxyKind, ...] = ("macs", "params", "size")
BETWEEN: dict[ProxyKind, str] = {
    "runtime": "two runtimes, by latency",
    "precision": "two precisions, by latency",
    "initialisation": "two initialisations, by top-1",
}


class Against(Record):
    """Latency of one exporter's files at a number of threads, against each proxy of `COUNTED`."""

    exporter: str
    threads: int
    models: int
    cells: tuple[RankAgreement | None, ...]


class Beside(Record):
    """Two orders that are not those of a proxy."""

    what: str
    agreement: RankAgreement


def context(found: DeviceProxies | None) -> dict[str, Any]:
    """What the template takes."""
    if found is None:
        return {"proxies": None}
    return {
        "proxies": found,
        "proxies_headline": headline(found),
        "proxies_against": against(found),
        "proxies_beside": beside(found),
        "proxies_swaps": swaps(found.swaps),
    }


def against(found: DeviceProxies) -> list[Against]:
    """A row for each exporter and number of threads."""
    rows: dict[tuple[str, int], dict[ProxyKind, RankAgreement]] = {}
    for one in found.agreements:
        if one.kind in COUNTED and one.threads is not None:
            rows.setdefault((one.second, one.threads), {})[one.kind] = one
    return [
        Against(
            exporter=exporter,
            threads=threads,
            models=max(one.models for one in row.values()),
            cells=tuple(row.get(kind) for kind in COUNTED),
        )
        for (exporter, threads), row in rows.items()
    ]


def beside(found: DeviceProxies) -> list[Beside]:
    """Between runtimes, precisions and initialisations, where there are models enough."""
    return [
        Beside(what=BETWEEN[one.kind], agreement=one)
        for kind in BETWEEN
        for one in found.agreements
        if one.kind == kind and one.tau is not None
    ]


def tau(one: Interval | None) -> str:
    """Kendall's tau-b with its sign."""
    return UNKNOWN if one is None else f"{one.value:+.2f}".replace("-", "\u2212")


def tau_span(one: Interval | None) -> str:
    """Its interval."""
    if one is None or one.low is None or one.high is None:
        return "no interval"
    return f"{one.low:+.2f} to {one.high:+.2f}".replace("-", "\u2212")


def headline(found: DeviceProxies) -> str:
    """What MACs get right, over all settings."""
    known = [one.tau.value for one in found.agreements if one.kind == "macs" and one.tau is not None]
    if not known:
        return ""
    right = [100 * (1 + value) / 2 for value in (min(known), max(known))]
    span = f"{right[0]:.0f}%" if round(right[0]) == round(right[1]) else f"{right[0]:.0f}% to {right[1]:.0f}%"
    return f"MACs put {span} of the pairs of models in the order of their latency here; a coin would put half."


def swaps(found: Sequence[ProxySwap]) -> list[str]:
    """Each pair in a sentence."""
    return [
        f"{one.slower} takes {number(one.factor)} times as long as {one.faster} ({ms(one.slower_ms.value)} against"
        f" {ms(one.faster_ms.value)}, {one.exporter}, {plural(one.threads, 'thread')}"
        f"{f'; so in {one.settings} settings' if one.settings > 1 else ''}), and has"
        f" {number(one.faster_macs / one.slower_macs)} times fewer MACs."
        for one in found
    ]
