"""How often each reason not to trust a measurement is named when its fault is there, and how often without one.

Simulated boards go through the real schedule (`measure.schedule`) and the real verdict (`measure.trust`), the second
attempt included; a competitor for the core and a fallback are also tried for real. Run by `make bench`; prints tables.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import tiny_models
from simulated_rounds import CELL, FACTS, RAN, a_round, changed, watched

from edgeprof import pipeline
from edgeprof.measure import schedule, verdict
from edgeprof.progress import Silent
from edgeprof.records import Artifact, Cell, Device, DeviceFacts, Format, Method, Round
from edgeprof.store import Store

pytestmark = pytest.mark.bench

SESSIONS = 400
METHOD = Method()
Dice = np.random.Generator
Make = Callable[[Dice, int], Round]
"""A simulated board: the round of that number."""


def measured(method: Method, make: Make, dice: Dice, cell: Cell = CELL, facts: DeviceFacts = FACTS) -> list[Round]:
    """The rounds that count of a cell that the schedule has measured."""
    done: list[Round] = []
    while (attempt := schedule.next_attempt(method, done, cell, facts)) is not None:
        done.append(
            msgspec.structs.replace(make(dice, len(done)), round=len(done), position=len(done), attempt=attempt)
        )
    return list(schedule.counted(method, done, cell, facts).rounds)


def slower(one: Round, factor: float) -> Round:
    return msgspec.structs.replace(one, samples_ns=tuple(int(ns * factor) for ns in one.samples_ns))


def clean(rho: float, between: float = 0.003) -> Make:
    return lambda dice, number: a_round(dice, number, rho=rho, between=between)


def bimodal(share: float, gap: float) -> Make:
    """So many processes are placed badly and slower by the gap."""
    return lambda dice, number: slower(a_round(dice, number), 1 + gap * float(dice.random() < share))


def switching(gap: float) -> Make:
    """A clock that switches between two levels within rounds, in stretches of some 20 samples."""

    def make(dice: Dice, number: int) -> Round:
        one = a_round(dice, number, rho=0.5)
        level = np.cumsum(dice.random(len(one.samples_ns)) < 0.05) % 2
        samples = tuple(int(ns * (1 + gap * up)) for ns, up in zip(one.samples_ns, level, strict=True))
        return msgspec.structs.replace(one, samples_ns=samples)

    return make


def rising(a_round_share: float) -> Make:
    """A device that becomes slower from round to round."""
    return lambda dice, number: slower(a_round(dice, number), 1 + a_round_share * number)


def warming(share: float) -> Make:
    """Samples that come down by so much within a round."""

    def make(dice: Dice, number: int) -> Round:
        one = a_round(dice, number)
        fade = 1 + share * np.exp(-np.arange(len(one.samples_ns)) / 60)
        return msgspec.structs.replace(one, samples_ns=tuple((np.array(one.samples_ns) * fade).astype(int).tolist()))

    return make


def with_telemetry(**fields: object) -> Make:
    return lambda dice, number: watched([a_round(dice, number)], **fields)[0]


def with_fields(**fields: object) -> Make:
    return lambda dice, number: changed([a_round(dice, number)], **fields)[0]


def loaded(dice: Dice, number: int) -> Round:
    """A competitor for the core half of the time: fair shares in slices of 3 ms, latency up, waiting told."""
    one = slower(a_round(dice, number), float(dice.uniform(1.3, 2.0)))
    waited = int(sum(one.samples_ns) * dice.uniform(0.2, 0.5))
    return watched(changed([one], involuntary_switches=int(waited / 3e6)), wait_ns=waited)[0]


def neighbour(dice: Dice, number: int) -> Round:
    """A guest beside us takes some of the core's time."""
    return watched([slower(a_round(dice, number), 1.05)], steal_ns=int(dice.uniform(5e6, 20e6)))[0]


def drifting(dice: Dice, number: int) -> Round:
    """From the fifth round of each attempt on the device itself is slower by a tenth; the canary feels it."""
    factor = 1.1 if number % METHOD.min_rounds >= 4 else 1.0
    one = slower(a_round(dice, number), factor)
    return msgspec.structs.replace(one, canary_ns=tuple(int(ns * factor) for ns in one.canary_ns))


MOVING = {"begin_clock_mhz": 1500.0, "end_clock_mhz": 1800.0}
FREE = msgspec.structs.replace(FACTS, governor="ondemand")
FAULTS: list[tuple[str, str, Make, DeviceFacts]] = [
    ("interval wide", "rounds spread by 10%", clean(0.8, between=0.1), FACTS),
    ("bimodal", "3 in 10 processes 5% slower", bimodal(0.3, 0.05), FACTS),
    ("bimodal", "3 in 10 processes 10% slower", bimodal(0.3, 0.10), FACTS),
    ("bimodal", "switching by 30% within rounds", switching(0.3), FACTS),
    ("trend", "0.5% slower each round", rising(0.005), FACTS),
    ("trend", "1% slower each round", rising(0.01), FACTS),
    ("trend", "20% warm-up within rounds", warming(0.2), FACTS),
    ("throttled", "a Pi's flag", with_telemetry(begin_throttled_flags=0x4, end_throttled_flags=0x4), FACTS),
    ("throttled", "a fixed clock that came down", with_telemetry(end_clock_mhz=1500.0), FACTS),
    ("throttled", "the kernel's counter", with_telemetry(begin_throttle_count=1, end_throttle_count=2), FACTS),
    ("under-voltage", "a Pi's flag", with_telemetry(begin_throttled_flags=0x1, end_throttled_flags=0x1), FACTS),
    ("under-voltage", "the sensor's alarm", with_telemetry(end_under_voltage=True), FACTS),
    ("hot at start", "79 C on a Pi", with_telemetry(begin_temperature_c=79.0), FACTS),
    ("other load", "a competitor for the core", loaded, FACTS),
    ("other load", "a guest beside us", neighbour, FACTS),
    ("clock step", "set by an hour", with_telemetry(clock_step_ns=3_600_000_000_000), FACTS),
    ("governor not fixed", "ondemand, clock moving", with_telemetry(**MOVING), FREE),
    (
        "provider fell back",
        "nothing on the delegate",
        with_fields(ran=msgspec.structs.replace(RAN, provider="built-in kernels")),
        FACTS,
    ),
    ("precision differs", "bf16 for fp32", with_fields(precision_executed="bf16", ran=RAN), FACTS),
    ("outputs differ", "by 1% of the spread", with_fields(output_diff=0.01), FACTS),
    ("canary drifted", "a tenth slower from the fifth round on", drifting, FACTS),
]
CLEAN: list[tuple[str, Make]] = [
    ("independent samples", clean(0.0)),
    ("AR(1) 0.5", clean(0.5)),
    ("AR(1) 0.9", clean(0.9)),
    ("rounds spread by 0.5%", clean(0.5, between=0.005)),
    ("rounds spread by 0.8%", clean(0.5, between=0.008)),
]


TFLITE = msgspec.structs.replace(CELL, format="tflite")
"""A file that XNNPACK is there for."""


def rate(make: Make, wanted: str | None, facts: DeviceFacts) -> tuple[float, float, float]:
    """Shares of sessions that name the reason, that name any, and mean rounds."""
    named = untrusted = rounds = 0
    cell = TFLITE if wanted == "provider fell back" else CELL
    for seed in range(SESSIONS):
        counted = measured(METHOD, make, np.random.default_rng(seed), cell, facts)
        reasons = verdict(METHOD, counted, cell, facts)
        named += wanted in reasons
        untrusted += bool(reasons)
        rounds += len(counted)
    return named / SESSIONS, untrusted / SESSIONS, rounds / SESSIONS


def test_how_often_faults_are_named_and_clean_runs_trusted(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["", "| fault | how | named | rounds |", "|---|---|---|---|"]
    for reason, how, make, facts in FAULTS:
        named, _, rounds = rate(make, reason, facts)
        lines.append(f"| {reason} | {how} | {100 * named:.1f}% | {rounds:.1f} |")
    lines += ["", "| clean board | called untrusted | rounds |", "|---|---|---|"]
    for how, make in CLEAN:
        _, untrusted, rounds = rate(make, None, FACTS)
        lines.append(f"| {how} | {100 * untrusted:.1f}% | {rounds:.1f} |")
    with capsys.disabled():
        sys.stdout.write("\n".join(lines) + "\n")


REAL = 15
"""Cells measured for real, each way."""
ONE_ATTEMPT = Method(max_rounds=METHOD.min_rounds, again=False, allow_fallback=True)


@contextlib.contextmanager
def hog(core: int) -> Iterator[None]:
    """A program that computes all the time, on one core."""
    process = subprocess.Popen(["taskset", "-c", str(core), sys.executable, "-c", "while True: sum(range(10000))"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def real_reasons(folder: Path, format: Format, device: Device) -> Counter[str]:
    """Measure a small real file so many times; how often each reason is given, and how often none (`trusted`)."""
    store = Store(folder)
    one = tiny_models.real_artifact(store, format)
    artifacts = [msgspec.structs.replace(one, seed=seed) for seed in range(REAL)]
    for artifact in artifacts:
        store.put(Artifact.KIND, str(artifact.seed), artifact)
    outcome = pipeline.profile(store, artifacts, device, ask=pipeline.Ask(ONE_ATTEMPT, fresh=True), progress=Silent())
    store.close()
    given = Counter(reason for one in outcome.measurements for reason in one.reasons)
    return given + Counter(trusted=sum(one.trusted for one in outcome.measurements))


def test_real_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On core 0: as it is, beside a hog on the other core and on the same one; a provider that is not there."""
    device = Device(name="localhost", transport="local", threads=(1,), cores=(0,))
    gpu = msgspec.structs.replace(device, providers={"openvino": "GPU"})
    cases: list[tuple[str, Format, Device, contextlib.AbstractContextManager[None]]] = [
        ("the machine as it is", "onnx", device, contextlib.nullcontext()),
        ("a hog on the other core", "onnx", device, hog(1)),
        ("a hog on the same core", "onnx", device, hog(0)),
        ("OpenVINO asked for a GPU", "openvino", gpu, contextlib.nullcontext()),
    ]
    lines = ["", f"| real, {REAL} cells each | reasons given |", "|---|---|"]
    for number, (how, format, board, beside) in enumerate(cases):
        with beside:
            found = real_reasons(tmp_path / str(number), format, board)
        lines.append(f"| {how} | {', '.join(f'{reason} {count}' for reason, count in found.most_common())} |")
    with capsys.disabled():
        sys.stdout.write("\n".join(lines) + "\n")
