"""What the initialisation brings: a drawing of the models under each, and sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgeprof.records import Arm, BudgetChoice, Effect, ModelEffect, Record, Swap
from edgeprof.report.drawing import Spec, specification
from edgeprof.report.words import UNKNOWN, number, plural, shorten

STYLES = (("circle", "var(--link)"), ("square", "var(--good)"), ("triangle-up", "var(--warn)"))
"""Shape and colour of the initialisations in turn; the one they are told against is a hollow circle."""
AGAINST = ("circle", "var(--front)")
NAME = 7.0
"""Width of a character of a name, in pixels."""


class Style(Record):
    """How an initialisation is drawn, also in the legend."""

    init: str
    mark: str
    """Its class in the page's style."""
    shape: str
    colour: str
    hollow: bool


def styles(effect: Effect) -> list[Style]:
    """One for each initialisation, in the order of `effect.arms`."""
    against = {one.against for one in effect.models}
    found: list[Style] = []
    for arm in effect.arms:
        hollow = arm.init in against
        at = sum(not one.hollow for one in found) % len(STYLES)
        shape, colour = AGAINST if hollow else STYLES[at]
        mark = "arm-against" if hollow else f"arm-{at}"
        found.append(Style(init=arm.init, mark=mark, shape=shape, colour=colour, hollow=hollow))
    return found


def points(value: float | None) -> str:
    """A difference of shares in percentage points, with its sign."""
    if value is None:
        return UNKNOWN
    shown = f"{100 * value:+.1f}".replace("-", "\u2212")
    return "0.0" if shown[1:] == "0.0" else shown


def points_span(low: float | None, high: float | None) -> str:
    """An interval of such differences."""
    return "no interval" if low is None or high is None else f"{points(low)} to {points(high)}"


def chart(effect: Effect, *, width: int) -> Spec:
    """One row per model: its top-1 under each initialisation with the 95% interval."""
    narrow = width < 500
    looks = styles(effect)
    models = list(dict.fromkeys(one.model for arm in effect.arms for one in arm.models))
    gap = 14
    values = []
    for index, (arm, look) in enumerate(zip(effect.arms, looks, strict=True)):
        offset = gap * (index - (len(looks) - 1) / 2)
        for one in arm.models:
            values.append(
                {
                    "row": models.index(one.model),
                    "arm": index,
                    "offset": offset,
                    "hollow": look.hollow,
                    "top1": 100 * one.top1,
                    "low": 100 * (one.top1 if one.top1_low is None else one.top1_low),
                    "high": 100 * (one.top1 if one.top1_high is None else one.top1_high),
                }
            )
    low, high = min(one["low"] for one in values), max(one["high"] for one in values)
    room = max(0.5, 0.04 * (high - low))
    x: Spec = {
        "type": "quantitative",
        "scale": {"domain": [max(0.0, low - room), min(100.0, high + room)], "zero": False, "nice": False},
        "axis": {"orient": "top", "tickCount": 5 if narrow else 9},
        "title": "Top-1 of the checkpoints in %",
    }
    shift = 9 if narrow else 0
    y: Spec = {"field": "row", "type": "ordinal", "axis": None, "scale": {"paddingInner": 0, "paddingOuter": 0}}
    layers: list[Spec] = []
    for index, look in enumerate(looks):
        mine = [one for one in values if one["arm"] == index]
        if not mine:
            continue
        at = mine[0]["offset"] + shift
        paint = {"stroke": look.colour, "fill": "var(--page)" if look.hollow else look.colour}
        rule = {"type": "rule", "strokeWidth": 2, "opacity": 0.75, "yOffset": at, "aria": False, "stroke": look.colour}
        mark = {"type": "point", "shape": look.shape, "size": 70, "opacity": 1, "strokeWidth": 1.8, "yOffset": at}
        mark |= {**paint, "aria": False}
        data = {"values": mine}
        layers.append(
            {"data": data, "mark": rule, "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": y}}
        )
        layers.append({"data": data, "mark": mark, "encoding": {"x": {**x, "field": "top1"}, "y": y}})
    names = [{"row": index, "name": shorten(model, 30)} for index, model in enumerate(models)]
    text: Spec = {"type": "text", "baseline": "middle", "fontSize": 12, "fill": "var(--ink)", "aria": False}
    step = 20 + gap * len(looks)
    text |= {"align": "left", "dx": 4, "dy": 8 - step / 2} if narrow else {"align": "right", "dx": -12}
    encoding = {"x": {"value": 0}, "y": y, "text": {"field": "name"}}
    layers.append({"data": {"values": names}, "mark": text, "encoding": encoding})
    # Names stand outside of the data area; the drawing program does not know how wide the reader's font is.
    longest = max(len(str(one["name"])) for one in names)
    left, right = 4 if narrow else round(longest * NAME) + 16, 12
    spec = specification(width - left - right, {"height": {"step": step + (10 if narrow else 0)}, "layer": layers})
    spec |= {"autosize": "none", "padding": {"left": left, "right": right, "top": 54, "bottom": 4}}
    spec["description"] = f"Top-1 of {len(models)} models under {plural(len(looks), 'initialisation')}, with intervals."
    return spec


# --- sentences, the same in the page and in the summary


def found(effect: Effect) -> list[str]:
    """What it brings, in short: one sentence for each initialisation."""
    said = []
    for init, some in by_init(effect.models):
        clear = [one for one in some if _excludes_zero(one.difference_low, one.difference_high)]
        gains = [one.difference for one in some]
        span = points(gains[0]) if len(gains) == 1 else f"{points(min(gains))} to {points(max(gains))}"
        count = "the only model" if len(some) == 1 else f"{len(clear)} of {len(some)} models"
        holds = count if len(some) > 1 else count if clear else "no model"
        said.append(
            f"Against {some[0].against}, {init} changes top-1 by {span} percentage points; the interval excludes zero"
            f" for {holds}."
        )
    return said


def basis(models: Sequence[ModelEffect]) -> str:
    """What the intervals rest on."""
    seeds = sorted({len(one.seeds) for one in models})
    images = max(one.images for one in models)
    if seeds == [1]:
        return (
            f"There is one seed of each, so the intervals are over the {images} test images alone: what another seed"
            " would give is not known."
        )
    counted = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    text = f"The intervals hold for other test images (there are {images}) and other seeds (there are {counted})."
    if seeds[0] < 5:
        text += " So few seeds tell little about how far seeds spread, which makes the intervals wide."
    return text


def swapped(effect: Effect) -> str:
    """Whether the order of models depends on the initialisation."""
    if not effect.swaps:
        return "No two models change their order with the initialisation."
    beyond = sum(one.beyond_noise for one in effect.swaps)
    if len(effect.swaps) == 1:
        return f"One pair of models swaps with the initialisation, {'beyond' if beyond else 'within'} noise."
    return f"{len(effect.swaps)} pairs of models swap with the initialisation, {beyond or 'none'} of them beyond noise."


def swap(one: Swap) -> str:
    """One pair that swaps."""
    verdict = "beyond noise" if one.beyond_noise else "within noise"
    order = ", and each order is sure by itself" if one.sure else ""
    moved = one.interaction
    return (
        f"{one.first} is ahead under {one.init} ({points(one.under_init.value)}), {one.second} under {one.against}"
        f" ({points(-one.under_against.value)}). Against each other they move by {points(moved.value)}"
        f" ({points_span(moved.low, moved.high)}): {verdict}{order}."
    )


def budget_sentence(effect: Effect) -> str:
    """Whether another model is shipped; "" where there are no latencies to choose by."""
    if not effect.budgets:
        return ""
    parts = []
    for one in effect.budgets:
        if one.changes:
            ours, theirs = (each.model if each else "nothing" for each in (one.chosen, one.against_chosen))
            parts.append(f"{budget_range(one)} it is {ours} under {one.init} and {theirs} under {one.against}")
    if not parts:
        return "The model chosen for a latency budget does not change with the initialisation, whatever the budget."
    more = f"; and {plural(len(parts) - 4, 'further range')}" if len(parts) > 4 else ""
    return f"The model chosen for a latency budget changes: {'; '.join(parts[:4])}{more}."


def budget_range(one: BudgetChoice) -> str:
    """ "from 2.1 to 9.2 ms", rounded up, so that what is shown is enough."""
    start = number(rounded_up(one.from_ms))
    return f"from {start} ms" if one.below_ms is None else f"from {start} to {number(rounded_up(one.below_ms))} ms"


def rounded_up(ms: float) -> float:
    """Three significant digits, never below."""
    unit = 10.0 ** (math.floor(math.log10(ms)) - 2)
    return math.ceil(ms / unit - 1e-9) * unit


def by_init(models: Sequence[ModelEffect]) -> list[tuple[str, list[ModelEffect]]]:
    """The models under each initialisation but the one that they are told against."""
    inits = dict.fromkeys(one.init for one in models)
    return [(init, [one for one in models if one.init == init]) for init in inits]


def place(arm: Arm, model: str) -> str:
    """The place of a model under an initialisation, "" where it is not there."""
    for one in arm.models:
        if one.model == model:
            same = one.place_low == one.place_high
            return str(one.place_low) if same else f"{one.place_low} to {one.place_high}"
    return ""


def _excludes_zero(low: float | None, high: float | None) -> bool:
    return low is not None and high is not None and (low > 0 or high < 0)
