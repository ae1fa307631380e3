"""What a ranking says, in plain sentences. Each sentence is a list of spans; a span may point to a candidate."""

from __future__ import annotations

from edgeprof.records import Candidate, Interval, Method, Ranking, Record
from edgeprof.report.words import Names, ms, percent, percent_span, plural, share, span
from edgeprof.stats.stopping import relative_half_width

BY = {
    "latency": "median latency",
    "top1": "top-1 accuracy",
    "size": "file size",
    "memory": "peak memory",
    "energy": "energy",
}


class Span(Record):
    """A piece of a sentence; `job` names the candidate that it speaks of."""

    text: str
    job: str | None = None


Sentence = tuple[Span, ...]


def fastest(ranking: Ranking) -> Candidate | None:
    """The trusted candidate with the lowest median latency."""
    trusted = [one for one in ranking.candidates if one.trusted]
    return min(trusted, key=lambda one: (one.median_ms, -(one.top1 or 0), one.job), default=None)


def most_accurate(ranking: Ranking) -> Candidate | None:
    """The trusted candidate with the highest top-1; of several the fastest."""
    known = [
        (-one.top1, one.median_ms, one.job, one) for one in ranking.candidates if one.trusted and one.top1 is not None
    ]
    return min(known, key=lambda row: row[:3])[3] if known else None


def headline(ranking: Ranking) -> list[Sentence]:
    """The answer in a few sentences: fastest, most accurate, what lies between, what to be careful with."""
    names = Names(ranking.candidates)
    said: list[Sentence] = []
    quick, good = fastest(ranking), most_accurate(ranking)
    if not ranking.candidates:
        said.append((Span(text="Nothing could be measured on this device, so there is nothing to rank."),))
    elif quick is None:
        said.append((Span(text="Nothing here should be relied on: no measurement is trusted."),))
    elif good is None:
        text = f" with a median of {ms(quick.median_ms)}{_tied(ranking, quick)}."
        said.append(
            (Span(text="The fastest candidate is "), Span(text=names.full(quick), job=quick.job), Span(text=text))
        )
        said.append((Span(text="Their accuracy is not known, so they are compared by latency alone."),))
    elif quick.job == good.job:
        text = f": {percent(good.top1)}% of the test images right at a median of {ms(good.median_ms)}."
        lead = "One candidate is both the fastest and the most accurate: " if len(ranking.candidates) > 1 else ""
        said.append((Span(text=lead), Span(text=names.full(good), job=good.job), Span(text=text)))
    else:
        said.append(
            (
                Span(text="The fastest candidate is "),
                Span(text=names.full(quick), job=quick.job),
                Span(text=f": {ms(quick.median_ms)}, {_right(quick)}{_tied(ranking, quick)}."),
            )
        )
        said.append(
            (
                Span(text="The most accurate is "),
                Span(text=names.full(good), job=good.job),
                Span(text=f": {_right(good)}, {ms(good.median_ms)}."),
            )
        )
    said += _between(ranking, names, quick, good)
    said += _careful(ranking)
    return said


def _right(one: Candidate) -> str:
    return "accuracy unknown" if one.top1 is None else f"{percent(one.top1)}% of the test images right"


def _tied(ranking: Ranking, quick: Candidate) -> str:
    others = sum(one.trusted and one.rank == 1 for one in ranking.candidates) - 1
    if ranking.by != "latency" or quick.rank != 1 or others < 1:
        return ""
    return f" (the data do not tell {plural(others, 'other')} apart from it)"


def _between(ranking: Ranking, names: Names, quick: Candidate | None, good: Candidate | None) -> list[Sentence]:
    ends = {one.job for one in (quick, good) if one}
    inner = sorted((one for one in ranking.candidates if one.pareto and one.job not in ends), key=lambda c: c.median_ms)
    if not inner or not good:
        return []
    if len(inner) > 3:
        return [(Span(text=f"Between the two, {len(inner)} more lie on the Pareto front."),)]
    spans = [Span(text="Between the two, also worth a look: ")]
    for index, one in enumerate(inner):
        lead = ", " if index else ""
        spans += [Span(text=lead), Span(text=names.full(one), job=one.job)]
        spans.append(Span(text=f" ({ms(one.median_ms)}, {percent(one.top1)}%)"))
    spans.append(Span(text="."))
    return [tuple(one for one in spans if one.text)]


def _careful(ranking: Ranking) -> list[Sentence]:
    doubtful = sum(not one.trusted for one in ranking.candidates)
    failed = len(ranking.failures)
    parts = []
    if 0 < doubtful < len(ranking.candidates):  # all of them: said already
        total = len(ranking.candidates)
        parts.append(
            f"{doubtful} of {plural(total, 'measurement')} {'is' if doubtful == 1 else 'are'} not to be trusted"
        )
    if failed:
        parts.append(f"{plural(failed, 'combination')} failed")
    return [(Span(text=f"Take care: {' and '.join(parts)}."),)] if parts else []


def how_measured(ranking: Ranking) -> list[str]:
    """How the numbers came about, in words, with the figures of this very run."""
    method, candidates = ranking.method, ranking.candidates
    n = len(candidates)
    said = [
        f"Each candidate was measured {_until(method)}.{_reached(ranking)} A round is one fresh process on the device:"
        " it loads the file, runs it once (the first inference), warms up"
        f" (at least {plural(method.warmup_min, 'run')} and {method.warmup_s:g} s), and then takes samples:"
        f" at least {method.block_min} and {method.block_s:g} s of them, at most {method.block_max}. One sample is the"
        " time from the input in host memory to the output in host memory; of each, the time of the runtime's own call"
        " is kept beside it.",
        "The rounds of all candidates were interleaved in random order, so that heat and other load on the device hit"
        " all of them alike. Nothing else of edgeprof ran meanwhile. Before and after each block a small fixed workload"
        " was timed, the same every time: when it changes, the device did.",
    ]
    if candidates:
        rounds = [one.rounds for one in candidates]
        samples = [one.samples for one in candidates]
        said.append(
            f"This run holds {_range(rounds, 'round')} and {_range(samples, 'sample')} per candidate,"
            f" {sum(samples)} samples in all.{_twice(ranking)}"
        )
    said += [
        "The median is that of the round medians, because samples of one process resemble each other and the rounds are"
        " what is repeated (Kalibera and Jones 2013, doi 10.1145/2464157.2464160). From 7 rounds on, its interval"
        " assumes no distribution and holds at every number of rounds at once, so that stopping when it is narrow"
        " enough does not spoil it (Darling and Robbins 1967, doi 10.1073/pnas.58.1.66); with 3 to 6 rounds it is"
        " Student's t on the logarithms, with fewer there is none. Load and first inference, one of each a round, have"
        " intervals of the same kind.",
        "The 90th percentile is that of all samples, with an interval from their order statistics that counts how many"
        " independent samples they are worth. The 99th percentile is given only when 662 independent samples stand"
        " behind it: fewer cannot bound it with 99% confidence (the rule of MLPerf's early stopping).",
    ]
    images = sorted({one.test_images for one in candidates if one.test_images is not None})
    if images:
        counted = " or ".join(str(count) for count in images)
        said.append(
            f"Accuracy is that of the exported file itself, run over {counted} test images that were not trained on,"
            " with Wilson's 95% interval (Wilson 1927, doi 10.1080/01621459.1927.10502953)."
        )
    if any(one.energy_mj is not None for one in candidates):
        said.append(
            "The energy of an inference was measured afterwards, in fresh processes of its own: each idled beside the"
            " loaded file, ran it without a pause, and did the same with the sensor left alone, while another process"
            " read the device's power sensor. It is the mean power of the running window times its length, by the"
            " inferences in it, with Student's t interval over the processes, on the logarithms (Student 1908, doi"
            " 10.1093/biomet/6.1.1). It is no latency, and no figure of another sensor can be held against it."
        )
    if any(one.top1_drop is not None for one in candidates):
        said.append(
            "The drop of a file is that against the checkpoint it was made of, image by image: its interval is Tango's"
            " score interval (1998, doi 10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B), its p that"
            " of McNemar's exact test. Neither says anything of another training."
        )
    if ranking.effect is not None and ranking.effect.models:
        said.append(
            "The effect of the initialisation is paired by seed and by image. Its interval takes both for samples: the"
            " variance over images and that over seeds are added, with Student's t and degrees of freedom by"
            " Satterthwaite (1946, doi 10.2307/3002019); with one seed it is over the images alone, and says so."
        )
    if n:
        said.append(
            f"Places are by {BY.get(ranking.by, ranking.by)}. Their bounds hold for all {plural(n, 'candidate')} at"
            f" once with 95%: each one's interval is taken at {100 * (1 - 0.05 / n):.4g}%, and only candidates whose"
            " intervals do not touch are put in order (Klein, Wright and Wieczorek 2020, doi 10.1111/rssc.12402)."
        )
    return said


def _until(method: Method) -> str:
    asked = f"the 95% interval of its median was within {share(method.precision)} to either side"
    if method.min_rounds == method.max_rounds:
        return f"in {plural(method.min_rounds, 'round')}; it was asked whether {asked}"
    return (
        f"in rounds, at least {method.min_rounds} and at most {method.max_rounds}, until {asked} or its"
        f" {method.cell_s:g} s were used up"
    )


def reached(one: Candidate, precision: float) -> bool:
    """Whether half of the median's interval is within the precision asked for, as a share of the median."""
    half = relative_half_width(Interval(value=one.median_ms, low=one.median_low_ms, high=one.median_high_ms))
    return half is not None and half <= precision


def _reached(ranking: Ranking) -> str:
    total = len(ranking.candidates)
    missed = sum(not reached(one, ranking.method.precision) for one in ranking.candidates)
    if not total or not missed:
        return " All of them came that far." if total > 1 else " It came that far." if total else ""
    if missed == total:
        return " None of them came that far." if total > 1 else " It did not come that far."
    return f" {missed} of {total} did not come that far; their intervals say how far they came."


def _twice(ranking: Ranking) -> str:
    again = sum(one.attempts > 1 for one in ranking.candidates)
    if not again:
        return ""
    were = "was" if again == 1 else "were"
    return f" {plural(again, 'candidate')} {were} measured twice, because the first measurement could not be trusted."


def _range(values: list[int], what: str) -> str:
    low, high = min(values), max(values)
    return plural(low, what) if low == high else f"{low} to {plural(high, what)}"


def tooltip(one: Candidate, names: Names) -> str:
    """One candidate in one line, for a plot."""
    text = f"{names.full(one)}: median {ms(one.median_ms)} ({span(one.median_low_ms, one.median_high_ms)})"
    if one.top1 is not None:
        text += f", top-1 {percent(one.top1)}% ({percent_span(one.top1_low, one.top1_high)})"
    return text + ("" if one.trusted else ", not trusted")
