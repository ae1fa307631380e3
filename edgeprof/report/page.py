"""The report as one HTML file that loads nothing and runs no script but its own."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from edgeprof import __version__
from edgeprof.errors import MissingPackageError
from edgeprof.records import ADVICE, Candidate, Measurement, Ranking, to_json
from edgeprof.report import (
    budget,
    effect,
    findings,
    on_device,
    operators,
    precision,
    proxies,
    ran,
    samples,
    starts,
    threads,
    words,
)
from edgeprof.report.drawing import to_svg
from edgeprof.report.scatter import scatter
from edgeprof.report.spreads import distributions, time_order
from edgeprof.stats.seeds import spreads

if TYPE_CHECKING:
    import jinja2

WIDE, HALF, PHONE = 1040, 480, 350
COLUMNS_WIDE, COLUMNS_PHONE = 3, 1
PANELS = 24
"""Most candidates, or files, that have a drawing of their own."""
SCRIPTS = ("table.js", "points.js", "budget.js", "paper.js")
"""What the page's one script is made of, in this order."""
LIMIT = 200
"""Most rows of the table of candidates that are shown before all are asked for."""
FORMAT_NAMES = {"onnx": "ONNX", "openvino": "OpenVINO", "tflite": "TFLite"}
FILTERS = {"format": "Format", "precision": "Precision", "init": "Initialisation"}
"""What the table of candidates can be filtered by, where there are several kinds of it."""


def page(ranking: Ranking, measurements: Sequence[Measurement]) -> str:
    """The page of a ranking; the same input gives the same bytes.

    Raises:
        MissingPackageError: jinja2 or vl-convert is not installed.
    """
    return render_page(
        "report.html",
        advice=ADVICE,
        **_context(ranking, measurements),
        **_drawings(ranking, measurements),
        data=_script_data(ranking),
    )


def render_page(template: str, **context: Any) -> str:
    """A page of this template with the style, the script and the policy that all pages have."""
    environment = _environment()
    loader = environment.loader
    assert loader is not None
    style = loader.get_source(environment, "report.css")[0]
    parts = "".join(loader.get_source(environment, name)[0] for name in SCRIPTS)
    script = f"(() => {{\n{parts}}})();\n"
    return environment.get_template(template).render(
        **context, limit=LIMIT, style=style, script=script, policy=_policy(style, script)
    )


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    """With the templates, which are compiled once: a fleet writes a report for each board."""
    try:
        import jinja2
    except ImportError as error:
        raise MissingPackageError("jinja2", "all") from error

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("edgeprof.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # Names come from files, devices and converters: nothing in them may reorder or hide text.
        finalize=lambda value: words.clean(value) if type(value) is str else value,
    )
    for filter_ in (words.number, words.ms, words.percent, words.megabytes, words.place, words.drop, effect.points):
        environment.filters[filter_.__name__] = filter_
    environment.filters |= {"tau": proxies.tau, "tau_span": proxies.tau_span}
    environment.globals |= {"span": words.span, "percent_span": words.percent_span, "plural": words.plural}
    environment.globals |= {"points_span": effect.points_span, "drop_span": words.drop_span}
    return environment


def _policy(style: str, script: str) -> str:
    """No network at all, and only our own style and script, known by their hashes: what is smuggled in does not run."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def _script_data(ranking: Ranking) -> str:
    """JSON that cannot end the script element it stands in. Operators, of which there may be very many, and the effect
    stand in the page's tables and in `ranking.json`."""
    text = to_json(msgspec.structs.replace(ranking, operators=(), effect=None, proxies=None)).decode()
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def row_ids(candidates: Sequence[Candidate]) -> dict[str, str]:
    """For each job an id to link to, made of what people recognise; unique within the page."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for one in candidates:
        name = "-".join(
            str(part) for part in (one.model, one.init, one.seed, one.exporter, f"t{one.threads}") if part is not None
        )
        base = "c-" + re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:80]
        unique, number = base, 2
        while unique in taken:
            unique, number = f"{base}-{number}", number + 1
        taken.add(unique)
        found[one.job] = unique
    return found


def _context(ranking: Ranking, measurements: Sequence[Measurement]) -> dict[str, Any]:
    names = words.Names(ranking.candidates)
    ids = row_ids(ranking.candidates)
    return {
        "budget": budget.budgets([ranking], [ids]),
        "budget_devices": budget.devices([ranking]),
        "filters": msgspec.json.encode(FILTERS).decode(),
        "ranking": ranking,
        "version": __version__,
        "names": names,
        "ids": ids,
        "headline": findings.headline(ranking),
        "fastest": findings.fastest(ranking),
        "most_accurate": findings.most_accurate(ranking),
        "front": [one for one in ranking.candidates if one.pareto],
        "doubtful_reasons": list(
            dict.fromkeys(reason for one in ranking.candidates for reason in one.reasons if reason in ADVICE)
        ),
        "doubtful": [one for one in ranking.candidates if not one.trusted],
        "order": findings.BY.get(ranking.by, ranking.by),
        "images": sorted({one.test_images for one in ranking.candidates if one.test_images is not None}),
        "method": findings.how_measured(ranking),
        "facts": facts(ranking),
        "agents": sorted({each.agent_sha[:12] for one in measurements for each in one.rounds}),
        "failure_name": words.failure_name,
        "formats": sorted({one.format for one in ranking.candidates}),
        "format_names": FORMAT_NAMES,
        "started": started(ranking),
        "there": on_device.there(ranking),
    }


def started(ranking: Ranking) -> str:
    """ "2 January 2026, 03:04 UTC" where it holds such a time, else the text that it holds."""
    text = ranking.started_at
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return text
    if time.tzinfo is None:
        return f"{time.day} {time:%B %Y, %H:%M}"
    time = time.astimezone(UTC)
    return f"{time.day} {time:%B %Y, %H:%M} UTC"


def facts(ranking: Ranking) -> list[tuple[str, str]]:
    """What is known of the device, as names and values; empty where no session with it began."""
    facts = ranking.facts
    if facts is None:
        return []
    clock = "" if facts.clock_mhz is None else f"{facts.clock_mhz[0]:g} to {facts.clock_mhz[1]:g} MHz"
    rows = [
        ("Board", facts.board or ""),
        ("Processor", facts.cpu),
        ("Cores", str(facts.cores)),
        ("Architecture", facts.architecture),
        ("Memory", "" if facts.memory_bytes is None else words.gibibytes(facts.memory_bytes)),
        ("Clock", clock),
        ("Governor", facts.governor or ""),
        ("Throttles from", "" if facts.throttles_at_c is None else f"{facts.throttles_at_c:g} °C"),
        ("System", facts.os),
        ("Kernel", facts.kernel),
        ("Clock resolution", "" if facts.clock_resolution_ns is None else f"{facts.clock_resolution_ns} ns"),
        ("Cost of timing", "" if facts.harness_overhead_ns is None else f"{facts.harness_overhead_ns} ns a sample"),
    ]
    return [(name, value or "not known") for name, value in rows]


def _drawings(ranking: Ranking, measurements: Sequence[Measurement]) -> dict[str, Any]:
    names = words.Names(ranking.candidates)
    found = samples.by_job(measurements)
    measured = [one for one in ranking.candidates if one.job in found]
    drawn: dict[str, Any] = {"scatter": None, "scatter_phone": None, "points": [], "domain": None}
    known = [one for one in ranking.candidates if one.top1 is not None]
    if known:
        spec, jobs = scatter(known, names, width=WIDE, height=470)
        phone, _ = scatter(known, names, width=PHONE, height=380)
        ids = row_ids(ranking.candidates)
        drawn |= {
            "scatter": to_svg(spec),
            "scatter_phone": to_svg(phone),
            "points": [ids[job] for job in jobs],
            "domain": spec["usermeta"]["x"],
        }
    drawn |= {
        "spreads": None,
        "spreads_phone": None,
        "panels": None,
        "panels_phone": None,
        "panelled": 0,
        "spread_rows": 0,
    }
    if measured:
        # The doubtful ones are what people look up here, so they are drawn even where there are too many.
        drawn |= {"spread_rows": len(rows := _first(measured, samples.ROWS))}
        spread = [(one, samples.spread(found[one.job])) for one in rows]
        drawn["spreads"] = to_svg(distributions(spread, names, width=WIDE))
        drawn["spreads_phone"] = to_svg(distributions(spread, names, width=PHONE))
        shown = [(one, samples.in_time_order(found[one.job])) for one in _first(measured, PANELS)]
        drawn["panels"] = to_svg(time_order(shown, names, width=WIDE, columns=COLUMNS_WIDE))
        drawn["panels_phone"] = to_svg(time_order(shown, names, width=PHONE, columns=COLUMNS_PHONE))
        drawn["panelled"] = len(shown)
    drawn["measured"] = len(measured)
    drawn["executed"] = ran.executed(ranking.candidates, found)
    drawn |= _starts(ranking, found, names)
    drawn |= _sweeps(ranking, found, names) | _profiles(ranking) | _initialisation(ranking) | _accuracy(ranking)
    return drawn | proxies.context(ranking.proxies)


def _first(candidates: Sequence[Candidate], most: int) -> list[Candidate]:
    """At most so many of them, in their order; all that are not trusted before any other is left out."""
    jobs = {one.job for one in sorted(candidates, key=lambda one: one.trusted)[:most]}
    return [one for one in candidates if one.job in jobs]


def _starts(ranking: Ranking, found: Mapping[str, Measurement], names: words.Names) -> dict[str, Any]:
    """Cold start and memory."""
    some = ranking.candidates[: samples.ROWS]
    remembered = [one for one in ranking.candidates if one.peak_rss_bytes is not None]
    drawings = [[to_svg(starts.cold_start(some, names, width=width)) for width in (WIDE, PHONE)] if some else None]
    rows = remembered[: samples.ROWS]
    drawings.append(
        [to_svg(starts.memory(rows, found, names, width=width)) for width in (WIDE, PHONE)] if rows else None
    )
    return {
        "cold": drawings[0],
        "memory": drawings[1],
        "most_rows": samples.ROWS,
        "remembered": [(one, starts.model_bytes(found.get(one.job))) for one in remembered],
    }


def _initialisation(ranking: Ranking) -> dict[str, Any]:
    told = ranking.effect
    if told is None:
        return {"effect": None}
    return {
        "effect": told,
        "effect_found": effect.found(told),
        "effect_basis": effect.basis(told.models) if told.models else "",
        "effect_styles": effect.styles(told),
        "effect_chart": to_svg(effect.chart(told, width=WIDE)),
        "effect_chart_phone": to_svg(effect.chart(told, width=PHONE)),
        "effect_by_init": effect.by_init(told.models),
        "effect_place": {
            (arm.init, one.model): effect.place(arm, one.model) for arm in told.arms for one in arm.models
        },
        "effect_swapped": effect.swapped(told),
        "effect_swaps": [effect.swap(one) for one in told.swaps],
        "effect_budgets": effect.budget_sentence(told),
    }


def _accuracy(ranking: Ranking) -> dict[str, Any]:
    candidates = ranking.candidates
    rows = precision.beside(candidates) if precision.several(candidates) else []
    known = [(words.identity(one), one.top1) for one in candidates if one.top1 is not None]
    return {
        "beside": rows,
        "precisions": precision.in_short(rows),
        "seed_spreads": spreads(known),
        "warned": precision.warned(candidates),
    }


def _sweeps(ranking: Ranking, found: Mapping[str, Measurement], names: words.Names) -> dict[str, Any]:
    rows = threads.sweeps(ranking.candidates, found)
    drawn = rows[:PANELS]
    return {
        "sweeps": rows,
        "sweeps_drawn": len(drawn),
        "counts": sorted({one.threads for sweep in rows for one in sweep.candidates}),
        "scaling": to_svg(threads.scaling(drawn, names, width=WIDE, columns=COLUMNS_WIDE)) if rows else None,
        "scaling_phone": to_svg(threads.scaling(drawn, names, width=PHONE, columns=COLUMNS_PHONE)) if rows else None,
    }


def _profiles(ranking: Ranking) -> dict[str, Any]:
    found = operators.profiles(ranking.candidates, ranking.operators)
    widths = (HALF, PHONE)
    shown = [(one, [to_svg(operators.bars(one, width=width)) for width in widths]) for one in found[:PANELS]]
    return {"profiles": shown, "profiled": len(found)}
