"""Where the samples of one candidate lie, as a drawing so small that it fits into a row of a table of thousands."""

from __future__ import annotations

import math

from edgeprof.report.samples import Spread
from edgeprof.report.words import number

WIDTH, MIDDLE = 100, 6
FROM, TO = 0.8, 2.0
"""Multiples of the median at the ends of the drawing; what lies beyond is drawn to the end."""


def strip(spread: Spread) -> str:
    """SVG: a thin line from the smallest to the largest sample, a bar for the middle 80%, one for the middle half, and
    a tick at the median, which stands in the same place in all of them. It holds numbers alone."""
    if not spread.p50 > 0:
        return ""
    low, p10, p25, p75, p90, high = (
        _at(value / spread.p50) for value in (spread.low, spread.p10, spread.p25, spread.p75, spread.p90, spread.high)
    )
    said = f"{number(spread.low / spread.p50)} to {number(spread.high / spread.p50)} times the median"
    return (
        f'<svg class="strip" viewBox="0 0 {WIDTH} {2 * MIDDLE}" role="img" aria-label="{said}">'
        f'<path d="M{low} {MIDDLE}H{high}"/><path class="most" d="M{p10} {MIDDLE}H{p90}"/>'
        f'<path class="half" d="M{p25} {MIDDLE}H{p75}"/><path class="tick" d="M{_at(1)} 1V{2 * MIDDLE - 1}"/></svg>'
    )


def _at(multiple: float) -> float:
    """On a logarithmic axis, to a tenth of a unit."""
    share = math.log(min(max(multiple, FROM), TO) / FROM) / math.log(TO / FROM)
    return round(WIDTH * share, 1)
