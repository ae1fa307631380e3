"""The examples in the documents are executed: every `$ ` line of a ```console block, in order, in a small suite.

A line of the form `# exit N` right above a command says the exit code that it ends with. Commands that a reader runs
once on a fresh machine (git clone, make, pip, ssh) are not run here: `.ci/run` and the wheel's tests do. Files that
the reader is to have (`old.onnx`, see READERS) lie in the suite, copies of what it exports.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Done, edgeprof

from edgeprof.agent import canary, timing, worker
from edgeprof.agent import operators as profiler
from edgeprof.cli import options
from edgeprof.export.verify import SAMPLES
from edgeprof.measure import conditions, inputs, trust
from edgeprof.measure.operators import INFERENCES
from edgeprof.rank import bounds
from edgeprof.records import ADVICE, PASSING, Method
from edgeprof.stats import pairs, sequence, shape, tails

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ELSEWHERE = ("git", "make", "pip", "cd", "ssh", "sudo", "apt-get")
READERS = ("old.onnx", "new.onnx", "model.onnx", "other.tflite")


def examples(text: str) -> list[tuple[str, int]]:
    """(command, exit code) of every example."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S):
        code = 0
        for line in block.splitlines():
            if line.startswith("# exit "):
                code = int(line.removeprefix("# exit "))
            elif line.startswith("$ "):
                found.append((line.removeprefix("$ ").split("  #")[0].strip(), code))
                code = 0
    return found


def test_there_are_examples() -> None:
    assert sum(len(examples(page.read_text(encoding="utf-8"))) for page in PAGES) >= 8


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_run(page: Path, done: Done, tmp_path: Path) -> None:
    suite = tmp_path / "suite"
    shutil.copytree(done.root, suite)
    edgeprof("export", "--out", str(tmp_path / "files"), cwd=suite)
    for name in READERS:
        (exported,) = (tmp_path / "files").glob(f"*{Path(name).suffix}")
        shutil.copyfile(exported, suite / name)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command, code in examples(page.read_text(encoding="utf-8")):
        words = shlex.split(command)
        if words[0] in ELSEWHERE:
            continue
        assert words[0] == "edgeprof", f"{page.name}: {command}: examples use edgeprof itself"
        if words[1] == "choose" and not any_trusted(suite):
            code = 1
        ran = subprocess.run(
            words,
            cwd=suite,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert ran.returncode == code, f"{page.name}: $ {command}\nexit {ran.returncode}\n{ran.stdout}\n{ran.stderr}"


def test_the_numbers_of_the_method_page_are_those_of_the_code() -> None:
    """A threshold that is changed must be changed on the page that explains it."""
    how, quick = Method(), options.method(quick=True)
    said = " ".join((ROOT / "docs" / "method.md").read_text(encoding="utf-8").split())
    for words in (
        f"Inputs are {SAMPLES} test images in rotation",
        f"else {inputs.INPUTS} made up ones",
        f"the last {timing.KEPT_BYTES >> 20} MiB of them",
        f"warm-up (at least {how.warmup_min} runs and {how.warmup_s:g} s)",
        f"block (at least {how.block_min} samples and {how.block_s:g} s, at most {how.block_max})",
        f"not over after {how.timeout_s:g} s",
        f"From {sequence.first(0.95)} rounds on its 95% interval",
        f"every number of rounds up to {sequence.HORIZON}",
        f"After at least {how.min_rounds} rounds a cell is done when half its interval is at most {how.precision:.0%}",
        f"at {how.max_rounds} rounds, or when its processes, imports included, have taken {how.cell_s:g} s",
        f"up to {2 * how.max_rounds} rounds and {2 * how.cell_s:g} s",
        f"`--quick` is {quick.max_rounds} rounds of {quick.block_s:g} s at {quick.precision:.0%}",
        f"p99 needs {tails.P99_MIN_EFFECTIVE} independent samples",
        ", ".join(f"{sequence.first(bounds.confidence(n))} for {n}" for n in (9, 18)),
        f"a round with under {trust.MIN_SAMPLES} samples",
        f"the smaller at least {trust.MINOR_SHARE:.0%} of the rounds, at least {shape.SIZE:.0%} apart",
        f"of {shape.MIN_WITHIN} or more",
        f"at least {shape.MINOR_SHARE:.0%} of them, the valley between at most {shape.VALLEY} as dense",
        f"Mann-Kendall at {shape.FALSE_RATE:.0%}",
        f"Bonferroni over {len(shape.EARLY)} splits",
        f"a fixed clock below {conditions.LOWERED:.0%} of its highest",
        f"within {conditions.HOT_BELOW_C:g} °C of the lowest passive trip point",
        f"(a Pi that tells none: {conditions.PI_THROTTLES_C:g} °C)",
        f"stole over {conditions.STOLEN:.0%} of the measuring threads' time, and {conditions.TICKS_NS / 1e6:g} ms",
        f"without a core for over {conditions.WAITING:.0%} of the time",
        f"other programs used over {conditions.CROWDED:.0%} of it",
        f"over {conditions.SWITCHES_PER_S:g} involuntary switches a second and thread",
        f"the wall clock moved by over {conditions.CLOCK_STEP_NS / 1e6:g} ms",
        f"over {conditions.CANARY:.0%} slower than that of another three (from {2 * conditions.STRETCH} rounds on)",
        f"the clock not seen at {conditions.AT_TOP:.0%} of its highest",
        "more than 0.1% of the host outputs' spread (fp32), 1% (fp16), 5% (int8)",
        f"{canary.PRODUCTS} products of {canary.SIDE} x {canary.SIDE} float32 matrices",
        f"{worker.CANARY_REPEATS} times before loading, {worker.CANARY_REPEATS} after the block",
        f"beyond {pairs.ZONE:.0%} (`--zone`)",
        f"({profiler.WARMUP} inferences, then {INFERENCES} that count)",
    ):
        assert words in said, f"docs/method.md does not say: {words}"
    assert [trust.differs_above(one) for one in ("fp32", "fp16", "int8")] == [0.001, 0.01, 0.05]
    assert trust.WRONG_TIMES == 10
    assert "ten times the difference that rounding explains" in said


def test_the_method_page_has_every_reason_and_whether_it_is_measured_again() -> None:
    page = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| ([a-z -]+) \| .* \| (passing|lasting)(?:, pooled)? \|$", page, re.M))
    assert told == {reason: "passing" if reason in PASSING else "lasting" for reason in ADVICE}


def any_trusted(suite: Path) -> bool:
    """Whether the newest run has a candidate to choose: on a machine that was too restless for it there is none."""
    return any(one["trusted"] for one in json.loads(edgeprof("rank", "--json", cwd=suite).stdout)["candidates"])


def test_links_between_the_documents_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", *ROOT.glob("*/README.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
