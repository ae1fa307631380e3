"""What the agent itself costs: per sample on a model that does nothing, and processor time while it waits.

Run by `make bench`; prints a table and asserts nothing about time.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

import pytest
import tiny_models

from edgeprof.records import Device, Method
from edgeprof.store import Store
from edgeprof.target.local import LocalChannel, LocalConnection
from edgeprof.target.protocol import CellPlan, Done, Measure, Measured, Step

pytestmark = pytest.mark.bench

ROUNDS = 5
WAIT_S = 5.0


def noop(samples: str | None = None) -> CellPlan:
    return CellPlan(
        format="noop",
        precision="fp32",
        threads=1,
        cores=None,
        provider=None,
        files={},
        samples=samples,
        wrong_above=None,
    )


def rounds(channel: LocalChannel, plan: CellPlan, method: Method, count: int = ROUNDS) -> list[Measured]:
    steps = tuple(Step(job="noop", round=number, position=number, look=False) for number in range(count))
    channel.send(Measure(method=method, cells={"noop": plan}, rounds=steps))
    found: list[Measured] = []
    while not isinstance(event := channel.receive(method.timeout_s + 30), Done):
        if isinstance(event, Measured):
            found.append(event)
    return found


def processor_s(pid: int) -> float:
    """User and system time of a process (not of its children) so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_cost_of_a_sample_and_of_waiting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path)
    samples = tmp_path / "samples.npz"
    ins = tiny_models.stand_in_inputs()
    samples.write_bytes(tiny_models.samples(ins, ins))
    with LocalConnection(Device(name="localhost", transport="local"), store) as connection:
        channel = connection.start_agent()
        # As many samples as a block may have, of a model that takes no time: the loop is all there is.
        dense = Method(warmup_s=0.0, warmup_min=500, block_s=0.0, block_min=100_000, block_max=100_000)
        began = time.perf_counter()
        found = rounds(channel, noop(str(samples)), dense)
        per_round = (time.perf_counter() - began) / ROUNDS
        inside = statistics.median(statistics.median(one.samples_ns) for one in found)
        p99 = max(sorted(one.samples_ns)[int(0.99 * len(one.samples_ns))] for one in found)
        # The whole loop, keeping the outputs included: a block bounded by time instead.
        timed = Method(warmup_s=0.0, warmup_min=500, block_s=0.2, block_min=1, block_max=10**7)
        whole = statistics.median(0.2e9 / len(one.samples_ns) for one in rounds(channel, noop(str(samples)), timed))
        # Waiting: one long block, with nothing else to do for supervisor and host.
        quiet = Method(warmup_s=0.0, warmup_min=1, block_s=WAIT_S, block_min=1, block_max=10**8)
        before, here, clock = processor_s(channel.pid), time.process_time(), time.perf_counter()
        channel.send(
            Measure(method=quiet, cells={"noop": noop()}, rounds=(Step(job="noop", round=0, position=0, look=False),))
        )
        time.sleep(WAIT_S - 0.5)  # the block is still going on
        waited = time.perf_counter() - clock
        agent, host = processor_s(channel.pid) - before, time.process_time() - here
    store.close()
    with capsys.disabled():
        sys.stdout.write(
            "\n| what | figure | target |\n|---|---|---|\n"
            f"| timed part of a sample, no-op model, median of {ROUNDS} rounds | {inside:.0f} ns | |\n"
            f"| the same, 99th percentile, worst round | {p99:.0f} ns | |\n"
            f"| whole loop a sample, outputs kept | {whole / 1000:.2f} us | < 10 us |\n"
            f"| a round of {dense.block_min} no-op samples with its process | {per_round:.2f} s | |\n"
            f"| supervisor's processor time while a block runs | {100 * agent / waited:.2f}% | < 1% |\n"
            f"| host's processor time while a block runs | {100 * host / waited:.2f}% | < 1% |\n"
        )
    assert found
