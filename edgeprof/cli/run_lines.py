"""One run in short, as lines that fit the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from edgeprof.cli import console, on_device_lines, tables
from edgeprof.cli.effect_lines import headline
from edgeprof.records import ADVICE, Candidate, Method, Ranking, Run
from edgeprof.records.advice import advice

NARROWEST = 40


def tell_run(run: Run, ranking: Ranking) -> None:
    """What a run was, and of each candidate its median, its trust, and what ran; failures on stderr."""
    width = max(NARROWEST, console.out().width)
    for indent, text in _lines(run, ranking):
        # Names come from files, devices and converters: nothing in them may steer the terminal.
        plain = "".join(char if char.isprintable() else "\ufffd" for char in text)
        print(textwrap.fill(plain, width, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2)))
    tables.tell_failures(ranking.failures)


def _lines(run: Run, ranking: Ranking) -> Iterator[tuple[int, str]]:
    """Each line with its indent."""
    training = f", training {run.training}" if run.training else ""
    state = "finished" if run.finished else "unfinished"
    yield 0, f"run {run.run}, {state}, started {run.started_at}{training}"
    yield 0, f"device: {run.device}{_board(ranking)}"
    yield 0, f"method: {_asked(run.method)}"
    doubtful = sum(not one.trusted for one in ranking.candidates)
    yield 0, f"{len(ranking.candidates)} candidates, {doubtful} not trusted; {len(ranking.failures)} failed"
    sensor = next((one for one in ranking.energy if one.sensor is not None), None)
    if sensor is not None:
        yield 0, f"energy by {sensor.sensor}: {sensor.covers}"
    yield from ((0, line) for line in on_device_lines.lines(ranking, named=False))
    there = {one.job: one for one in ranking.on_device}
    several = len({(one.init, one.seed) for one in ranking.candidates}) > 1
    placed = tables.placed(ranking)
    if ranking.candidates and not placed:
        yield 0, tables.NO_PLACES
    for one in ranking.candidates:
        yield 0, ""
        yield 0, f"{f'{one.rank}.' if placed else '-'} {tables.who(one, several)}"
        interval = tables.spread(one.median_low_ms, one.median_high_ms)
        bounds = "no interval" if interval == "-" else f"95% interval {interval}"
        rounds = f"{one.samples} samples in {one.rounds} rounds" + (", measured twice" if one.attempts > 1 else "")
        yield 3, f"median {tables.milliseconds(one.median_ms)} ms ({bounds}), {rounds}"
        yield 3, _starting(one)
        yield 3, f"ran on {one.runs_on} in {one.precision_executed}{_nodes(one)}"
        if one.job in there and there[one.job].verdict != "same":
            yield 3, on_device_lines.of_candidate(there[one.job])
        if run.energy:
            yield 3, energy_line(one)
        yield from ((3, line) for line in _accuracy(one))
        yield 3, "trusted" if one.trusted else f"not trusted: {'; '.join(one.reasons) or 'no reason given'}"
    if ranking.effect is not None:
        yield 0, ""
        yield 0, "What the initialisation brings (more: edgeprof show effect):"
        yield from ((3, line) for line in headline(ranking.effect))
    reasons = dict.fromkeys(reason for one in ranking.candidates for reason in one.reasons if reason in ADVICE)
    if reasons:
        yield 0, ""
        yield 0, "What to do about what is not trusted:"
    for reason in reasons:
        yield 3, f"{reason}: {advice(ranking.method)[reason]}"


def _starting(one: Candidate) -> str:
    """Cold start, memory and the file, as the report has them in full."""
    ms = tables.milliseconds
    times = f" ({one.first_ms / one.median_ms:.1f} times the median)" if one.median_ms > 0 else ""
    p99 = "" if one.p99_ms is None else f", p99 {ms(one.p99_ms)} ms"
    at_most = "" if one.p90_high_ms is None else f" (at most {ms(one.p90_high_ms)})"
    memory = "" if one.peak_rss_bytes is None else f", memory {tables.megabytes(one.peak_rss_bytes)} MB"
    return (
        f"p90 {ms(one.p90_ms)} ms{at_most}{p99}; load {ms(one.load_ms)} ms, first inference {ms(one.first_ms)} ms"
        f"{times}{memory}, file {tables.megabytes(one.size_bytes)} MB"
    )


def energy_line(one: Candidate) -> str:
    """The energy of an inference, or why there is none."""
    number, spread = tables.milliseconds, tables.spread
    if one.energy_mj is None or one.energy_above_idle_mj is None or one.power_w is None or one.idle_power_w is None:
        return f"no energy: {one.energy_reason or 'not measured'}"
    span = spread(one.energy_low_mj, one.energy_high_mj)
    bounds = "no interval" if span == "-" else f"95% interval {span}"
    return (
        f"energy {number(one.energy_mj)} mJ an inference ({bounds}), {number(one.energy_above_idle_mj)} mJ of it above"
        f" idle; power {one.power_w:.3g} W, idle {one.idle_power_w:.3g} W"
    )


def _accuracy(one: Candidate) -> Iterator[str]:
    """Where there is something to say of its drop, and what the export warned of."""
    if one.top1_drop and one.top1_drop_low is not None and one.top1_drop_high is not None:
        span = f"{100 * one.top1_drop_low:.2f}..{100 * one.top1_drop_high:.2f}"
        what = "lost" if one.top1_drop_low > 0 else "within noise"
        yield f"top-1 drop {100 * one.top1_drop:.2f} points against its checkpoint (95% interval {span}): {what}"
    for warning in one.warnings:
        yield f"warning: {warning}"


def _board(ranking: Ranking) -> str:
    facts = ranking.facts
    if facts is None:
        return ", of which nothing is known"
    parts = [facts.board, facts.cpu, f"{facts.cores} cores", facts.os, facts.architecture]
    parts.append(f"governor {facts.governor}" if facts.governor else None)
    return ": " + ", ".join(part for part in parts if part)


def _asked(method: Method) -> str:
    if method.min_rounds == method.max_rounds:
        return f"{method.min_rounds} rounds"
    return (
        f"{method.min_rounds} to {method.max_rounds} rounds until the median's 95% interval is within"
        f" {tables.share(method.precision)} to either side, at most {method.cell_s:g} s a candidate"
    )


def _nodes(one: Candidate) -> str:
    """What the runtime tells of the graph as it executed it."""
    ran = one.ran
    if ran is None:
        return ""
    parts = []
    if ran.on_provider is not None:
        of = "" if ran.nodes is None else f" of {ran.nodes}"
        where = "" if ran.provider == one.runs_on else f" on {ran.provider}"
        parts.append(f"{ran.on_provider}{of} nodes{where}")
    if ran.partitions is not None:
        parts.append(f"{ran.partitions} part" + ("s" if ran.partitions != 1 else ""))
    if ran.precisions and len(ran.precisions) > 1:
        parts.append(", ".join(f"{count} in {name}" for name, count in sorted(ran.precisions.items())))
    return (f": {', '.join(parts)}" if parts else "") + f" (found by {ran.source})"
