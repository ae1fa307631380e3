"""The verdict names each fault that is put into simulated rounds, and none in clean ones. Rates: tests/benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import msgspec
import numpy as np
import pytest
from simulated_rounds import CELL, FACTS, RAN, changed, session, watched

from edgeprof.measure import trust, verdict
from edgeprof.records import ADVICE, AS_IN_FILE, PASSING, Cell, DeviceFacts, Format, Method, Reason, Round

METHOD = Method()
Spoil = Callable[[list[Round]], list[Round]]


def clean(rounds: int = 10) -> list[Round]:
    return session(np.random.default_rng(0), rounds)


def half(rounds: list[Round], factor: float) -> list[Round]:
    """Every other process slower."""
    return [
        msgspec.structs.replace(one, samples_ns=tuple(int(ns * factor) for ns in one.samples_ns)) if n % 2 else one
        for n, one in enumerate(rounds)
    ]


def rising(rounds: list[Round], share: float) -> list[Round]:
    last = len(rounds) - 1
    return [
        msgspec.structs.replace(one, samples_ns=tuple(int(ns * (1 + share * n / last)) for ns in one.samples_ns))
        for n, one in enumerate(rounds)
    ]


def test_every_reason_has_advice_and_is_passing_or_lasting() -> None:
    assert set(ADVICE) == set(get_args(Reason))
    assert set(get_args(Reason)) > PASSING


def test_a_clean_session_is_trusted() -> None:
    assert verdict(METHOD, clean(), CELL, FACTS) == ()


LOWERED = {"begin_clock_mhz": 1800.0, "end_clock_mhz": 1800.0}
FAULTS: list[tuple[str, Spoil]] = [
    ("too few samples", lambda rounds: rounds[:6]),
    ("too few samples", lambda rounds: [*rounds[:9], *changed(rounds[9:], samples_ns=rounds[9].samples_ns[:9])]),
    ("outputs differ", lambda rounds: [*rounds[:9], *changed(rounds[9:], output_diff=0.01)]),
    ("precision differs", lambda rounds: [*changed(rounds[:1], precision_executed="bf16"), *rounds[1:]]),
    ("precision differs", lambda rounds: changed(rounds, precision_executed="bf16", ran=None)),
    ("throttled", lambda rounds: watched(rounds, begin_throttled_flags=0x4, end_throttled_flags=0x40004)),
    ("throttled", lambda rounds: watched(rounds, end_throttled_flags=0x20000)),
    ("throttled", lambda rounds: [*watched(rounds[:1], begin_throttle_count=3, end_throttle_count=4), *rounds[1:]]),
    ("throttled", lambda rounds: [*rounds[:9], *watched(rounds[9:], **LOWERED)]),
    ("under-voltage", lambda rounds: [*rounds[:9], *watched(rounds[9:], end_under_voltage=True)]),
    ("under-voltage", lambda rounds: watched(rounds, begin_throttled_flags=0x10001, end_throttled_flags=0x10001)),
    ("hot at start", lambda rounds: watched(rounds, begin_temperature_c=78.0)),
    ("other load", lambda rounds: changed(rounds, involuntary_switches=200, telemetry=None)),
    ("other load", lambda rounds: watched(rounds, wait_ns=20_000_000)),
    ("other load", lambda rounds: watched(rounds, steal_ns=20_000_000)),
    ("other load", lambda rounds: watched(rounds, wait_ns=None, other_ns=650_000_000)),
    ("clock step", lambda rounds: [*rounds[:9], *watched(rounds[9:], clock_step_ns=-3_600_000_000_000)]),
    ("canary drifted", lambda rounds: [*rounds[:5], *changed(rounds[5:], canary_ns=(1_050_000,) * 20)]),
    ("interval wide", lambda rounds: session(np.random.default_rng(8), 10, between=0.03)),
    ("bimodal", lambda rounds: half(session(np.random.default_rng(9), 20), 1.1)),
    ("trend", lambda rounds: rising(rounds, 0.1)),
]
WITH = {"bimodal": {"interval wide"}, "trend": {"interval wide"}, "too few samples": {"interval wide"}}
"""What may be said beside the fault: it widens the interval too."""


@pytest.mark.parametrize(("reason", "spoil"), FAULTS, ids=[f"{n}-{name}" for n, (name, _) in enumerate(FAULTS)])
def test_a_fault_is_named_and_nothing_else(reason: str, spoil: Spoil) -> None:
    found = set(verdict(METHOD, spoil(clean()), CELL, FACTS))
    assert reason in found
    assert found - {reason} <= WITH.get(reason, set())


def facts(**fields: object) -> DeviceFacts:
    return msgspec.structs.replace(FACTS, **fields)


def test_a_free_governor_is_named_unless_the_clock_stayed_at_its_top() -> None:
    for governor in ("ondemand", "schedutil", "powersave"):
        assert verdict(METHOD, clean(), CELL, facts(governor=governor)) == ()
        moving = watched(clean(), end_clock_mhz=2000.0)
        assert verdict(METHOD, moving, CELL, facts(governor=governor)) == ("governor not fixed",)
        unseen = watched(clean(), begin_clock_mhz=None, end_clock_mhz=None)
        assert verdict(METHOD, unseen, CELL, facts(governor=governor)) == ("governor not fixed",)
    assert verdict(METHOD, moving, CELL, facts(governor="schedutil", clock_mhz=(2400.0, 2400.0))) == ()


def test_a_trip_point_of_the_kernel_counts_where_the_device_tells_it() -> None:
    warm = watched(clean(), begin_temperature_c=94.0, begin_throttled_flags=None, end_throttled_flags=None)
    assert verdict(METHOD, warm, CELL, FACTS) == ()  # nothing is known of a limit
    assert verdict(METHOD, warm, CELL, facts(throttles_at_c=95.0)) == ("hot at start",)
    assert verdict(METHOD, warm, CELL, facts(throttles_at_c=110.0)) == ()


def test_old_flags_of_a_pi_are_no_reason() -> None:
    """Bits from 16 on tell what was once since the start; only what is new in a block spoils it."""
    rounds = watched(clean(), begin_throttled_flags=0x50000, end_throttled_flags=0x50000)
    assert verdict(METHOD, rounds, CELL, FACTS) == ()


def test_one_bad_moment_is_not_other_load() -> None:
    rounds = clean()
    bad = changed(watched(rounds[9:], wait_ns=100_000_000), involuntary_switches=500)
    assert verdict(METHOD, [*rounds[:9], *bad], CELL, FACTS) == ()


def test_one_slow_process_is_two_levels_only_among_few() -> None:
    """Of seven it may be the first of a mode, and more are measured; of fourteen it is an odd one."""
    for count, named in ((7, True), (14, False)):
        rounds = clean(count)
        slow = changed(rounds[-1:], samples_ns=tuple(int(ns * 1.3) for ns in rounds[-1].samples_ns))
        assert ("bimodal" in verdict(METHOD, [*rounds[:-1], *slow], CELL, FACTS)) == named


def test_what_is_unknown_is_no_reason() -> None:
    rounds = changed(clean(), output_diff=None, involuntary_switches=None, telemetry=None, ran=None, canary_ns=())
    assert verdict(METHOD, rounds, CELL, facts(governor=None, clock_mhz=None)) == ()
    empty = watched(clean(), steal_ns=None, wait_ns=None, other_ns=None, begin_clock_mhz=None, end_clock_mhz=None)
    assert verdict(METHOD, empty, CELL, facts(governor=None, clock_mhz=None)) == ()


def test_a_file_that_a_user_brings_was_asked_in_no_precision() -> None:
    cell = msgspec.structs.replace(CELL, precision=AS_IN_FILE)
    assert verdict(METHOD, changed(clean(), precision_executed="int8"), cell, FACTS) == ()


def test_a_provider_that_was_asked_for_must_take_the_whole_graph() -> None:
    cell: Cell = msgspec.structs.replace(CELL, provider="CUDAExecutionProvider")
    ran = msgspec.structs.replace(RAN, provider="CUDAExecutionProvider")
    for share, wanted in ((10, ()), (9, ("provider fell back",))):
        rounds = changed(clean(), ran=msgspec.structs.replace(ran, on_provider=share))
        assert verdict(METHOD, rounds, cell, FACTS) == wanted
    assert verdict(METHOD, changed(clean(), ran=RAN), cell, FACTS) == ("provider fell back",)


@pytest.mark.parametrize(
    ("format", "asked", "told", "fell"),
    [
        ("tflite", None, "XNNPACK", False),
        ("tflite", None, "built-in kernels", True),
        ("tflite", "none", "built-in kernels", False),
        ("tflite", "XNNPACK", "built-in kernels", True),
        ("openvino", "GPU", "GPU.0", False),
        ("openvino", "GPU", "CPU", True),
        ("openvino", None, "CPU", False),
        ("onnx", "CUDAExecutionProvider", "CPUExecutionProvider", True),
    ],
)
def test_what_ran_is_what_was_asked_by_whatever_name(format: Format, asked: str | None, told: str, fell: bool) -> None:
    cell = msgspec.structs.replace(CELL, format=format, provider=asked)
    rounds = changed(clean(), ran=msgspec.structs.replace(RAN, provider=told))
    assert ("provider fell back" in verdict(METHOD, rounds, cell, FACTS)) == fell


def test_precision_is_a_matter_of_what_was_asked() -> None:
    rounds = session(np.random.default_rng(8), 10, between=0.03)
    assert verdict(METHOD, rounds, CELL, FACTS) == ("interval wide",)
    assert verdict(msgspec.structs.replace(METHOD, precision=0.1), rounds, CELL, FACTS) == ()


def test_what_lies_within_the_precision_asked_for_is_no_reason() -> None:
    """Whoever asks for 20% is not told of two levels 10% apart."""
    loose = msgspec.structs.replace(METHOD, precision=0.2)
    for rounds in (half(session(np.random.default_rng(9), 20), 1.1), rising(clean(), 0.1)):
        assert verdict(METHOD, rounds, CELL, FACTS) != ()
        assert verdict(loose, rounds, CELL, FACTS) == ()
    drifted = [*clean()[:5], *changed(clean()[5:], canary_ns=(1_050_000,) * 20)]
    assert verdict(METHOD, drifted, CELL, FACTS) == ("canary drifted",)
    assert verdict(loose, drifted, CELL, FACTS) == ()


def test_one_round_is_too_few_even_if_asked_for() -> None:
    assert "too few samples" in verdict(Method(min_rounds=1, max_rounds=1), clean()[:1], CELL, FACTS)


def test_wrong_lies_well_above_different() -> None:
    for precision in ("fp32", "fp16", "int8", "dynamic-int8", "of a later day"):
        assert trust.wrong_above(precision) > trust.differs_above(precision) > 0
