"""What several tests share: a small suite of our own, run once for real, and the `edgeprof` command as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from seeded_fixture import seeded
from testbed.fixtures import board, loopback, proxy, sshd

from edgeprof import suite as suites

__all__ = ["board", "loopback", "proxy", "seeded", "sshd"]

TINY = """\
description = "One small model, one epoch: for tests"
models = ["mobilenetv3_small_050"]

[data]
name = "digits"

[preprocessing]
image_size = 32
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]

[recipe]
epochs = 2
batch_size = 64
"""


def edgeprof(
    *arguments: str, cwd: Path, code: int | None = 0, timeout: float = 280, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would; `code` is the exit code expected, None for any."""
    done = subprocess.run(
        [sys.executable, "-m", "edgeprof", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert code is None or done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return done


def tiny_suite(folder: Path) -> Path:
    """A suite whose demo is small enough for tests."""
    suites.init(folder)
    (folder / "training" / "demo.toml").write_text(TINY, encoding="utf-8")
    # Without exporters here, every one of the suite would be made: minutes.
    exporters = 'exporters = ["onnx-fp32", "openvino-fp32", "tflite-fp32"]'
    text = f'transport = "local"\nthreads = [1]\n{exporters}\n'
    (folder / "devices" / "localhost.toml").write_text(text, encoding="utf-8")
    return folder


@dataclass(frozen=True)
class Done:
    """A suite in which one quick run is finished."""

    root: Path
    ranking: dict[str, Any]
    stderr: str


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """One real `edgeprof run`, in a folder with a space and letters beyond ASCII. Tests must not change it."""
    root = tiny_suite(tmp_path_factory.mktemp("suite") / "my süite – 試")
    ran = edgeprof("run", "--device", "localhost", "--quick", "--json", cwd=root)
    return Done(root=root, ranking=json.loads(ran.stdout), stderr=ran.stderr)
