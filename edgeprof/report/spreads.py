"""How the samples of candidates are spread and how they came in time, as Vega-Lite specifications."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from edgeprof.records import Candidate
from edgeprof.report.drawing import CONFIG, SCHEMA, Spec, colour, specification
from edgeprof.report.samples import Bucket, Spread
from edgeprof.report.words import Names, number

NAME_CHARACTER = 7.0
"""Width of a character of a name, in pixels, on the wide side."""
AXIS = 34
FAR = 3.0
"""Times the median: the edge of the drawing of spreads."""


def distributions(rows: Sequence[tuple[Candidate, Spread]], names: Names, *, width: int) -> Spec:
    """One row per candidate: where its samples lie as shares of its own median, so that unlike models compare.

    What lies beyond `FAR` times the median is drawn to the edge and written out beside it.
    """
    narrow = width < 500
    values = [_spread_row(index, one, spread, names) for index, (one, spread) in enumerate(rows)]
    low = min(value["low"] for value in values)
    high = max(min(value["high"], FAR) for value in values)
    scale = {"domain": [low - 0.02, max(high, 1.1) + 0.02], "zero": False, "nice": False}
    x: Spec = {
        "type": "quantitative",
        "scale": scale,
        "axis": {"orient": "top", "tickCount": 5 if narrow else 9, "format": ".2~f"},
        "title": "Multiples of its own median",
    }
    y: Spec = {"field": "row", "type": "ordinal", "axis": None, "scale": {"paddingInner": 0, "paddingOuter": 0}}
    shift = 8 if narrow else 0

    def bar(start: str, end: str, size: int, opacity: float) -> Spec:
        mark = {"type": "rule", "strokeWidth": size, "opacity": opacity, "yOffset": shift, "aria": False}
        return {
            "mark": mark,
            "encoding": {"x": {**x, "field": start}, "x2": {"field": end}, "y": y, "stroke": colour()},
        }

    def text(field: str, align: str, dx: int, dy: int, at: Spec) -> Spec:
        mark: Spec = {"type": "text", "align": align, "baseline": "middle", "dx": dx, "dy": dy, "aria": False}
        mark |= {"fontSize": 11.5 if narrow else 12, "fill": "var(--ink)"}
        return {"mark": mark, "encoding": {"x": at, "y": y, "text": {"field": field}}}

    tick = {"type": "tick", "color": "var(--ink)", "thickness": 2, "size": 16, "yOffset": shift, "aria": False}
    name = text("label", "left", 0, -9, {"value": 0}) if narrow else text("label", "right", -12, 0, {"value": 0})
    layers: list[Spec] = [
        bar("low", "end", 1, 0.8),
        bar("p10", "p90", 5, 0.5),
        bar("p25", "p75", 11, 1),
        {"mark": tick, "encoding": {"x": {**x, "field": "p50"}, "y": y}},
        name,
        text("far", "left", 4, shift, {**x, "field": "end"}),
    ]
    # Names stand outside of the data area; the drawing program does not know how wide the reader's font is.
    longest = max(len(value["label"]) for value in values)
    left, right = 4 if narrow else round(longest * NAME_CHARACTER) + 16, 46
    body = {"height": {"step": 40 if narrow else 24}, "data": {"values": values}, "layer": layers}
    spec = specification(width - left - right, body)
    spec |= {"autosize": "none", "padding": {"left": left, "right": right, "top": 54, "bottom": 4}}
    spec["description"] = f"How the latency samples of {len(rows)} candidates are spread."
    return spec


def _spread_row(index: int, one: Candidate, spread: Spread, names: Names) -> Spec:
    shares = {key: getattr(spread, key) / spread.p50 for key in spread.__struct_fields__}
    return {
        "row": index,
        "label": names.short(one, 40) + ("" if one.trusted else " (not trusted)"),
        "format": one.format,
        "end": min(shares["high"], FAR),
        "far": f"\u2192 {number(shares['high'])}" if shares["high"] > FAR else "",
        **{key: min(value, FAR) if key != "high" else value for key, value in shares.items()},
    }


def time_order(rows: Sequence[tuple[Candidate, list[Bucket]]], names: Names, *, width: int, columns: int) -> Spec:
    """Small panels, one per candidate: every sample in time order, as a band from smallest to largest and a middle; a
    thin line stands between rounds."""
    values = [
        {
            "panel": index,
            "label": names.short(one, 42),
            "format": one.format,
            **{key: getattr(bucket, key) for key in bucket.__struct_fields__},
        }
        for index, (one, buckets) in enumerate(rows)
        for bucket in buckets
    ]
    x: Spec = {"field": "position", "type": "quantitative", "axis": None, "scale": {"nice": False}}
    y: Spec = {
        "type": "quantitative",
        "scale": {"zero": False},
        "axis": {"tickCount": 3, "labelFontSize": 10.5, "format": "~r", "minExtent": AXIS, "maxExtent": AXIS},
        "title": None,
    }
    band = {
        "mark": {"type": "area", "opacity": 0.4, "aria": False, "strokeWidth": 0.8},
        "encoding": {
            "x": x,
            "y": {**y, "field": "low"},
            "y2": {"field": "high"},
            "fill": colour(),
            "stroke": colour(),
            "detail": {"field": "round"},
        },
    }
    line = {
        "mark": {"type": "line", "strokeWidth": 1.2, "color": "var(--ink)", "aria": False},
        "encoding": {"x": x, "y": {**y, "field": "middle"}, "detail": {"field": "round"}},
    }
    panels = [
        {
            "title": {
                "text": names.short(one, 42),
                "anchor": "start",
                "frame": "group",
                "fontSize": 11.5,
                "fontWeight": "normal",
            },
            "width": (width - columns * (AXIS + 16)) // columns,
            "height": 62,
            "transform": [{"filter": {"field": "panel", "equal": index}}],
            "layer": [_edges(buckets, x), band, line],
        }
        for index, (one, buckets) in enumerate(rows)
    ]
    return {
        "$schema": SCHEMA,
        "background": "transparent",
        "padding": 2,
        "description": f"The samples of {len(rows)} candidates in time order.",
        "data": {"values": values},
        "concat": panels,
        "columns": columns,
        "spacing": {"row": 16, "column": 14},
        "config": {**CONFIG, "title": {"color": "var(--ink)", "offset": 4}},
    }


def _edges(buckets: list[Bucket], x: Spec) -> Spec:
    """A line in the middle of each gap between rounds."""
    gaps = [
        {"position": (last.position + first.position) / 2}
        for last, first in pairwise(buckets)
        if last.round != first.round
    ]
    mark = {"type": "rule", "strokeWidth": 0.8, "color": "var(--line)", "aria": False}
    return {"data": {"values": gaps}, "transform": [], "mark": mark, "encoding": {"x": x}}
