"""One file for several devices: the best that keeps to the limits on all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edgeprof.rank import choice_words as words
from edgeprof.rank.choose import merit, only_trust, refused
from edgeprof.rank.latency import latency
from edgeprof.records import Candidate, Choice, FleetChoice, Limits, OnDevices, Ranking

_Key = tuple[str, str | None, str | None, int | None, str]
SHOWN_MISSES = 5


class _File(NamedTuple):
    """An exported file on each device, by its best candidate there (thread count), or why there is none."""

    name: str
    there: list[Candidate | None]
    misses: list[str]
    would: list[Candidate | None]
    """What would be there if it could be trusted, where nothing trusted is."""
    doubted: list[Ranking]
    """Those of the devices where it is not."""


def choose_for_all(found: Sequence[tuple[Ranking, Choice]], limits: Limits) -> FleetChoice:
    """Of each device the ranking and what is chosen there alone.

    Two candidates are the same file if model, training, initialisation, seed and exporter agree; the number of threads
    may differ from device to device. The best is the most accurate, ties settled by the largest of the devices' latency
    bounds; with `maximize` throughput, the one with the lowest median on the device where it is slowest.
    """
    files = [_file(found, key, limits) for key in _keys(found)]
    fit = sorted((one for one in files if not one.misses), key=lambda one: _merit(one.there, limits))
    missed = [one for one in files if one.misses]
    would = sorted((one for one in missed if None not in one.would), key=lambda one: _merit(one.would, limits))
    nearest = would + sorted((one for one in missed if None in one.would), key=lambda one: (len(one.misses), one.name))
    return FleetChoice(
        devices=tuple(ranking.device for ranking, _ in found),
        limits=limits,
        chosen=_on(found, fit[0]) if fit else (),
        runner_up=_on(found, fit[1]) if len(fit) > 1 else (),
        each=tuple(choice for _, choice in found),
        misses=tuple(f"{one.name}: {'; '.join(one.misses)}" for one in nearest[:SHOWN_MISSES]),
        reason=_reason(found, fit, nearest, len(would)),
    )


def _keys(found: Sequence[tuple[Ranking, Choice]]) -> list[_Key]:
    return list(dict.fromkeys(_key(one) for ranking, _ in found for one in ranking.candidates))


def _key(one: Candidate) -> _Key:
    return one.model, one.training, one.init, one.seed, one.exporter


def _file(found: Sequence[tuple[Ranking, Choice]], key: _Key, limits: Limits) -> _File:
    there: list[Candidate | None] = []
    misses = []
    would: list[Candidate | None] = []
    doubted: list[Ranking] = []
    for ranking, _ in found:
        mine = [one for one in ranking.candidates if _key(one) == key]
        fit = [one for one in mine if not refused(one, limits)]
        there.append(min(fit, key=lambda one: merit(one, limits)) if fit else None)
        doubtful = [] if fit else [one for one in mine if only_trust(refused(one, limits))]
        would.append(min(doubtful, key=lambda one: merit(one, limits)) if doubtful else there[-1])
        if not mine:
            misses.append(f"not measured on {ranking.device}")
        elif not fit:
            nearest = would[-1] or min(
                mine, key=lambda one: (len(refused(one, limits)), latency(one, limits).value, one.job)
            )
            doubted += [ranking] if doubtful else []
            why = "; ".join(each.reason for each in refused(nearest, limits))
            misses.append(f"on {ranking.device} with {words.threads(nearest)} {why}")
    model, _, init, seed, exporter = key
    variant = ", ".join(part for part in (init, None if seed is None else f"seed {seed}") if part)
    return _File(f"{model}{f' ({variant})' if variant else ''} as {exporter}", there, misses, would, doubted)


def _merit(there: Sequence[Candidate | None], limits: Limits) -> tuple[float, ...]:
    merits = [merit(each, limits)[:3] for each in there if each is not None]
    return tuple(max(part) for part in zip(*merits, strict=True))


def _on(found: Sequence[tuple[Ranking, Choice]], file: _File) -> tuple[OnDevices, ...]:
    placed = []
    for (ranking, choice), one in zip(found, file.there, strict=True):
        assert one is not None
        odds = {
            each.job: odds
            for each, odds in ((choice.chosen, choice.chosen_odds), (choice.runner_up, choice.runner_up_odds))
            if each is not None
        }
        placed.append(OnDevices(device=ranking.device, run=ranking.run, candidate=one, odds=odds.get(one.job)))
    return tuple(placed)


def _reason(found: Sequence[tuple[Ranking, Choice]], fit: Sequence[_File], nearest: Sequence[_File], would: int) -> str:
    count = f"{'both' if len(found) == 2 else f'all {len(found)}'} devices"
    if not fit:
        if not nearest:
            return "Nothing was measured on any of the devices."
        if would:
            doubted = nearest[0].doubted
            again = words.again([one.device for one in doubted], doubted[0].training)
            return (
                f"No file that can be trusted keeps to the limits on {count}; {would} would, but cannot be trusted."
                f" {words.IF_TRUSTED}: {nearest[0].name} ({'; '.join(nearest[0].misses)}). To measure again: {again}"
            )
        return f"No file keeps to the limits on {count}. Nearest: {nearest[0].name}: {'; '.join(nearest[0].misses)}."
    text = f"{fit[0].name} keeps to the limits on {count}."
    return text + (f" The runner-up is {fit[1].name}." if len(fit) > 1 else " No other file does.")
