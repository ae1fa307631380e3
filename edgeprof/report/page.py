"""The report as one HTML file that loads nothing and runs no script but its own."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from edgeprof import __version__
from edgeprof.errors import MissingPackageError
from edgeprof.records import ADVICE, Candidate, Measurement, Ranking, to_json
from edgeprof.records.advice import advice
from edgeprof.report import (
    budget,
    effect,
    findings,
    fleet_proxies,
    odds,
    on_device,
    proxies,
    words,
)
from edgeprof.report.sections import sections

if TYPE_CHECKING:
    import jinja2

SCRIPTS = ("table.js", "points.js", "choosing.js", "budget.js", "paper.js")
"""What the page's one script is made of, in this order."""
LIMIT = 200
"""Most rows of the table of candidates that are shown before all are asked for."""
FORMAT_NAMES = {"onnx": "ONNX", "openvino": "OpenVINO", "tflite": "TFLite"}
_UNSAFE = re.compile("[<>&\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
"""What could end the script, or make its source read as something else."""
FILTERS = {"format": "Format", "precision": "Precision", "init": "Initialisation"}
"""What the table of candidates can be filtered by, where there are several kinds of it."""


def page(ranking: Ranking, measurements: Sequence[Measurement]) -> str:
    """The page of a ranking; the same input gives the same bytes.

    Raises:
        MissingPackageError: jinja2 or vl-convert is not installed.
    """
    return render_page(
        "report.html",
        advice=advice(ranking.method),
        **_context(ranking, measurements),
        **sections(ranking, measurements, row_ids(ranking.candidates)),
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
    shown = (words.number, words.ms, words.percent, words.megabytes, words.place, words.drop, effect.points)
    for filter_ in (*shown, words.placed):
        environment.filters[filter_.__name__] = filter_
    environment.filters |= {"tau": proxies.tau, "tau_span": proxies.tau_span, "signed": fleet_proxies.signed}
    environment.globals |= {"span": words.span, "percent_span": words.percent_span, "plural": words.plural}
    environment.globals |= {"points_span": effect.points_span, "drop_span": words.drop_span}
    environment.globals |= {"no_places": words.NO_PLACES, "limit_fields": budget.LIMITS}
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
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


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
        "budget": budget.budgets([ranking], [ids], [odds.curves(measurements)]),
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
        "placed": words.placed(ranking.candidates),
        "doubtful": [one for one in ranking.candidates if not one.trusted],
        "order": findings.BY.get(ranking.by, ranking.by),
        "ordered_by": words.ordered_by(ranking.by),
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
