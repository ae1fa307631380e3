"""Where the names of points go in a plot, so that none covers another or a point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from edgeprof.records import Record

CHARACTER = 6.1
LINE = 14.0
RADIUS = 6.0
_GAP = 10.0

Align = Literal["left", "center", "right"]
_Box = tuple[float, float, float, float]


class Point(Record):
    """A named point of the data, and where its name is written: pixels from the point, and what part of it."""

    x: float
    y: float
    text: str
    dx: float = 0.0
    dy: float = 0.0
    align: Align = "center"


def put_labels(
    named: Sequence[Point],
    points: Sequence[tuple[float, float]],
    *,
    x_domain: Sequence[float],
    y_domain: Sequence[float],
    width: float,
    height: float,
) -> list[Point]:
    """The named points whose names find a free place, with that place; the others stay without a name.

    Args:
        points: all points that are drawn, in data units; x is on a logarithmic scale.
        width, height: of the drawing's data area, in pixels.
    """

    def pixel(x: float, y: float) -> tuple[float, float]:
        across = math.log(x / x_domain[0]) / math.log(x_domain[1] / x_domain[0])
        up = (y - y_domain[0]) / (y_domain[1] - y_domain[0])
        return across * width, (1 - up) * height

    taken = [(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, y in (pixel(*point) for point in points)]
    placed = []
    for one in named:
        x, y = pixel(one.x, one.y)
        for dx, dy, align in _PLACES:
            box = _box(x + dx, y + dy, len(one.text) * CHARACTER, align)
            inside = box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                placed.append(Point(x=one.x, y=one.y, text=one.text, dx=dx, dy=dy, align=align))
                break
    return placed


# Up and to the left of a point of the front there is nothing, so that comes first.
_PLACES: tuple[tuple[float, float, Align], ...] = (
    (-_GAP, -_GAP, "right"),
    (0.0, -15.0, "center"),
    (-12.0, 0.0, "right"),
    (12.0, -_GAP, "left"),
    (12.0, _GAP, "left"),
    (12.0, 0.0, "left"),
    (0.0, 15.0, "center"),
    (-_GAP, _GAP, "right"),
    (-_GAP, -26.0, "right"),
    (-_GAP, -42.0, "right"),
    (12.0, 26.0, "left"),
)


def _box(x: float, y: float, width: float, align: Align) -> _Box:
    left = {"left": x, "center": x - width / 2, "right": x - width}[align]
    return left, y - LINE / 2, left + width, y + LINE / 2


def _overlap(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
