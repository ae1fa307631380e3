"""Simulated rounds for the tests of schedule, trust and pair: log-normal round levels, AR(1) samples, a few spikes."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import signal

from edgeprof.records import Cell, DeviceFacts, Identity, Ran, Reading, Round, Telemetry

CELL = Cell(job="a-t1", identity=Identity(model="m"), artifact_sha="a", format="onnx", precision="fp32", threads=1)
FACTS = DeviceFacts(
    architecture="aarch64",
    os="Debian 12",
    kernel="6",
    cpu="4 x Cortex-A76",
    cores=4,
    memory_bytes=None,
    python="3.11",
    governor="performance",
    clock_mhz=(1500.0, 2400.0),
)
READING = Reading(clock_mhz=2400.0, temperature_c=55.0, throttled_flags=0, throttle_count=None, under_voltage=False)
TELEMETRY = Telemetry(
    begin=READING,
    end=READING,
    steal_ns=0,
    wait_ns=100_000,
    other_ns=2_000_000,
    elapsed_ns=200_000_000,
    clock_step_ns=10_000,
)
RAN = Ran(
    provider="CPUExecutionProvider",
    nodes=10,
    on_provider=10,
    partitions=1,
    precisions={"fp32": 5},
    source="profile of one inference",
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
    call_ns=(1,),
    process_ns=600_000_000,
    canary_ns=(1_000_000,) * 20,
    telemetry=TELEMETRY,
    ran=None,
    peak_rss_bytes=None,
    model_rss_bytes=None,
    runs_on="CPU",
    precision_executed="fp32",
    threads_used=1,
    output_diff=1e-6,
    involuntary_switches=3,
    agent_sha="a",
)


def a_round(
    generator: np.random.Generator,
    number: int = 0,
    *,
    level_ns: float = 1e6,
    between: float = 0.003,
    within: float = 0.02,
    rho: float = 0.8,
    samples: int = 200,
    attempt: int = 0,
) -> Round:
    """One round of a board with nothing else to do: spreads as shares, `rho` from sample to sample."""
    noise = signal.lfilter([np.sqrt(1 - rho**2)], [1, -rho], generator.standard_normal(samples + 100))[100:]
    level = level_ns * np.exp(between * generator.standard_normal())
    values: NDArray[np.float64] = level * np.exp(within * noise)
    values[generator.random(samples) < 0.005] *= 3
    canary = 1e6 * np.exp(np.abs(0.01 * generator.standard_normal(20)))
    return msgspec.structs.replace(
        ROUND,
        round=number,
        position=number,
        attempt=attempt,
        samples_ns=tuple(int(one) for one in values),
        call_ns=tuple(int(one) for one in values),
        canary_ns=tuple(int(one) for one in canary),
        ran=RAN if number == 0 else None,
    )


def session(generator: np.random.Generator, rounds: int = 10, **how: Any) -> list[Round]:
    """Rounds of one cell, see `a_round`."""
    return [a_round(generator, number, **how) for number in range(rounds)]


def changed(rounds: list[Round], **fields: Any) -> list[Round]:
    """The rounds with other fields."""
    return [msgspec.structs.replace(one, **fields) for one in rounds]


def watched(rounds: list[Round], **fields: Any) -> list[Round]:
    """The rounds with other telemetry; `begin_...` and `end_...` are fields of the readings."""
    found = []
    for one in rounds:
        assert one.telemetry is not None
        readings = {
            when: msgspec.structs.replace(
                getattr(one.telemetry, when),
                **{name[len(when) + 1 :]: value for name, value in fields.items() if name.startswith(f"{when}_")},
            )
            for when in ("begin", "end")
        }
        rest = {name: value for name, value in fields.items() if not name.startswith(("begin_", "end_"))}
        telemetry = msgspec.structs.replace(one.telemetry, **readings, **rest)
        found.append(msgspec.structs.replace(one, telemetry=telemetry))
    return found
