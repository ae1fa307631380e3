"""Several devices side by side in one HTML file, and as JSON, CSV and Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from edgeprof import __version__
from edgeprof.records import ADVICE, Candidate, Failure, Fleet, Ranking, Record
from edgeprof.records.advice import advice_of_all
from edgeprof.report import budget, findings, fleet_proxies, words
from edgeprof.report.drawing import to_svg
from edgeprof.report.odds import Curves
from edgeprof.report.page import FORMAT_NAMES, facts, render_page, row_ids, started
from edgeprof.report.samples import Spread
from edgeprof.report.scatter import domains_of, scatter
from edgeprof.report.strip import strip

PANEL = (338, 250)
"""Width and height of a device's plot, in pixels: a phone shows one beside another."""
FILTERS = {"device": "Device", "format": "Format", "precision": "Precision", "init": "Initialisation"}

Spreads = Mapping[str, Spread]
"""Of the candidates of a ranking, by job."""


class Line(Record):
    """The same file at the same number of threads on all devices; None where it was not measured."""

    first: Candidate
    there: tuple[Candidate | None, ...]


def lines(rankings: Sequence[Ranking]) -> list[Line]:
    """All candidates by the mean of their places; where one was not measured, it counts as behind the last."""
    known: list[dict[object, Candidate]] = [
        {(words.identity(one), one.threads): one for one in ranking.candidates} for ranking in rankings
    ]
    keys = dict.fromkeys(key for found in known for key in found)

    def order(key: object) -> tuple[float, list[float]]:
        there = [(found.get(key), len(found) + 1) for found in known]
        places = [last if one is None else one.rank for one, last in there]
        return sum(places) / len(places), [float("inf") if one is None else one.median_ms for one, _ in there]

    found = []
    for key in sorted(keys, key=order):
        there = tuple(one.get(key) for one in known)
        found.append(Line(first=next(one for one in there if one is not None), there=there))
    return found


def fleet_page(fleet: Fleet, spreads: Sequence[Spreads], known: Sequence[Mapping[str, Curves]] = ()) -> str:
    """The page of several devices; the same input gives the same bytes.

    Args:
        spreads: for each ranking where the samples of its candidates lie.
        known: for each ranking, by job, what probabilities are computed from; empty: the page tells none.

    Raises:
        MissingPackageError: jinja2 or vl-convert is not installed.
    """
    rankings = fleet.rankings
    candidates = [one for ranking in rankings for one in ranking.candidates]
    names = words.Names(candidates)
    ids = [
        {job: f"d{number}-{row}" for job, row in row_ids(ranking.candidates).items()}
        for number, ranking in enumerate(rankings, start=1)
    ]
    return render_page(
        "fleet.html",
        advice=advice_of_all(one.method for one in rankings),
        fleet=fleet,
        rankings=rankings,
        candidates=candidates,
        names=names,
        ids=ids,
        version=__version__,
        budget=budget.budgets(rankings, ids, known),
        budget_devices=budget.devices(rankings),
        filters=msgspec.json.encode(FILTERS).decode(),
        format_names=FORMAT_NAMES,
        formats=sorted({one.format for one in candidates}),
        headlines=[findings.headline(ranking) for ranking in rankings],
        started=[started(ranking) for ranking in rankings],
        rows=[_rows(ranking, their, found) for ranking, their, found in zip(rankings, ids, spreads, strict=True)],
        lines=lines(rankings),
        panels=_panels(rankings, names, ids),
        domain=_domain(candidates, names),
        facts=_facts(rankings),
        **fleet_proxies.context(fleet),
        methods=_methods(rankings),
        failures=_failures(fleet),
        beside=None,
        effect=None,
        seed_spreads=None,
        failure_name=words.failure_name,
        fronts=any(one.pareto for one in candidates),
        all_placed=all(words.placed(one.candidates) for one in rankings),
        doubtful=sum(not one.trusted for one in candidates),
        doubtful_reasons=list(dict.fromkeys(each for one in candidates for each in one.reasons if each in ADVICE)),
        by=findings.BY.get(rankings[0].by, rankings[0].by) if rankings else "",
    )


def _rows(ranking: Ranking, ids: Mapping[str, str], spreads: Spreads) -> list[tuple[Candidate, str, str | None]]:
    """Each candidate with the id of its row and the drawing of its samples."""
    return [(one, ids[one.job], strip(spreads[one.job]) if one.job in spreads else None) for one in ranking.candidates]


def _domain(candidates: Sequence[Candidate], names: words.Names) -> list[float] | None:
    return domains_of(candidates, names)[0] if any(one.top1 is not None for one in candidates) else None


def _panels(
    rankings: Sequence[Ranking], names: words.Names, ids: Sequence[Mapping[str, str]]
) -> list[dict[str, Any] | None]:
    """A plot for each device that has one, all with the same axes."""
    known = [[one for one in ranking.candidates if one.top1 is not None] for ranking in rankings]
    if not any(known):
        return []
    domains = domains_of([one for some in known for one in some], names)
    width, height = PANEL
    drawn: list[dict[str, Any] | None] = []
    for some, their in zip(known, ids, strict=True):
        if not some:
            drawn.append(None)
            continue
        spec, jobs = scatter(some, names, width=width, height=height, labels=0, domains=domains)
        drawn.append({"svg": to_svg(spec), "points": [their[job] for job in jobs]})
    return drawn


def _facts(rankings: Sequence[Ranking]) -> list[tuple[str, list[str]]]:
    """Each fact with its value on every device."""
    known = [dict(facts(ranking)) for ranking in rankings]
    found = [
        (name, [one.get(name, "not known") for one in known]) for name in dict.fromkeys(k for o in known for k in o)
    ]
    runtimes = sorted({name for one in rankings if one.facts for name in one.facts.runtimes})
    found += [
        (name, [one.facts.runtimes.get(name, "–") if one.facts else "not known" for one in rankings])
        for name in runtimes
    ]
    return found


def _failures(fleet: Fleet) -> list[tuple[str, Failure]]:
    """Those of whole devices first, then each with its device; what failed before any device had a part in it once."""
    found: dict[Failure, list[str]] = {one: [] for one in fleet.failures}
    for ranking in fleet.rankings:
        for one in ranking.failures:
            found.setdefault(one, []).append(ranking.device)
    return [(where[0] if len(where) == 1 else "", one) for one, where in found.items()]


def _methods(rankings: Sequence[Ranking]) -> list[tuple[list[str], list[str]]]:
    """The devices that were measured in one way, and that way in words."""
    found: dict[tuple[str, ...], list[str]] = {}
    for ranking in rankings:
        said = tuple(findings.how_measured(ranking))
        found.setdefault(said, []).append(ranking.device)
    return [(devices, list(said)) for said, devices in found.items()]
