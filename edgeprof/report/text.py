"""The summary as Markdown, for a pull request or a wiki."""

from __future__ import annotations

import re

from edgeprof.records import ADVICE, Candidate, Effect, Fleet, Ranking
from edgeprof.records.advice import advice
from edgeprof.report import effect as effects
from edgeprof.report import energy as energies
from edgeprof.report import fleet_proxies, precision
from edgeprof.report.findings import BY, headline
from edgeprof.report.fleet import lines
from edgeprof.report.on_device import there
from edgeprof.report.words import (
    NO_PLACES,
    Names,
    clean,
    drop,
    drop_span,
    failure_name,
    megabytes,
    number,
    ordered_by,
    percent,
    percent_span,
    place,
    placed,
    plural,
    span,
)

_MARKS = re.compile(r"([\\`*\[\]|~<>&@#!{}$])|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])|^[-+=]")


def escape(text: str) -> str:
    """Text that Markdown, GitHub's included, shows as it is: no markup, HTML, link, mention or new table cell.

    Underscores within words mean nothing in Markdown and stay, so that names of models can be read in the source.
    """
    text = _MARKS.sub(lambda match: f"&#{ord(match[0])};", clean(text))
    # GitHub makes links of bare addresses.
    return text.replace("://", "&#58;//").replace("www.", "www&#46;")


def summary(ranking: Ranking) -> str:
    """The ranking as Markdown: what it says, the table, what is not trusted, what failed."""
    names = Names(ranking.candidates)
    parts = [f"# edgeprof: {escape(ranking.device)}", _lead(ranking), " ".join(_sentences(ranking))]
    if ranking.candidates:
        parts += ["\n".join(_table(ranking, names)), _legend(ranking)]
    if ranking.effect is not None:
        parts += ["## Initialisation", *_effect(ranking.effect)]
    if precision.several(ranking.candidates):
        parts += ["## Precision", "\n".join(_precisions(ranking))]
    warned = precision.warned(ranking.candidates)
    if warned:
        lines = [f"- {escape(names.full(one))}: {escape('; '.join(one.warnings))}" for one in warned]
        parts += ["## Warnings", "\n".join(lines)]
    doubtful = [one for one in ranking.candidates if not one.trusted]
    if doubtful:
        lines = [_doubt(one, names) for one in doubtful]
        found = dict.fromkeys(reason for one in doubtful for reason in one.reasons if reason in ADVICE)
        parts += ["## Not trusted", "\n".join(lines)]
        parts += (
            ["\n".join(f"- *{reason}*: {escape(advice(ranking.method)[reason])}" for reason in found)] if found else []
        )
    if ranking.on_device:
        parts += ["## On the device", _ON_DEVICE, "\n".join(_on_device(ranking, names))]
    spent = energies.told(ranking)
    if spent is not None:
        parts += ["## Energy", *_energy(spent, names)]
    if ranking.failures:
        lines = []
        for failure in ranking.failures:
            hint = f" **What to do:** {escape(failure.hint)}" if failure.hint else ""
            lines.append(f"- {escape(failure_name(failure))} ({failure.stage}): {escape(failure.error)}.{hint}")
        parts += ["## Failed", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def fleet_summary(fleet: Fleet) -> str:
    """Several devices as Markdown: what each says, and the medians side by side."""
    rankings = fleet.rankings
    parts = [f"# edgeprof: {plural(len(rankings), 'device')}"]
    parts += [f"**{escape(ranking.device)}**: {' '.join(_sentences(ranking))}" for ranking in rankings]
    found = lines(rankings)
    if found:
        names = Names([one.first for one in found])
        devices = [escape(ranking.device) for ranking in rankings]
        rows = [
            "| " + " | ".join(["Model", "Exported as", "Threads", "Top-1 %", *devices]) + " |",
            "|---|---|---:|---:|" + "---:|" * len(devices),
        ]
        places = [placed(one.candidates) for one in rankings]
        for line in found:
            one, variant = line.first, names.variant(line.first)
            model = escape(one.model + (f" ({variant})" if variant else ""))
            cells = [model, escape(one.exporter), str(one.threads), percent(one.top1)]
            there = (_there(each, known) for each, known in zip(line.there, places, strict=True))
            rows.append("| " + " | ".join([*cells, *there]) + " |")
        parts += [
            "\n".join(rows),
            "Median ms on each device with its 95% interval; in square brackets the places that it may hold there. *!*:"
            " not trusted.",
        ]
    proxies = _fleet_proxies(fleet)
    parts += ["## What proxies hide", *proxies] if proxies else []
    failures = [*fleet.failures, *(one for ranking in rankings for one in ranking.failures)]
    if failures:
        said = [f"- {escape(failure_name(one))} ({one.stage}): {escape(one.error)}" for one in dict.fromkeys(failures)]
        parts += ["## Failed", "\n".join(said)]
    return "\n\n".join(parts) + "\n"


def _fleet_proxies(fleet: Fleet) -> list[str]:
    """Whether one device tells the order on another; empty where nothing does tell that."""
    pairs = fleet_proxies.pairs(fleet)
    parts = []
    if pairs:
        rows = ["| Device | Other device | Correlation | Settings | Models |", "|---|---|---:|---:|---:|"]
        for one in pairs:
            its = one.found
            middle, low, high = (fleet_proxies.signed(value) for value in (its.middle, its.low, its.high))
            cells = [escape(one.first), escape(one.second), f"{middle} ({low} to {high})"]
            rows.append("| " + " | ".join([*cells, str(its.settings), str(its.models)]) + " |")
        parts += [
            "\n".join(rows),
            "Kendall's rank correlation of the models' latencies: 1 is the same order, -1 the reverse; the middle one"
            " over all exporters and numbers of threads, in brackets the lowest and the highest.",
        ]
    if fleet.swaps:
        parts.append("\n".join(f"- {escape(fleet_proxies.swap(one))}" for one in fleet.swaps))
    return parts


def _there(one: Candidate | None, known: bool) -> str:
    if one is None:
        return "–"
    shown = f"{number(one.median_ms)} ({span(one.median_low_ms, one.median_high_ms)}) &#91;{place(one, known)}&#93;"
    return shown if one.trusted else f"{shown} *!*"


def _doubt(one: Candidate, names: Names) -> str:
    twice = " (measured twice)" if one.attempts > 1 else ""
    return f"- {escape(names.full(one))}{twice}: {escape('; '.join(one.reasons) or 'no reason given')}"


def _lead(ranking: Ranking) -> str:
    facts = ranking.facts
    board = (
        f" on {escape(facts.board or facts.cpu)} ({escape(facts.os)}, {escape(facts.architecture)})" if facts else ""
    )
    count = plural(len(ranking.candidates), "candidate")
    return f"{count} measured{board}, run {escape(ranking.run)}, started {escape(ranking.started_at)}."


def _sentences(ranking: Ranking) -> list[str]:
    return [
        "".join(f"**{escape(one.text)}**" if one.job else escape(one.text) for one in sentence)
        for sentence in headline(ranking)
    ]


def _table(ranking: Ranking, names: Names) -> list[str]:
    columns = ["Place", "Model", "Exported as", "Threads", "Top-1 %", "Median ms", "p90 ms", "First ms", "File MB", ""]
    right = [True, False, False, True, True, True, True, True, True, False]
    by = ordered_by(ranking.by)
    if by is not None:
        columns.insert(-1, escape(by.name))
        right.insert(-1, True)
    lines = ["| " + " | ".join(columns) + " |", "|" + "|".join("---:" if one else "---" for one in right) + "|"]
    for one in ranking.candidates:
        cells = _cells(one, names, placed(ranking.candidates))
        if by is not None:
            cells.insert(-1, by.shown(one))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _cells(one: Candidate, names: Names, known: bool) -> list[str]:
    variant = names.variant(one)
    high = "" if one.p90_high_ms is None else f" (at most {number(one.p90_high_ms)})"
    accuracy = "–" if one.top1 is None else f"{percent(one.top1)} ({percent_span(one.top1_low, one.top1_high)})"
    marks = (("front", one.pareto), ("**not trusted**", not one.trusted), ("**warning**", bool(one.warnings)))
    notes = [word for word, holds in marks if holds]
    if one.top1_drop:
        notes.append(f"drop {drop(one.top1_drop)} ({drop_span(one.top1_drop_low, one.top1_drop_high)})")
    return [
        place(one, known),
        escape(one.model + (f" ({variant})" if variant else "")),
        escape(one.exporter),
        str(one.threads),
        accuracy,
        f"{number(one.median_ms)} ({span(one.median_low_ms, one.median_high_ms)})",
        number(one.p90_ms) + high,
        number(one.first_ms),
        megabytes(one.size_bytes),
        ", ".join(notes),
    ]


def _effect(found: Effect) -> list[str]:
    """Sentences, the table, then the order and the budgets."""
    parts = [escape(" ".join(effects.found(found)))]
    parts += [escape(effects.basis(found.models))] if found.models else []
    lines = [
        "| Model | Initialisation | Top-1 % | Against | Top-1 % | Difference, points | Images alone | sd of seeds |",
        "|---|---|---:|---|---:|---:|---:|---:|",
    ]
    for one in found.models:
        cells = [
            escape(one.model),
            escape(one.init),
            percent(one.top1),
            escape(one.against),
            percent(one.against_top1),
            f"{effects.points(one.difference)} ({effects.points_span(one.difference_low, one.difference_high)})",
            effects.points_span(one.images_low, one.images_high),
            "one seed" if one.seeds_sd is None else percent(one.seeds_sd),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    parts += ["\n".join(lines), escape(effects.swapped(found))] if found.models else []
    parts += ["\n".join(f"- {escape(effects.swap(one))}" for one in found.swaps)] if found.swaps else []
    budgets = effects.budget_sentence(found)
    parts += [escape(budgets)] if budgets else []
    return parts + (["\n".join(f"- not compared: {escape(text)}" for text in found.missing)] if found.missing else [])


def _precisions(ranking: Ranking) -> list[str]:
    lines = [
        "| Exported as | Files | Latency, × of fp32 | Size, × of fp32 | Drop, points (mean) | Largest | Beyond noise |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for one in precision.in_short(precision.beside(ranking.candidates)):
        drops = [drop(one.drop), drop(one.largest_drop), str(one.clear)]
        cells = [escape(one.exporter), str(one.files), number(one.latency), number(one.size), *drops]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


_ON_DEVICE = (
    "Test images that were run on the device, and each output compared with the host's output of the same file. The"
    " difference is the largest one, as a share of the outputs' spread, with what rounding explains in brackets."
)


def _on_device(ranking: Ranking, names: Names) -> list[str]:
    lines = [
        "| Candidate | Images | Top-1 there % | Same class % | Difference | Verdict |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for one in there(ranking):
        found = one.found
        verdict = f"**{one.verdict}**" if found.verdict == "differs" else one.verdict
        cells = [
            escape(names.full(one.candidate)),
            str(found.images),
            f"{percent(found.top1)} ({percent_span(found.top1_low, found.top1_high)})",
            percent(found.agreement, 2),
            f"{one.difference} ({one.allowed})",
            verdict,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _energy(found: energies.Told, names: Names) -> list[str]:
    parts = [f"By the sensor {escape(name)}: {escape(covers)}." for name, covers in found.sensors]
    if found.rows:
        lines = [
            "| Candidate | mJ an inference | Of it above idle | Power W | Idle W | Rounds |",
            "|---|---:|---:|---:|---:|---:|",
        ]
        for row in found.rows:
            one = row.candidate
            above = span(one.energy_above_idle_low_mj, one.energy_above_idle_high_mj)
            figures = [f"{number(one.energy_mj)} ({span(one.energy_low_mj, one.energy_high_mj)})"]
            figures += [f"{number(one.energy_above_idle_mj)} ({above})", number(one.power_w), number(one.idle_power_w)]
            lines.append("| " + " | ".join([escape(names.full(one)), *figures, str(one.energy_rounds)]) + " |")
        parts.append("\n".join(lines))
    if found.missing:
        rows = [f"- no energy of {plural(count, 'candidate')}: {escape(reason)}" for reason, count in found.missing]
        parts.append("\n".join(rows))
    return parts


def _legend(ranking: Ranking) -> str:
    known = placed(ranking.candidates)
    return (
        (
            f"Places are by {BY.get(ranking.by, escape(ranking.by))}; where the data cannot tell candidates apart, a"
            " place is a range (95%, for all at once)."
            if known
            else NO_PLACES
        )
        + " Values in brackets are 95% intervals."
        + (" *front*: no other candidate is both faster and more accurate." if known else "")
        + (
            " *drop*: points of top-1 lost against the checkpoint, on the same images."
            if any(one.top1_drop for one in ranking.candidates)
            else ""
        )
    )
