"""What proxies hide: how far MACs, parameters, file size, another machine or another form tell the order by latency.

Models are the things that are ordered, so each has one point in a group (an exporter at a number of threads): the
exporters are never mixed, which would compare formats with each other and not models. Files of several initialisations
and seeds hold the same computation; their geometric mean stands for the model. Pure.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from edgeprof.records import Candidate, Interval, Ranking
from edgeprof.records.proxies import DeviceProxies, DeviceSwap, Proxies, ProxyKind, ProxySwap, RankAgreement
from edgeprof.stats.orders import MIN_THINGS, agreement

SWAPS = 10
"""Most that are told."""
COUNTED: dict[ProxyKind, tuple[str, Callable[[Candidate], int | None]]] = {
    "macs": ("MACs", lambda one: one.macs),
    "params": ("parameters", lambda one: one.params),
    "size": ("file size", lambda one: one.size_bytes),
}
"""Proxies that a file has by itself."""

Points = dict[str, float]
"""Model -> a number."""


class Group(NamedTuple):
    """Files that differ by model alone: `exporter` at `threads`."""

    exporter: str
    threads: int


def proxies(rankings: Sequence[Ranking], hosts: Mapping[str, Ranking] | None = None) -> Proxies:
    """Of each device, and between them.

    Args:
        rankings: one a device.
        hosts: device -> a ranking of the host with the same files.
    """
    hosts = hosts or {}
    return Proxies(
        devices=tuple(of_device(ranking, hosts.get(ranking.device)) for ranking in rankings),
        between=between(rankings),
        swaps=device_swaps(rankings),
    )


def between(rankings: Sequence[Ranking]) -> tuple[RankAgreement, ...]:
    """How far each pair of devices puts the models in the same order."""
    return tuple(
        msgspec.structs.replace(found, devices=(one.device, other.device))
        for one, other in itertools.combinations(rankings, 2)
        for found in _across("device", one, other, one.device, other.device)
    )


def of_device(ranking: Ranking, host: Ranking | None = None) -> DeviceProxies:
    """What the ranking itself tells, and with `host` its latencies beside those of the device."""
    groups = _groups(ranking.candidates)
    found: list[RankAgreement] = []
    for group, some in groups.items():
        for kind, (name, read) in COUNTED.items():
            found.append(_agreement(kind, name, group.exporter, group.threads, _points(some, read), _latency(some)))
    if host is not None:
        found += _across("host", host, ranking, host.device, None)
    found += _forms(groups)
    found += _initialisations(ranking.candidates)
    return DeviceProxies(
        device=ranking.device,
        run=ranking.run,
        agreements=tuple(found),
        swaps=tuple(swaps(ranking.candidates)),
        untrusted=sum(not one.trusted for one in ranking.candidates),
        host_run=host.run if host is not None else None,
    )


def in_short(ranking: Ranking) -> DeviceProxies | None:
    """`of_device` without a host; None where there are neither models enough for an agreement nor a pair that swaps."""
    found = of_device(ranking)
    return found if found.swaps or any(one.tau is not None for one in found.agreements) else None


def _groups(candidates: Iterable[Candidate]) -> dict[Group, list[Candidate]]:
    """By exporter and threads, in the order of their names."""
    found: dict[Group, list[Candidate]] = {}
    for one in candidates:
        found.setdefault(Group(one.exporter, one.threads), []).append(one)
    return {group: found[group] for group in sorted(found)}


def _points(some: Iterable[Candidate], read: Callable[[Candidate], float | None]) -> Points:
    """One number a model, the geometric mean of its files'; models of which one file does not know it are left out."""
    values: dict[str, list[float | None]] = {}
    for one in some:
        values.setdefault(one.model, []).append(read(one))
    return {
        model: float(np.exp(np.mean(np.log([value for value in its if value]))))
        for model, its in values.items()
        if all(value is not None and value > 0 for value in its)
    }


def _latency(some: Iterable[Candidate]) -> Points:
    return _points(some, lambda one: one.median_ms)


def _agreement(
    kind: ProxyKind, first: str, second: str, threads: int | None, one: Points, other: Points
) -> RankAgreement:
    models = [model for model in one if model in other]
    here, there = [one[model] for model in models], [other[model] for model in models]
    tau, why = None, None
    if len(models) < MIN_THINGS:
        why = f"too few: {len(models)} model{'s' if len(models) != 1 else ''}, it takes {MIN_THINGS}"
    else:
        tau = agreement(here, there)
        why = None if tau is not None else "all are alike"
    return RankAgreement(kind=kind, first=first, second=second, threads=threads, models=len(models), tau=tau, why=why)


def _across(kind: ProxyKind, one: Ranking, other: Ranking, first: str, second: str | None) -> Iterable[RankAgreement]:
    """Latencies of the same files in the same number of threads on two devices.

    Args:
        first, second: what to call the devices; with `second` None it is called by the exporter alone.
    """
    here, there = _groups(one.candidates), _groups(other.candidates)
    for group in sorted(here.keys() & there.keys()):
        shas = {each.artifact_sha for each in here[group]} & {each.artifact_sha for each in there[group]}
        if not shas:
            continue
        points = [_latency(each for each in some[group] if each.artifact_sha in shas) for some in (here, there)]
        here_name = first if second is None else f"{first} {group.exporter}"
        there_name = group.exporter if second is None else f"{second} {group.exporter}"
        yield _agreement(kind, here_name, there_name, group.threads, points[0], points[1])


def _forms(groups: Mapping[Group, Sequence[Candidate]]) -> Iterable[RankAgreement]:
    """Between runtimes of one precision, and between precisions of one runtime, at the same number of threads."""
    for (one, here), (other, there) in itertools.combinations(groups.items(), 2):
        if one.threads != other.threads:
            continue
        first, second = here[0], there[0]
        kind: ProxyKind | None = None
        if first.precision == second.precision and first.format != second.format:
            kind = "runtime"
        elif first.format == second.format and first.precision != second.precision:
            kind = "precision"
        if kind is not None:
            yield _agreement(kind, one.exporter, other.exporter, one.threads, _latency(here), _latency(there))


def _initialisations(candidates: Sequence[Candidate]) -> Iterable[RankAgreement]:
    """Between the orders by top-1 under two initialisations, each the mean over its seeds; of the exporter that has
    most models. Latency does not depend on the initialisation."""
    known = [one for one in candidates if one.top1 is not None and one.init is not None]
    inits = list(dict.fromkeys(sorted(str(one.init) for one in known)))
    by_exporter: dict[str, dict[str, dict[str, list[float]]]] = {}
    for one in {(one.artifact_sha, one.model, one.init, one.seed): one for one in known}.values():
        its = by_exporter.setdefault(one.exporter, {}).setdefault(str(one.init), {})
        its.setdefault(one.model, []).append(float(one.top1 or 0.0))
    for first, second in itertools.combinations(inits, 2):
        both = {
            exporter: (arms.get(first, {}), arms.get(second, {}))
            for exporter, arms in sorted(by_exporter.items())
            if first in arms and second in arms
        }
        if both:
            one_arm, other_arm = max(both.values(), key=lambda arms: len(arms[0].keys() & arms[1].keys()))
            means = [{model: float(np.mean(its)) for model, its in arm.items()} for arm in (one_arm, other_arm)]
            yield _agreement("initialisation", first, second, None, means[0], means[1])


def swaps(candidates: Sequence[Candidate]) -> list[ProxySwap]:
    """Pairs of models of which the one with fewer MACs is surely slower, the largest factor first; trusted ones alone.

    Surely: the 95% intervals of the medians do not touch; of several files of a model in a group, that of none.
    """
    found: dict[tuple[str, str], list[ProxySwap]] = {}
    for group, some in _groups(one for one in candidates if one.trusted and one.macs).items():
        files: dict[str, list[Candidate]] = {}
        for one in some:
            files.setdefault(one.model, []).append(one)
        for (light, its), (heavy, others) in itertools.permutations(files.items(), 2):
            swap = _swap(group, light, its, heavy, others)
            if swap is not None:
                found.setdefault((light, heavy), []).append(swap)
    best = []
    for same in found.values():
        largest = max(same, key=lambda swap: swap.factor)
        best.append(msgspec.structs.replace(largest, settings=len(same)))
    return sorted(best, key=lambda swap: (-swap.factor, swap.slower, swap.faster))[:SWAPS]


def _swap(
    group: Group, light: str, its: Sequence[Candidate], heavy: str, others: Sequence[Candidate]
) -> ProxySwap | None:
    slow, fast = _span(its), _span(others)
    light_macs, heavy_macs = (max(one.macs or 0 for one in its), min(one.macs or 0 for one in others))
    if slow is None or fast is None or slow.low is None or fast.high is None:
        return None
    if not (light_macs < heavy_macs and slow.low > fast.high):
        return None
    return ProxySwap(
        slower=light,
        faster=heavy,
        exporter=group.exporter,
        threads=group.threads,
        settings=1,
        slower_macs=light_macs,
        faster_macs=heavy_macs,
        slower_ms=slow,
        faster_ms=fast,
        factor=slow.value / fast.value,
    )


def device_swaps(rankings: Sequence[Ranking]) -> tuple[DeviceSwap, ...]:
    """Pairs of models that two devices run surely the other way round, trusted ones alone; surely as in `swaps`."""
    spans = [_spans(ranking) for ranking in rankings]
    found: dict[tuple[str, ...], list[DeviceSwap]] = {}
    for (one, here), (other, there) in itertools.combinations(zip(rankings, spans, strict=True), 2):
        for group in sorted(here.keys() & there.keys()):
            for slower, faster in itertools.permutations(sorted(here[group].keys() & there[group].keys()), 2):
                first = _factor(here[group][slower], here[group][faster])
                second = _factor(there[group][faster], there[group][slower])
                if first is None or second is None or slower[0] == faster[0]:
                    continue
                swap = DeviceSwap(
                    first=one.device,
                    second=other.device,
                    slower=slower[0],
                    faster=faster[0],
                    exporter=group.exporter,
                    threads=group.threads,
                    settings=1,
                    first_factor=first,
                    second_factor=second,
                )
                found.setdefault((one.device, other.device, slower[0], faster[0]), []).append(swap)
    best = []
    for same in found.values():
        largest = max(same, key=_size)
        settings = len({(one.exporter, one.threads) for one in same})
        best.append(msgspec.structs.replace(largest, settings=settings))
    best.sort(key=lambda swap: (-_size(swap), swap.first, swap.second, swap.slower, swap.faster))
    return tuple(best[:SWAPS])


def _size(swap: DeviceSwap) -> float:
    return swap.first_factor * swap.second_factor


def _spans(ranking: Ranking) -> dict[Group, dict[tuple[str, str], Interval]]:
    """By group, then by model and file, the interval of the median; of what is trusted and has one."""
    return {
        group: {(one.model, one.artifact_sha): span for one in some if (span := _span([one])) is not None}
        for group, some in _groups(one for one in ranking.candidates if one.trusted).items()
    }


def _factor(slow: Interval, fast: Interval) -> float | None:
    """How many times as slow the first is; None where it is not surely slower."""
    assert slow.low is not None
    assert fast.high is not None
    return slow.value / fast.value if slow.low > fast.high else None


def _span(some: Sequence[Candidate]) -> Interval | None:
    """The geometric mean of the medians, and the widest bounds; None where one has no interval."""
    lows = [one.median_low_ms for one in some if one.median_low_ms is not None]
    highs = [one.median_high_ms for one in some if one.median_high_ms is not None]
    if len(lows) < len(some) or len(highs) < len(some):
        return None
    value = float(np.exp(np.mean(np.log([one.median_ms for one in some]))))
    return Interval(value=value, low=min(lows), high=max(highs))
