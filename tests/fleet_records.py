"""Rankings of many devices as large studies give them, made without measuring: for pages and their speed."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
from report_records import FACTS, study

from edgeprof.rank.proxies import between, device_swaps, in_short
from edgeprof.records import Candidate, Fleet, Ranking
from edgeprof.report.odds import Curve, Curves
from edgeprof.report.samples import Spread

EXPORTERS = [
    (f"{format_}-{precision}", format_, precision)
    for format_, precision in itertools.product(("onnx", "openvino", "tflite"), ("fp32", "fp16", "int8"))
]
INITS = ("scratch", "timm")
MODELS = (
    "mobilenetv3_small_100",
    "mobilenetv4_conv_small",
    "efficientnet_lite0",
    "resnet18",
    "resnet50",
    "repvit_m1_0",
    "convnext_atto",
    "ghostnet_100",
    "mobileone_s0",
)


def fleet(devices: int = 10, models: int = 9, seed: int = 0) -> tuple[Fleet, list[dict[str, Spread]]]:
    """Devices x models x 9 exporters x 2 initialisations, and where the samples of each lie; the same on every call."""
    rng = np.random.default_rng(seed)
    rankings, spreads = [], []
    template, _ = study(models={"resnet18": ((19.5, 17.2, 21.8), 442, 44.7, 11.18, 148.0)})
    for number in range(devices):
        made = [
            _candidate(template.candidates[0], at, model, *exporter, init, number, rng)
            for at, (model, exporter, init) in enumerate(itertools.product(MODELS[:models], EXPORTERS, INITS))
        ]
        rows = _placed(made)
        rankings.append(
            msgspec.structs.replace(
                template,
                run=f"20260102-03040{number}-{number:04x}",
                device=f"board-{number}",
                facts=msgspec.structs.replace(FACTS, board=f"Board {number}"),
                candidates=rows,
                operators=(),
                failures=template.failures if number == 0 else (),
            )
        )
        spreads.append({one.job: _spread(one, rng) for one in rows})
    rankings = [msgspec.structs.replace(one, proxies=in_short(one)) for one in rankings]
    found = Fleet(rankings=tuple(rankings), failures=(), between=between(rankings), swaps=device_swaps(rankings))
    return found, spreads


def curves_of(fleet: Fleet, seed: int = 0, points: int = 24) -> list[dict[str, Curves]]:
    """What the page computes probabilities from, of about as many points as measuring gives."""
    rng = np.random.default_rng(seed)
    below = tuple(round(float(one), 4) for one in np.linspace(0.0001, 0.9999, points))

    def curve(typical: float) -> Curve:
        spread = np.sort(rng.normal(0, 0.005, points))
        return Curve(ms=tuple(float(f"{typical * np.exp(one):.7g}") for one in spread), below=below)

    return [
        {
            one.job: (curve(one.median_ms), curve(one.p90_ms), curve(one.p90_ms * 1.2))
            for one in ranking.candidates
            if one.trusted
        }
        for ranking in fleet.rankings
    ]


def _candidate(
    base: Candidate,
    at: int,
    model: str,
    exporter: str,
    format_: str,
    precision: str,
    init: str,
    device: int,
    rng: np.random.Generator,
) -> Candidate:
    size = 3e6 * (1 + MODELS.index(model)) * {"fp32": 1.0, "fp16": 0.5, "int8": 0.27}[precision]
    speed = {"fp32": 1.0, "fp16": 0.95, "int8": 0.5}[precision] * (1 + 0.3 * device)
    median = float(0.9 * (1 + MODELS.index(model)) ** 1.4 * speed * np.exp(rng.normal(0, 0.1)))
    top1 = float(np.clip(0.8 + 0.015 * MODELS.index(model) + rng.normal(0, 0.01), 0, 1))
    trusted = bool(rng.random() > 0.06)
    return msgspec.structs.replace(
        base,
        model=model,
        init=init,
        seed=0,
        exporter=exporter,
        format=format_,
        precision=precision,
        size_bytes=int(size),
        macs=int(2e7 * (1 + MODELS.index(model)) ** 1.2),
        params=int(1e6 * (1 + MODELS.index(model))),
        artifact_sha=f"{model}-{init}-{exporter}",
        job=f"{at:04x}{device:04x}" * 4,
        test_images=450,
        top1=top1,
        top1_low=top1 - 0.03,
        top1_high=top1 + 0.025,
        median_ms=median,
        median_low_ms=0.99 * median,
        median_high_ms=1.01 * median,
        p90_ms=1.06 * median,
        p90_low_ms=1.05 * median,
        p90_high_ms=1.08 * median,
        load_ms=20 * median,
        first_ms=2.5 * median,
        trusted=trusted,
        reasons=() if trusted else ("interval wide", "other load"),
    )


def _placed(candidates: list[Candidate]) -> tuple[Candidate, ...]:
    """In the order of the median; the trusted that nothing beats are on the front."""
    ordered = sorted(candidates, key=lambda one: (not one.trusted, one.median_ms))
    best, rows = 0.0, []
    for place, one in enumerate(ordered, start=1):
        front = one.trusted and (one.top1 or 0) > best
        best = max(best, one.top1 or 0) if front else best
        low, high = max(1, place - 2), min(len(ordered), place + 2)
        rows.append(msgspec.structs.replace(one, rank=place, rank_low=low, rank_high=high, pareto=front))
    return tuple(rows)


def _spread(one: Candidate, rng: np.random.Generator) -> Spread:
    m = one.median_ms
    return Spread(
        low=0.97 * m, p10=0.98 * m, p25=0.99 * m, p50=m, p75=1.02 * m, p90=1.06 * m, high=m * float(1.2 + rng.random())
    )


def ranking_of_many(rows: int = 1620) -> Ranking:
    """One ranking with that many candidates."""
    found, _ = fleet()
    many = [one for ranking in found.rankings for one in ranking.candidates][:rows]
    return msgspec.structs.replace(found.rankings[0], candidates=tuple(many))
