"""The summary as Markdown, for a pull request or a wiki."""

from __future__ import annotations

import re

from edgeprof.records import ADVICE, Candidate, Ranking
from edgeprof.report.findings import BY, headline
from edgeprof.report.words import (
    Names,
    clean,
    failure_name,
    megabytes,
    number,
    percent,
    percent_span,
    place,
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
    doubtful = [one for one in ranking.candidates if not one.trusted]
    if doubtful:
        lines = [_doubt(one, names) for one in doubtful]
        found = dict.fromkeys(reason for one in doubtful for reason in one.reasons if reason in ADVICE)
        parts += ["## Not trusted", "\n".join(lines)]
        parts += ["\n".join(f"- *{reason}*: {escape(ADVICE[reason])}" for reason in found)] if found else []
    if ranking.failures:
        lines = []
        for failure in ranking.failures:
            hint = f" **What to do:** {escape(failure.hint)}" if failure.hint else ""
            lines.append(f"- {escape(failure_name(failure))} ({failure.stage}): {escape(failure.error)}.{hint}")
        parts += ["## Failed", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


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
    columns = ("Place", "Model", "Exported as", "Threads", "Top-1 %", "Median ms", "p90 ms", "First ms", "File MB", "")
    right = (True, False, False, True, True, True, True, True, True, False)
    lines = ["| " + " | ".join(columns) + " |", "|" + "|".join("---:" if one else "---" for one in right) + "|"]
    for one in ranking.candidates:
        lines.append("| " + " | ".join(_cells(one, names)) + " |")
    return lines


def _cells(one: Candidate, names: Names) -> list[str]:
    variant = names.variant(one)
    high = "" if one.p90_high_ms is None else f" (at most {number(one.p90_high_ms)})"
    accuracy = "–" if one.top1 is None else f"{percent(one.top1)} ({percent_span(one.top1_low, one.top1_high)})"
    notes = [word for word, holds in (("front", one.pareto), ("**not trusted**", not one.trusted)) if holds]
    return [
        place(one),
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


def _legend(ranking: Ranking) -> str:
    return (
        f"Places are by {BY.get(ranking.by, escape(ranking.by))}; where the data cannot tell candidates apart, a place"
        " is a range (95%, for all at once). Values in brackets are 95% intervals. *front*: no other candidate is both"
        " faster and more accurate."
    )
