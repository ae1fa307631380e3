"""What a user waits for: `--help`, `list`, the demo's main job from nothing, and again with everything cached.

Run by `make bench`; prints a table and asserts nothing about time.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.bench

RUNS = 11


def timed(*arguments: str, cwd: Path) -> tuple[float, str, str]:
    """Seconds, stdout and stderr of one `edgeprof` process."""
    began = time.perf_counter()
    command = [str(Path(sys.executable).parent / "edgeprof"), *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=1800, check=True)
    return time.perf_counter() - began, done.stdout, done.stderr


def test_the_light_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands: dict[str, list[float]] = {"--help": [], "list": []}
    for _ in range(RUNS):
        for name, seconds in commands.items():
            seconds.append(timed(name, cwd=tmp_path)[0])
    with capsys.disabled():
        print("\n| command | median s | least | most |\n|---|---|---|---|")
        for name, seconds in commands.items():
            print(f"| edgeprof {name} | {statistics.median(seconds):.3f} | {min(seconds):.3f} | {max(seconds):.3f} |")


def test_the_main_job_from_nothing_and_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, out, _ = timed("run", "--quick", "--json", cwd=tmp_path)
    candidates = len(json.loads(out)["candidates"])
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    again, _, words = timed("run", "--quick", "--json", cwd=tmp_path)
    profiling = next(float(line.split()[-2]) for line in words.splitlines() if line.startswith("profile: finished"))
    with capsys.disabled():
        print("\n| what | value |\n|---|---|")
        print(f"| run from nothing (train, export, profile), {candidates} candidates | {first:.0f} s |")
        print(f"| largest single process of it | {peak:.2f} GB |")
        print(f"| run again, training and export cached | {again:.0f} s |")
        print(f"| of which not measuring (to the second) | {again - profiling:.0f} s |")
        print(f"| processors | {os.cpu_count()} |")
