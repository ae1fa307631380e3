"""The verdict names each fault that is put into simulated rounds, and none in clean ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import msgspec
import numpy as np
import pytest

from edgeprof.measure import trust, verdict
from edgeprof.records import ADVICE, Cell, DeviceFacts, Identity, Method, Reason, Round

METHOD = Method(rounds=5)
CELL = Cell(job="a-t1", identity=Identity(model="m"), artifact_sha="a", format="onnx", precision="fp32", threads=1)
FACTS = DeviceFacts(
    architecture="x86_64", os="Debian 12", kernel="6", cpu="x", cores=2, memory_bytes=None, python="3.11"
)
ROUND = Round(
    run="r",
    job="a-t1",
    round=0,
    position=0,
    started_at=0.0,
    load_ns=1,
    first_ns=1,
    warmup_ns=(1,),
    samples_ns=(1,),
    peak_rss_bytes=None,
    model_rss_bytes=None,
    runs_on="CPU",
    precision_executed="fp32",
    threads_used=1,
    output_diff=1e-6,
    involuntary_switches=3,
    agent_sha="a",
)


def session(
    generator: np.random.Generator, *, between: float = 0.01, within: float = 0.03, rho: float = 0.8
) -> list[Round]:
    """Five rounds of 400 samples of some 1 ms: log-normal round levels, AR(1) samples in them, a few spikes."""
    rounds = []
    for number in range(METHOD.rounds):
        noise = generator.standard_normal(400)
        for place in range(1, 400):
            noise[place] = rho * noise[place - 1] + np.sqrt(1 - rho**2) * noise[place]
        level = 1e6 * np.exp(between * generator.standard_normal())
        samples = level * np.exp(within * noise)
        samples[generator.random(400) < 0.005] *= 5
        rounds.append(msgspec.structs.replace(ROUND, round=number, samples_ns=tuple(int(one) for one in samples)))
    return rounds


def clean() -> list[Round]:
    return session(np.random.default_rng(0))


def changed(rounds: list[Round], **fields: Any) -> list[Round]:
    return [msgspec.structs.replace(one, **fields) for one in rounds]


def test_every_reason_has_advice() -> None:
    assert set(ADVICE) == set(get_args(Reason))


def test_clean_sessions_are_trusted() -> None:
    """At most 5% of them may be called untrusted; the noise is that of a shared machine with nothing else to do."""
    generator = np.random.default_rng(1)
    untrusted = sum(bool(verdict(METHOD, session(generator), CELL, FACTS)) for _ in range(200))
    assert untrusted <= 10


def test_a_bimodal_machine_is_named_in_most_sessions() -> None:
    """Every other process runs a third slower: a mean over it is worth nothing."""
    generator = np.random.default_rng(2)
    named = 0
    for _ in range(100):
        rounds = session(generator)
        slow = [changed([one], samples_ns=tuple(int(s * 1.33) for s in one.samples_ns))[0] for one in rounds]
        mixed = [slow[place] if place % 2 else rounds[place] for place in range(METHOD.rounds)]
        named += "interval wide" in verdict(METHOD, mixed, CELL, FACTS)
    assert named >= 95


FAULTS: list[tuple[str, Callable[[list[Round]], list[Round]]]] = [
    ("too few samples", lambda rounds: rounds[:4]),
    ("too few samples", lambda rounds: [*rounds[:4], *changed(rounds[4:], samples_ns=rounds[4].samples_ns[:9])]),
    ("outputs differ", lambda rounds: [*rounds[:4], *changed(rounds[4:], output_diff=0.01)]),
    ("precision differs", lambda rounds: changed(rounds, precision_executed="bf16")),
    ("other load", lambda rounds: changed(rounds, involuntary_switches=100)),
]


@pytest.mark.parametrize(("reason", "spoil"), FAULTS, ids=[f"{n}-{name}" for n, (name, _) in enumerate(FAULTS)])
def test_a_fault_is_named_and_nothing_else(reason: str, spoil: Callable[[list[Round]], list[Round]]) -> None:
    assert verdict(METHOD, spoil(clean()), CELL, FACTS) == (reason,)


def test_one_bad_moment_is_not_other_load() -> None:
    rounds = clean()
    assert verdict(METHOD, [*rounds[:4], *changed(rounds[4:], involuntary_switches=500)], CELL, FACTS) == ()


def test_what_is_unknown_is_no_reason() -> None:
    assert verdict(METHOD, changed(clean(), output_diff=None, involuntary_switches=None), CELL, FACTS) == ()


def test_one_round_is_too_few_even_if_asked_for() -> None:
    assert "too few samples" in verdict(Method(rounds=1), clean()[:1], CELL, FACTS)


def test_wrong_lies_well_above_different() -> None:
    for precision in ("fp32", "fp16", "int8", "dynamic-int8", "of a later day"):
        assert trust.wrong_above(precision) > trust.differs_above(precision) > 0
