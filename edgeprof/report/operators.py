"""Where the time of a candidate goes: by kind of operator, and operator by operator."""

from __future__ import annotations

from collections.abc import Sequence

from edgeprof.records import Candidate, Operator, Operators, Record
from edgeprof.report.drawing import Spec, colour, specification
from edgeprof.report.words import number, shorten

MOST = 8
"""Kinds that have a bar of their own; the others share one."""
NAME, VALUE = 17, 18
"""Characters beside the bars, for the names and the numbers."""


class Kind(Record):
    """All operators of one kind, or the rest of the kinds together."""

    name: str
    operators: int
    ms: float
    share: float
    """Of the sum over all operators."""
    rest: bool = False


class Profile(Record):
    """The operators of one candidate."""

    candidate: Candidate
    source: str
    inferences: int
    inference_ms: float
    """A whole inference while it was profiled."""
    sum_ms: float
    """All operators together."""
    kinds: tuple[Kind, ...]
    """The most expensive first, the rest last."""
    rows: tuple[tuple[Operator, float, float], ...]
    """Operator, ms and share, in the order of execution."""


def profiles(candidates: Sequence[Candidate], operators: Sequence[Operators]) -> list[Profile]:
    """Those of the candidates, in the order of the candidates."""
    by_job = {one.job: one for one in operators}
    return [_profile(one, by_job[one.job]) for one in candidates if one.job in by_job]


def _profile(candidate: Candidate, found: Operators) -> Profile:
    total = sum(one.median_ns for one in found.operators)
    return Profile(
        candidate=candidate,
        source=found.source,
        inferences=found.inferences,
        inference_ms=found.inference_ns / 1e6,
        sum_ms=total / 1e6,
        kinds=tuple(by_kind(found.operators)),
        rows=tuple((one, one.median_ns / 1e6, _share(one.median_ns, total)) for one in found.operators),
    )


def _share(part: int, total: int) -> float:
    return part / total if total else 0.0


def by_kind(operators: Sequence[Operator], most: int = MOST) -> list[Kind]:
    """The `most` kinds that take the longest, then the rest together; one kind is never called the rest."""
    times: dict[str, list[int]] = {}
    for one in operators:
        times.setdefault(one.kind, []).append(one.median_ns)
    total = sum(one.median_ns for one in operators)
    ordered = sorted(times.items(), key=lambda item: (-sum(item[1]), item[0]))
    shown, rest = (ordered, []) if len(ordered) <= most + 1 else (ordered[:most], ordered[most:])
    kinds = [_kind(name, found, total) for name, found in shown]
    if rest:
        others = _kind(f"{len(rest)} other kinds", [time for _, found in rest for time in found], total, rest=True)
        kinds.append(others)
    return kinds


def _kind(name: str, times: Sequence[int], total: int, *, rest: bool = False) -> Kind:
    spent = sum(times)
    return Kind(name=name, operators=len(times), ms=spent / 1e6, share=_share(spent, total), rest=rest)


def bars(profile: Profile, *, width: int) -> Spec:
    """A horizontal bar for each kind of operator, with its time and share written out."""
    narrow = width < 400
    name, size, character = (NAME - 3, 11, 6.5) if narrow else (NAME, 12, 7.0)
    values = [
        {
            "row": index,
            "name": shorten(kind.name, name),
            "ms": kind.ms,
            "text": f"{number(kind.ms)} ms · {100 * kind.share:.0f}%",
            "format": profile.candidate.format,
            "opacity": 0.45 if kind.rest else 0.9,
        }
        for index, kind in enumerate(profile.kinds)
    ]
    longest = max((kind.ms for kind in profile.kinds), default=0.0)
    x: Spec = {
        "field": "ms",
        "type": "quantitative",
        "scale": {"domain": [0, longest or 1.0], "nice": False},
        "axis": None,
    }
    y: Spec = {"field": "row", "type": "ordinal", "axis": None, "scale": {"paddingInner": 0.25, "paddingOuter": 0.1}}

    def text(field: str, at: Spec, align: str, dx: int) -> Spec:
        mark: Spec = {"type": "text", "align": align, "baseline": "middle", "dx": dx, "fontSize": size, "aria": False}
        return {"mark": {**mark, "fill": "var(--ink)"}, "encoding": {"x": at, "y": y, "text": {"field": field}}}

    bar = {
        "mark": {"type": "bar", "aria": False},
        "encoding": {
            "x": x,
            "y": y,
            "fill": colour(),
            "opacity": {"field": "opacity", "type": "nominal", "scale": None},
        },
    }
    layers = [bar, text("name", {"value": 0}, "right", -8), text("text", x, "left", 6)]
    body = {"height": {"step": 22}, "data": {"values": values}, "layer": layers}
    # Names stand outside of the data area; the drawing program does not know how wide the reader's font is.
    left, right = round(name * character) + 10, round(VALUE * character) + 8
    spec = specification(width - left - right, body)
    spec |= {"autosize": "none", "padding": {"left": left, "right": right, "top": 2, "bottom": 2}}
    spec["description"] = f"Time by kind of operator, {len(values)} kinds; the table below holds every operator."
    return spec
