"""What comes before the steady state: the time until the first answer, and the memory; as Vega-Lite specifications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgeprof.records import Candidate, Measurement
from edgeprof.report.drawing import Spec, colour, specification
from edgeprof.report.words import Names

NAME_CHARACTER = 7.0
"""Width of a character of a name, in pixels, on the wide side."""
NARROW = 500
PALE = 0.45
"""Opacity of the part of a bar that comes first."""


def cold_start(candidates: Sequence[Candidate], names: Names, *, width: int) -> Spec:
    """A bar per candidate: loading (pale), then the first inference (full), in ms."""
    values = [
        {"row": row, "label": names.short(one), "format": one.format, "a": one.load_ms, "b": one.load_ms + one.first_ms}
        for row, one in enumerate(candidates)
    ]
    spec = bars(values, width, "Milliseconds until the first answer")
    spec["description"] = f"Load and first inference of {len(values)} candidates; the table holds the same numbers."
    return spec


def memory(
    candidates: Sequence[Candidate], measurements: Mapping[str, Measurement], names: Names, *, width: int
) -> Spec:
    """A bar per candidate whose peak memory is known: the process before the model (pale), then what loading and
    running the model added (full), in MB; all of it pale where that is not known."""
    values = []
    for row, one in enumerate(candidates):
        assert one.peak_rss_bytes is not None
        added = model_bytes(measurements.get(one.job))
        base = one.peak_rss_bytes - (added or 0)
        values.append(
            {
                "row": row,
                "label": names.short(one),
                "format": one.format,
                "a": base / 1e6,
                "b": one.peak_rss_bytes / 1e6,
            }
        )
    spec = bars(values, width, "Largest resident set in MB")
    spec["description"] = f"Peak memory of {len(values)} candidates; the table holds the same numbers."
    return spec


def model_bytes(measurement: Measurement | None) -> int | None:
    """What loading and running the model added to its process: the median over the rounds."""
    known = (
        [one.model_rss_bytes for one in measurement.rounds if one.model_rss_bytes is not None] if measurement else []
    )
    return int(np.median(known)) if known else None


def bars(values: list[Spec], width: int, title: str) -> Spec:
    """A bar a row in two parts: to `a` pale, from there to `b` full."""
    narrow = width < NARROW
    x: Spec = {
        "type": "quantitative",
        "scale": {"domain": [0, max(1e-9, *(value["b"] for value in values))], "nice": True},
        "axis": {"orient": "top", "tickCount": 4 if narrow else 8, "format": "~r"},
        "title": title,
    }
    y: Spec = {"field": "row", "type": "ordinal", "axis": None, "scale": {"paddingInner": 0, "paddingOuter": 0}}
    shift = 8 if narrow else 0
    fill = colour()

    def bar(start: Spec, end: str, opacity: float) -> Spec:
        mark = {"type": "bar", "height": 11, "opacity": opacity, "yOffset": shift, "aria": False}
        return {"mark": mark, "encoding": {"x": {**x, **start}, "x2": {"field": end}, "y": y, "fill": fill}}

    text: Spec = {"type": "text", "baseline": "middle", "fontSize": 12, "fill": "var(--ink)", "aria": False}
    text |= {"align": "left", "dx": 0, "dy": -9} if narrow else {"align": "right", "dx": -12}
    layers: list[Spec] = [
        bar({"field": "zero"}, "a", PALE),
        bar({"field": "a"}, "b", 1),
        {"mark": text, "encoding": {"x": {"value": 0}, "y": y, "text": {"field": "label"}}},
    ]
    rows = [{**value, "zero": 0} for value in values]
    left = 4 if narrow else round(max(len(value["label"]) for value in values) * NAME_CHARACTER) + 16
    body = {"height": {"step": 40 if narrow else 22}, "data": {"values": rows}, "layer": layers}
    spec = specification(width - left - 20, body)
    return spec | {"autosize": "none", "padding": {"left": left, "right": 20, "top": 54, "bottom": 4}}
