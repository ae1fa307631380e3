"""What the page of a run draws, section by section, and how much of it where there is very much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgeprof.records import Candidate, Measurement, Ranking
from edgeprof.report import effect, energy, operators, precision, proxies, ran, samples, starts, threads, words
from edgeprof.report.drawing import to_svg
from edgeprof.report.scatter import scatter
from edgeprof.report.spreads import distributions, time_order
from edgeprof.stats.seeds import spreads

WIDE, HALF, PHONE = 1040, 480, 350
COLUMNS_WIDE, COLUMNS_PHONE = 3, 1
PANELS = 24
"""Most candidates, or files, that have a drawing of their own."""


def sections(ranking: Ranking, measurements: Sequence[Measurement], ids: Mapping[str, str]) -> dict[str, Any]:
    """The drawings of the page, and what its sections are filled with; None or empty where there is nothing to show.

    Args:
        ids: of each job's row in the page.

    Raises:
        MissingPackageError: vl-convert is not installed.
    """
    names = words.Names(ranking.candidates)
    found = samples.by_job(measurements)
    measured = [one for one in ranking.candidates if one.job in found]
    drawn: dict[str, Any] = {"scatter": None, "scatter_phone": None, "points": [], "domain": None}
    known = [one for one in ranking.candidates if one.top1 is not None]
    if known:
        spec, jobs = scatter(known, names, width=WIDE, height=470)
        phone, _ = scatter(known, names, width=PHONE, height=380)
        drawn |= {
            "scatter": to_svg(spec),
            "scatter_phone": to_svg(phone),
            "points": [ids[job] for job in jobs],
            "domain": spec["usermeta"]["x"],
        }
    drawn |= {
        "spreads": None,
        "spreads_phone": None,
        "panels": None,
        "panels_phone": None,
        "panelled": 0,
        "spread_rows": 0,
    }
    if measured:
        # The doubtful ones are what people look up here, so they are drawn even where there are too many.
        drawn |= {"spread_rows": len(rows := _first(measured, samples.ROWS))}
        spread = [(one, samples.spread(found[one.job])) for one in rows]
        drawn["spreads"] = to_svg(distributions(spread, names, width=WIDE))
        drawn["spreads_phone"] = to_svg(distributions(spread, names, width=PHONE))
        shown = [(one, samples.in_time_order(found[one.job])) for one in _first(measured, PANELS)]
        drawn["panels"] = to_svg(time_order(shown, names, width=WIDE, columns=COLUMNS_WIDE))
        drawn["panels_phone"] = to_svg(time_order(shown, names, width=PHONE, columns=COLUMNS_PHONE))
        drawn["panelled"] = len(shown)
    drawn["measured"] = len(measured)
    drawn["executed"] = ran.executed(ranking.candidates, found)
    drawn |= _starts(ranking, found, names) | _energy(ranking, names)
    drawn |= _sweeps(ranking, found, names) | _profiles(ranking) | _initialisation(ranking) | _accuracy(ranking)
    return drawn | proxies.context(ranking.proxies)


def _first(candidates: Sequence[Candidate], most: int) -> list[Candidate]:
    """At most so many of them, in their order; all that are not trusted before any other is left out."""
    jobs = {one.job for one in sorted(candidates, key=lambda one: one.trusted)[:most]}
    return [one for one in candidates if one.job in jobs]


def _starts(ranking: Ranking, found: Mapping[str, Measurement], names: words.Names) -> dict[str, Any]:
    """Cold start and memory."""
    some = ranking.candidates[: samples.ROWS]
    remembered = [one for one in ranking.candidates if one.peak_rss_bytes is not None]
    drawings = [[to_svg(starts.cold_start(some, names, width=width)) for width in (WIDE, PHONE)] if some else None]
    rows = remembered[: samples.ROWS]
    drawings.append(
        [to_svg(starts.memory(rows, found, names, width=width)) for width in (WIDE, PHONE)] if rows else None
    )
    return {
        "cold": drawings[0],
        "memory": drawings[1],
        "most_rows": samples.ROWS,
        "remembered": [(one, starts.model_bytes(found.get(one.job))) for one in remembered],
    }


def _energy(ranking: Ranking, names: words.Names) -> dict[str, Any]:
    told = energy.told(ranking)
    if told is None:
        return {"energy": None, "energy_chart": None}
    some = [one.candidate for one in told.rows[: samples.ROWS]]
    drawings = [to_svg(energy.chart(some, names, width=width)) for width in (WIDE, PHONE)] if some else None
    return {"energy": told, "energy_chart": drawings}


def _initialisation(ranking: Ranking) -> dict[str, Any]:
    told = ranking.effect
    if told is None:
        return {"effect": None}
    return {
        "effect": told,
        "effect_found": effect.found(told),
        "effect_basis": effect.basis(told.models) if told.models else "",
        "effect_styles": effect.styles(told),
        "effect_chart": to_svg(effect.chart(told, width=WIDE)),
        "effect_chart_phone": to_svg(effect.chart(told, width=PHONE)),
        "effect_by_init": effect.by_init(told.models),
        "effect_place": {
            (arm.init, one.model): effect.place(arm, one.model) for arm in told.arms for one in arm.models
        },
        "effect_swapped": effect.swapped(told),
        "effect_swaps": [effect.swap(one) for one in told.swaps],
        "effect_budgets": effect.budget_sentence(told),
    }


def _accuracy(ranking: Ranking) -> dict[str, Any]:
    candidates = ranking.candidates
    rows = precision.beside(candidates) if precision.several(candidates) else []
    known = [(words.identity(one), one.top1) for one in candidates if one.top1 is not None]
    return {
        "beside": rows,
        "precisions": precision.in_short(rows),
        "seed_spreads": spreads(known),
        "warned": precision.warned(candidates),
    }


def _sweeps(ranking: Ranking, found: Mapping[str, Measurement], names: words.Names) -> dict[str, Any]:
    rows = threads.sweeps(ranking.candidates, found)
    drawn = rows[:PANELS]
    return {
        "sweeps": rows,
        "sweeps_drawn": len(drawn),
        "counts": sorted({one.threads for sweep in rows for one in sweep.candidates}),
        "scaling": to_svg(threads.scaling(drawn, names, width=WIDE, columns=COLUMNS_WIDE)) if rows else None,
        "scaling_phone": to_svg(threads.scaling(drawn, names, width=PHONE, columns=COLUMNS_PHONE)) if rows else None,
    }


def _profiles(ranking: Ranking) -> dict[str, Any]:
    found = operators.profiles(ranking.candidates, ranking.operators)
    widths = (HALF, PHONE)
    shown = [(one, [to_svg(operators.bars(one, width=width)) for width in widths]) for one in found[:PANELS]]
    return {"profiles": shown, "profiled": len(found)}
