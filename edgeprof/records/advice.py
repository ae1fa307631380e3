"""What to do about each reason not to trust a measurement, for the way in which it was measured."""

from __future__ import annotations

from collections.abc import Iterable

from edgeprof.records.measured import ADVICE, Method

QUICK_BLOCK_S = 0.1
"""Length of a block with `--quick`, which nothing else makes so short."""
WIDE_PRECISION, WIDER_PRECISION = 0.05, 0.10
"""What can be asked for instead of a narrower interval, where that still tells candidates apart."""
LONG_S = 60.0


def is_quick(method: Method) -> bool:
    """Whether it was measured with `--quick`."""
    return method.block_s == QUICK_BLOCK_S


def advice(method: Method) -> dict[str, str]:
    """`ADVICE` with what can be asked for instead of what was: never more than was asked for under the name of less.

    Returns:
        Reason -> advice, in the order of the closed list.
    """
    made = "close other programs, fix the clock, "
    found = dict(ADVICE)
    if is_quick(method):
        found["too few samples"] = ADVICE["too few samples"].replace(
            "measure longer, or in more rounds", "measure without --quick"
        )
        instead = f"{made}or measure without --quick"
    elif method.min_rounds == method.max_rounds:
        instead = f"{made}or measure without --rounds, which ends when the precision is reached"
    else:
        time = f"give it more time (--cell-time {max(LONG_S, 2 * method.cell_s):g}s)"
        wider = next((one for one in (WIDE_PRECISION, WIDER_PRECISION) if one > method.precision), None)
        less = "" if wider is None else f", or ask for less (--precision {wider:.0%})"
        instead = f"{made}{'or ' if wider is None else ''}{time}{less}"
    found["interval wide"] = f"the rounds disagree more than the precision asked for allows: {instead}"
    return found


def advice_of_all(methods: Iterable[Method]) -> dict[str, str]:
    """For several runs at once: what was measured in least detail says what can be asked for.

    Returns:
        As `advice`.
    """
    return advice(max(methods, key=lambda one: (is_quick(one), one.precision), default=Method()))
