"""Accuracy against latency, as a Vega-Lite specification."""

from __future__ import annotations

from collections.abc import Sequence

from edgeprof.records import Candidate
from edgeprof.report.drawing import FORMATS, Spec, colour, log_domain, log_ticks, specification
from edgeprof.report.findings import tooltip
from edgeprof.report.labels import Point, put_labels
from edgeprof.report.words import Names

MAX_LABELS = 12
Domains = tuple[list[float], list[float]]
"""Lowest and highest latency in ms, and top-1 in %."""


def scatter(
    candidates: Sequence[Candidate],
    names: Names,
    *,
    width: int,
    height: int,
    labels: int = MAX_LABELS,
    domains: Domains | None = None,
) -> tuple[Spec, list[str]]:
    """Accuracy against latency, both with their intervals, and the Pareto front.

    Args:
        labels: most points of the front that are named.
        domains: of the axes; None: what holds all points.

    Returns: the specification, and the jobs of the points in the order in which they are drawn. Candidates without an
    accuracy are not in it; `candidates` must hold at least one that has it.
    """
    known = [one for one in candidates if one.top1 is not None]
    rows = [_point(one, names) for one in sorted(known, key=lambda one: not one.trusted)]
    x_domain, y_domain = domains or _domains(rows)
    x: Spec = {
        "field": "x",
        "type": "quantitative",
        "scale": {"type": "log", "domain": x_domain, "nice": False},
        "axis": {"values": log_ticks(x_domain, 9 if width > 500 else 5), "format": "~r"},
        "title": "Median latency in ms (log scale)",
    }
    y: Spec = {
        "field": "y",
        "type": "quantitative",
        "scale": {"domain": y_domain, "zero": False, "nice": False},
        "axis": {"tickCount": 6},
        "title": "Top-1 accuracy in %",
    }
    marks = [
        {"values": [row for row in rows if row["trusted"]]},
        {"values": [row for row in rows if not row["trusted"]]},
    ]
    front = sorted((row for row in rows if row["front"]), key=lambda row: (row["x"], -row["y"]))
    layers: list[Spec] = [
        _line(front, x, y),
        _rule(rows, {"x": {**x, "field": "x1"}, "x2": {"field": "x2"}, "y": y}),
        _rule(rows, {"x": x, "y": {**y, "field": "y1"}, "y2": {"field": "y2"}}),
    ]
    layers += [_points(data, x, y, filled=index == 0) for index, data in enumerate(marks) if data["values"]]
    named = put_labels(
        [Point(x=row["x"], y=row["y"], text=row["label"]) for row in front][:labels],
        [(row["x"], row["y"]) for row in rows],
        x_domain=x_domain,
        y_domain=y_domain,
        width=width - 60,
        height=height - 100,
    )
    layers += [_label(label, x, y) for label in named]
    spec = specification(width, {"height": height, "layer": layers})
    spec["description"] = f"Accuracy against latency of {len(rows)} candidates; the table below holds the same numbers."
    spec["usermeta"] = {"x": x_domain}  # the page draws a budget into it
    return spec, [str(row["job"]) for row in rows]


def domains_of(candidates: Sequence[Candidate], names: Names) -> Domains:
    """The axes that hold all candidates whose accuracy is known, of which there must be one."""
    return _domains([_point(one, names) for one in candidates if one.top1 is not None])


def _domains(rows: Sequence[Spec]) -> Domains:
    return (
        log_domain([row[key] for row in rows for key in ("x", "x1", "x2")]),
        _percent_domain([row[key] for row in rows for key in ("y", "y1", "y2")]),
    )


def _point(one: Candidate, names: Names) -> Spec:
    assert one.top1 is not None
    return {
        "job": one.job,
        "x": one.median_ms,
        "x1": one.median_ms if one.median_low_ms is None else one.median_low_ms,
        "x2": one.median_ms if one.median_high_ms is None else one.median_high_ms,
        "y": 100 * one.top1,
        "y1": 100 * (one.top1 if one.top1_low is None else one.top1_low),
        "y2": 100 * (one.top1 if one.top1_high is None else one.top1_high),
        "format": one.format,
        "trusted": one.trusted,
        "front": one.pareto,
        "label": names.short(one),
        "tip": tooltip(one, names),
    }


def _points(data: Spec, x: Spec, y: Spec, *, filled: bool) -> Spec:
    shapes = [shape for shape, _ in FORMATS.values()]
    mark: Spec = {"type": "point", "filled": filled, "size": 95, "opacity": 1, "strokeWidth": 1.6}
    if filled:
        mark |= {"stroke": "var(--page)", "strokeWidth": 1}
    else:
        mark |= {"fill": "var(--page)"}
    channel = "fill" if filled else "stroke"
    encoding: Spec = {
        "x": x,
        "y": y,
        channel: colour(),
        "shape": {"field": "format", "scale": {"domain": list(FORMATS), "range": shapes}, "legend": None},
        "description": {"field": "tip"},
    }
    return {"data": data, "mark": mark, "encoding": encoding}


def _line(front: list[Spec], x: Spec, y: Spec) -> Spec:
    mark = {"type": "line", "interpolate": "step-after", "stroke": "var(--front)", "strokeWidth": 2, "aria": False}
    return {"data": {"values": front}, "mark": mark, "encoding": {"x": x, "y": y, "order": {"field": "x"}}}


def _rule(rows: list[Spec], encoding: Spec) -> Spec:
    mark = {"type": "rule", "strokeWidth": 1.3, "opacity": 0.45, "aria": False}
    return {"data": {"values": rows}, "mark": mark, "encoding": {**encoding, "stroke": colour()}}


def _label(label: Point, x: Spec, y: Spec) -> Spec:
    mark = {
        "type": "text",
        "align": label.align,
        "baseline": "middle",
        "dx": label.dx,
        "dy": label.dy,
        "fontSize": 11.5,
        "fill": "var(--ink)",
        "stroke": "var(--page)",
        "strokeWidth": 3,
        "strokeJoin": "round",
        "aria": False,
    }
    halo = {"x": x, "y": y, "text": {"field": "text"}}
    data = {"values": [{"x": label.x, "y": label.y, "text": label.text}]}
    plain = {key: value for key, value in mark.items() if not key.startswith("stroke")}
    return {"data": data, "layer": [{"mark": mark, "encoding": halo}, {"mark": plain, "encoding": halo}]}


def _percent_domain(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    room = max(0.06 * (high - low), 0.5)
    return [max(0.0, low - room), min(100.0, high + room)]
