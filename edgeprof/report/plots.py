"""The drawings of a report as files for papers and slides: SVG or PNG, on white, in colours that print."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from edgeprof.errors import MissingPackageError
from edgeprof.records import Measurement, Ranking
from edgeprof.report import effect, samples, starts, threads, words
from edgeprof.report.drawing import VL_VERSION, Spec
from edgeprof.report.page import FORMAT_NAMES
from edgeprof.report.scatter import scatter
from edgeprof.report.sections import PANELS
from edgeprof.report.spreads import distributions, time_order
from edgeprof.report.whole import write_whole

PlotFormat = Literal["svg", "png"]
WIDTH, COLUMNS = 720, 2
"""Pixels; about the width of a page of text at 100 to the inch."""
SCALE = 3
"""PNG pixels for each: 300 to the inch."""
LEGEND = 40
"""Pixels for the legend below."""
FONT = "Helvetica, Arial, Liberation Sans, sans-serif"
_VARIABLE = re.compile(r"var\(--([a-z-]+)\)")


def plots(ranking: Ranking, measurements: Sequence[Measurement]) -> dict[str, Spec]:
    """The specifications of all drawings that the ranking has, by the name of the file, with real colours and with
    legends."""
    return {name: printable(spec) for name, spec in _specifications(ranking, measurements)}


def _specifications(ranking: Ranking, measurements: Sequence[Measurement]) -> Iterator[tuple[str, Spec]]:
    names = words.Names(ranking.candidates)
    found = samples.by_job(measurements)
    measured = [one for one in ranking.candidates if one.job in found]
    if any(one.top1 is not None for one in ranking.candidates):
        yield "accuracy-latency", scatter(ranking.candidates, names, width=WIDTH, height=420)[0]
    if measured:
        some = measured[: samples.ROWS]
        yield "spread", distributions([(one, samples.spread(found[one.job])) for one in some], names, width=WIDTH)
        panels = [(one, samples.in_time_order(found[one.job])) for one in measured[:PANELS]]
        yield "time-order", time_order(panels, names, width=WIDTH, columns=COLUMNS)
    sweeps = threads.sweeps(ranking.candidates, found)[:PANELS]
    if sweeps:
        yield "threads", threads.scaling(sweeps, names, width=WIDTH, columns=COLUMNS)
    if ranking.candidates:
        yield "cold-start", starts.cold_start(ranking.candidates[: samples.ROWS], names, width=WIDTH)
    remembered = [one for one in ranking.candidates if one.peak_rss_bytes is not None][: samples.ROWS]
    if remembered:
        yield "memory", starts.memory(remembered, found, names, width=WIDTH)
    if ranking.effect is not None:
        yield "initialisation", effect.chart(ranking.effect, width=WIDTH)


def printable(spec: Spec) -> Spec:
    """The specification on white, with colours instead of CSS variables and with a legend of the formats."""
    found: Spec = _with_colours(spec)
    found["background"] = "white"
    sides = found.get("padding")
    # Where the space around the drawing is given side by side, the legend needs its own.
    found["padding"] = {**sides, "bottom": sides["bottom"] + LEGEND} if isinstance(sides, dict) else 8
    found["config"] = {**found.get("config", {}), "font": FONT, "legend": {"orient": "bottom", "labelFontSize": 12}}
    return found


@lru_cache(maxsize=1)
def colours() -> dict[str, str]:
    """What the page prints with, by the name of the CSS variable."""
    style = (files("edgeprof.report") / "templates" / "report.css").read_text(encoding="utf-8")
    light, _, paper = (
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+)", root)) for root in re.findall(r":root \{(.*?)\}", style, re.S)
    )
    return light | paper


def _with_colours(value: Any) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: colours()[match[1]], value)
    if isinstance(value, list):
        return [_with_colours(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {key: _with_colours(one) for key, one in value.items()}
    if found.get("field") == "format" and "legend" in found:
        named = ", ".join(f"{name!r}: {shown!r}" for name, shown in FORMAT_NAMES.items())
        found["legend"] = {"title": None, "symbolOpacity": 1, "labelExpr": f"({{{named}}})[datum.label] || datum.label"}
    return found


def draw(spec: Spec, kind: PlotFormat) -> bytes:
    """The bytes of a file.

    Raises:
        MissingPackageError: vl-convert is not installed.
    """
    try:
        import vl_convert
    except ImportError as error:
        raise MissingPackageError("vl-convert-python", "all") from error
    # Only what the specification holds is drawn: the empty list lets it load nothing.
    if kind == "png":
        return bytes(vl_convert.vegalite_to_png(spec, vl_version=VL_VERSION, scale=SCALE, allowed_base_urls=[]))
    return str(vl_convert.vegalite_to_svg(spec, vl_version=VL_VERSION, allowed_base_urls=[])).encode()


def write_plots(
    ranking: Ranking, measurements: Sequence[Measurement], folder: Path, kind: PlotFormat = "svg"
) -> list[Path]:
    """Write all drawings into `folder`, which is made if missing.

    Raises:
        UsageError: the folder cannot be written.
        RecordError: the disk is full or fails.
    """
    written = []
    for name, spec in plots(ranking, measurements).items():
        written.append(folder / f"{name}.{kind}")
        write_whole(written[-1], draw(spec, kind))
    return written
