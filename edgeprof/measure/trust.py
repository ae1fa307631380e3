"""Whether to trust a measurement, and why not: reasons from a closed list, each with advice. Pure.

A verdict must not cry wolf: on a machine that does nothing else, a reason should be rare. How often each reason is
named rightly, and how often a clean session is called untrusted: tests/benchmarks/bench_faults.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgeprof.agent.runtimes import keeps
from edgeprof.measure import conditions
from edgeprof.records import AS_IN_FILE, Cell, DeviceFacts, Method, Reason, Round

NO_DELEGATE = "built-in kernels"
"""What a TFLite file runs on where no delegate took any of it."""

MIN_SAMPLES = 10
"""In a round. The median of ten is bounded by its 2nd and 9th order statistics with 97.9%; fewer say little."""

MINOR_SHARE = 0.1
"""Fewest processes, as a share, that make a level of their own; fewer are odd ones, which the median survives."""

DIFFERS = {"fp32": 1e-3, "fp16": 1e-2, "int8": 5e-2, "dynamic-int8": 5e-2}
"""Largest difference of an output from the host's as a share of the spread: other kernels round otherwise (fp32: about
1e-6; half precision: 1e-3; quantized: a few steps of 1/255). Another precision shows above it: bf16 at some 1e-2."""

WRONG_TIMES = 10.0
"""An output that differs by so many times the above is wrong: the cell fails."""


def differs_above(precision: str) -> float:
    """The largest output difference that rounding explains, as a share of the expected outputs' spread."""
    return DIFFERS.get(precision, DIFFERS["fp16"])


def wrong_above(precision: str) -> float:
    """The output difference at which a round fails."""
    return WRONG_TIMES * differs_above(precision)


def verdict(method: Method, rounds: Sequence[Round], cell: Cell, facts: DeviceFacts) -> tuple[Reason, ...]:
    """The reasons not to trust the measurement made of these rounds (at least one); none: it is to be trusted."""
    found: dict[Reason, bool] = {
        "too few samples": _too_few(method, rounds),
        "outputs differ": _outputs_differ(rounds, cell),
        "precision differs": _precision_differs(rounds, cell),
        "provider fell back": _fell_back(rounds, cell),
        "throttled": conditions.throttled(rounds, facts),
        "under-voltage": conditions.under_voltage(rounds),
        "hot at start": conditions.hot_at_start(rounds, facts),
        "governor not fixed": conditions.governor_not_fixed(rounds, facts),
        "clock step": conditions.clock_step(rounds),
        "other load": conditions.other_load(rounds, facts),
        "canary drifted": conditions.canary_drifted(rounds, method.precision),
        "interval wide": _half_width(rounds) > method.precision,
        "bimodal": _bimodal(rounds, method.precision),
        "trend": _trend(rounds, method.precision),
    }
    return tuple(reason for reason, holds in found.items() if holds)


def _too_few(method: Method, rounds: Sequence[Round]) -> bool:
    # scipy takes half a second to import, which planning and connecting need not wait for.
    from edgeprof.stats.intervals import MIN_ROUNDS

    few = len(rounds) < max(MIN_ROUNDS, method.min_rounds)
    return few or any(len(one.samples_ns) < MIN_SAMPLES for one in rounds)


def _outputs_differ(rounds: Sequence[Round], cell: Cell) -> bool:
    limit = differs_above(cell.precision)
    return any(one.output_diff is not None and one.output_diff > limit for one in rounds)


def _precision_differs(rounds: Sequence[Round], cell: Cell) -> bool:
    """Where a round asked the runtime what ran, that counts; the others know only what they asked for."""
    asked = [one for one in rounds if one.ran is not None] or rounds
    return cell.precision != AS_IN_FILE and any(not keeps(cell.precision, one.precision_executed) for one in asked)


def _fell_back(rounds: Sequence[Round], cell: Cell) -> bool:
    """Whether not all of the graph ran where it was asked to, or nothing of it on the delegate that is there for it."""
    for ran in (one.ran for one in rounds):
        if ran is None:
            continue
        if cell.provider is None:
            if cell.format == "tflite" and ran.provider == NO_DELEGATE:
                return True
            continue
        asked = NO_DELEGATE if (cell.format, cell.provider) == ("tflite", "none") else cell.provider
        # OpenVINO asked for GPU tells which: GPU.0.
        if ran.provider != asked and not ran.provider.startswith(f"{asked}."):
            return True
        if ran.nodes is not None and ran.on_provider is not None and ran.on_provider < ran.nodes:
            return True
    return False


def _half_width(rounds: Sequence[Round]) -> float:
    """Of the median's interval, as a share of the median; 0 where there is no interval (too few rounds)."""
    from edgeprof.stats.intervals import quantile_interval
    from edgeprof.stats.stopping import relative_half_width

    return relative_half_width(quantile_interval([one.samples_ns for one in rounds], 0.5)) or 0.0


def _bimodal(rounds: Sequence[Round], precision: float) -> bool:
    """Two levels of whole processes, or two levels within processes, further apart than the precision asked for.

    Of up to ten processes a single one apart is enough to be measured again; of more, one in ten.
    """
    from edgeprof.stats import shape

    blocks = [one.samples_ns for one in rounds]
    between, within = shape.modes_between(blocks), shape.modes_within(blocks)
    if between is not None and min(between.slow_share, 1 - between.slow_share) < MINOR_SHARE:
        between = None
    return any(modes is not None and modes.gap > precision for modes in (between, within))


def _trend(rounds: Sequence[Round], precision: float) -> bool:
    """Latency that moves from round to round, or within the rounds, by more than the precision asked for."""
    from edgeprof.stats import shape

    blocks = [one.samples_ns for one in sorted(rounds, key=lambda one: one.position)]
    return max(abs(shape.trend(blocks) or 0.0), abs(shape.warm_up(blocks).change)) > precision
