"""What all plots share: their look, their scales, and the rendering of a Vega-Lite specification to SVG.

Colours are CSS variables, so that one drawing serves the light page, the dark page and paper. Each plot is made for a
wide page and for a phone. vl-convert draws them offline; nothing of it is shipped in the page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from edgeprof.errors import MissingPackageError

Spec = dict[str, Any]
VL_VERSION = "6.4"
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# Shape and colour say the same, so that neither colour vision nor a printer matters.
FORMATS = {"onnx": ("circle", "var(--onnx)"), "openvino": ("square", "var(--openvino)")}
FORMATS["tflite"] = ("triangle-up", "var(--tflite)")

CONFIG: Spec = {
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--soft)",
        "titleColor": "var(--soft)",
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12.5,
        "titlePadding": 10,
        "labelPadding": 6,
        "labelSeparation": 6,
        "grid": True,
        "gridColor": "var(--grid)",
        "domain": False,
        "ticks": False,
    },
}


def to_svg(spec: Spec) -> str:
    """The drawing of a specification, as text for a page.

    Raises:
        MissingPackageError: vl-convert is not installed.
    """
    try:
        import vl_convert
    except ImportError as error:
        raise MissingPackageError("vl-convert-python", "all") from error
    # Only what the specification holds is drawn: the empty list lets it load nothing.
    return str(vl_convert.vegalite_to_svg(spec, vl_version=VL_VERSION, allowed_base_urls=[]))


def colour() -> Spec:
    """The stroke or fill by format."""
    # The page has the legend, as text that wraps and that screen readers find.
    scale = {"domain": list(FORMATS), "range": [colour for _, colour in FORMATS.values()]}
    return {"field": "format", "scale": scale, "legend": None}


def specification(width: int, body: Spec) -> Spec:
    """A whole specification of `width` pixels, axes included."""
    return {
        "$schema": SCHEMA,
        "background": "transparent",
        "padding": 2,
        "width": width,
        "autosize": {"type": "fit-x" if isinstance(body["height"], dict) else "fit", "contains": "padding"},
        "config": CONFIG,
        **body,
    }


def log_domain(values: Sequence[float]) -> list[float]:
    """The smallest and largest value with some room; never empty, also for a single value."""
    low, high = min(values), max(values)
    room = max((high / low) ** 0.06, 1.08)
    return [low / room, high * room]


def log_ticks(domain: Sequence[float], most: int) -> list[float]:
    """Two to `most` (at least 5) round numbers within the domain, about evenly spaced on a logarithmic axis."""
    low, high = domain
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    decades = [10.0**power for power in powers if low <= 10.0**power <= high]
    found = decades[:: math.ceil(len(decades) / most)] if decades else []
    for digits in ((1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        inside = [tick for power in powers for digit in digits if low <= (tick := _times(digit, power)) <= high]
        if len(inside) <= most:
            found = max(found, inside, key=len)
    # A narrow domain is nearly linear: even steps of 5, 2 or 1 in some digit.
    power = math.floor(math.log10(high - low))
    for digit, shift in ((5, 0), (2, 0), (1, 0), (5, -1), (2, -1), (1, -1)):
        if len(found) >= 3:
            break
        step = _times(digit, power + shift)
        first = math.ceil(low / step)
        inside = [_times(count * digit, power + shift) for count in range(first, math.floor(high / step) + 1)]
        if len(inside) <= most:
            found = max(found, inside, key=len)
    return found


def _times(digits: float, power: int) -> float:
    """digits x 10^power as the nearest float to the decimal number: 0.3, never 0.30000000000000004."""
    return float(f"{digits}e{power}")
