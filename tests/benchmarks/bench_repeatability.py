"""Do two runs tell the same order? The demo's nine files on one thread and core 0, once on the machine as it is and
once beside a load that comes and goes on the other core; and what two simpler ways of measuring tell in these two runs.

Run by `make bench`; makes the demo's files first (some 5 minutes), or takes those of the folder EDGEPROF_DEMO.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import peers
import pytest

from edgeprof import pipeline
from edgeprof.progress import Silent
from edgeprof.rank.bounds import Quantity, confidence, surely_better
from edgeprof.records import Artifact, Device, Round
from edgeprof.stats.intervals import quantile_interval
from edgeprof.store import Store

pytestmark = pytest.mark.bench

HERE = Device(name="localhost", transport="local", threads=(1,), cores=(0,))
APP_S = 6.0
"""benchmark_app's own default is 60 s a file; a tenth of it here, for nine files and two runs."""
Orders = dict[str, dict[str, Quantity]]
"""Way of measuring -> file -> latency; without an interval where that way tells none."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """With the demo's exported files."""
    work = Path(os.environ.get("EDGEPROF_DEMO") or tmp_path_factory.mktemp("demo"))
    command = [sys.executable, "-m", "edgeprof", "--work", str(work), "export", "--training", "demo"]
    subprocess.run(command, check=True, capture_output=True)
    made = Store(pipeline.store_root(work))
    yield made
    made.close()


@contextlib.contextmanager
def load_on_core_1() -> Iterator[None]:
    """A process that computes for 1 to 4 s and rests for as long, in turn."""
    code = "import time\nuntil = time.time() + {s}\nwhile time.time() < until: sum(range(10000))"
    over = threading.Event()
    dice = random.Random(0)

    def come_and_go() -> None:
        while not over.is_set():
            busy = code.format(s=dice.uniform(1, 4))
            subprocess.run(["taskset", "-c", "1", sys.executable, "-c", busy], check=True)
            over.wait(dice.uniform(1, 4))

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def paths(store: Store, artifact: Artifact) -> dict[str, str]:
    return {one.name: str(store.blob(one.sha256)) for one in artifact.files}


def forty(store: Store, artifact: Artifact) -> Quantity:
    """10 + 40 runs in one process, their mean."""
    spec = {"format": artifact.format, "files": paths(store, artifact), "samples": str(store.blob(_samples(artifact)))}
    return Quantity(value=peers.forty_runs(spec), low=None, high=None)


def app(store: Store, artifact: Artifact, folder: Path) -> Quantity:
    """benchmark_app with the latency hint; it reads all three formats and runs them by OpenVINO."""
    for one in artifact.files:
        place = folder / f"{artifact.artifact_sha[:12]}{Path(one.name).suffix}"
        if not place.exists():
            place.symlink_to(store.blob(one.sha256).resolve())
    main = folder / f"{artifact.artifact_sha[:12]}{Path(artifact.files[0].name).suffix}"
    return Quantity(value=peers.benchmark_app(main.with_suffix(_suffix(artifact)), APP_S), low=None, high=None)


def _suffix(artifact: Artifact) -> str:
    return {"onnx": ".onnx", "openvino": ".xml", "tflite": ".tflite"}[artifact.format]


def _samples(artifact: Artifact) -> str:
    assert artifact.samples_sha is not None
    return artifact.samples_sha


def measured(store: Store, artifacts: list[Artifact]) -> tuple[dict[str, Quantity], list[float], int]:
    """edgeprof's latencies with simultaneous intervals; device seconds of each cell, both attempts; cells within 1%."""
    outcome = pipeline.profile(store, artifacts, HERE, ask=pipeline.Ask(fresh=True), progress=Silent())
    found, reached = {}, 0
    spent: Counter[str] = Counter()
    for one in store.all(Round.KIND, Round, run=outcome.run.run):
        spent[one.job] += one.process_ns
    for measurement in outcome.measurements:
        rounds = [each.samples_ns for each in measurement.rounds]
        interval = quantile_interval(rounds, 0.5, confidence(len(outcome.measurements)))
        # Whether to trust each is another question: here the intervals alone are asked.
        found[measurement.cell.artifact_sha] = Quantity(value=interval.value, low=interval.low, high=interval.high)
        reached += "interval wide" not in measurement.reasons
    return found, [nanoseconds / 1e9 for nanoseconds in spent.values()], reached


def tau(first: dict[str, Quantity], second: dict[str, Quantity], called: bool) -> tuple[float, int]:
    """Kendall's tau over the pairs of files (only those called different in both runs), and how many these are."""
    score = pairs = 0
    for a, b in itertools.combinations(sorted(first), 2):
        apart = [surely_better(run[a], run[b]) or surely_better(run[b], run[a]) for run in (first, second)]
        if called and not all(apart):
            continue
        signs = [(run[a].value or 0) < (run[b].value or 0) for run in (first, second)]
        score += 1 if signs[0] == signs[1] else -1
        pairs += 1
    return (score / pairs if pairs else float("nan")), pairs


def test_two_runs_tell_the_same_order(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    artifacts = [one for one in store.all(Artifact.KIND, Artifact) if one.training == "demo"]
    assert len(artifacts) == 9
    ways: dict[str, Callable[[Artifact], Quantity]] = {
        "10 + 40 runs, mean": lambda one: forty(store, one),
        f"benchmark_app, {APP_S:g} s, median": lambda one: app(store, one, tmp_path),
    }
    runs: list[Orders] = []
    lines = ["", "| run | edgeprof's device time a file, mean | most | files within 1% |", "|---|---|---|---|"]
    for name, beside in (("as it is", contextlib.nullcontext()), ("beside a load", load_on_core_1())):
        with beside:
            mine, seconds, reached = measured(store, artifacts)
            lines.append(f"| {name} | {sum(seconds) / 9:.1f} s | {max(seconds):.1f} s | {reached} of 9 |")
            others = {way: {one.artifact_sha: ask(one) for one in artifacts} for way, ask in ways.items()}
        runs.append({"edgeprof": mine, **others})
    lines += ["", "| way | Kendall's tau, all 36 pairs | among pairs called different | pairs |", "|---|---|---|---|"]
    for way in runs[0]:
        every, _ = tau(runs[0][way], runs[1][way], called=False)
        apart, pairs = tau(runs[0][way], runs[1][way], called=True)
        shown = f"{apart:.3f} | {pairs}" if pairs else "it calls none | 0"
        lines.append(f"| {way} | {every:.3f} | {shown} |")
    with capsys.disabled():
        sys.stdout.write("\n".join(lines) + "\n")
