"""A folder in which a build would gate: a suite, a store, a baseline, and a stand-in for the runtime."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tiny_models
from conftest import edgeprof

from edgeprof.pipeline import Ask, profile_files
from edgeprof.pipeline.baseline import baseline_of, read_baseline, write_baseline
from edgeprof.progress import Silent
from edgeprof.records import Device
from edgeprof.store import Store
from edgeprof.suite import Suite

METHOD = msgspec.structs.replace(tiny_models.QUICK, min_rounds=3, max_rounds=3, block_min=20)


class Place:
    """A suite with a device of one thread, the baseline of a file that takes 1 ms, and the runtime's stand-in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.baseline = root / "reports" / "baselines" / "here.json"
        self.path = str(root / "stand-in")

    def file(self, does: str) -> str:
        """A "file" of always the same name, so of the same candidate."""
        path = self.root / does.replace(" ", "-") / "net.onnx"
        path.parent.mkdir(exist_ok=True)
        path.write_text(does)
        return str(path)

    def gate(self, *arguments: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        return edgeprof(
            "gate",
            "-b",
            str(self.baseline),
            *arguments,
            cwd=self.root,
            code=code,
            timeout=280,
            **{"PYTHONPATH": self.path, **environment},
        )

    def changed(self, **fields: Any) -> None:
        """The baseline with other fields."""
        write_baseline(self.baseline, msgspec.structs.replace(read_baseline(self.baseline), **fields))


def build(root: Path) -> Path:
    """The folder with its baseline."""
    for folder in ("training", "exporters", "devices"):
        (root / folder).mkdir()
    for name in ("here", "other"):
        (root / "devices" / f"{name}.toml").write_text('transport = "local"\nthreads = [1]\n')
    tiny_models.stand_in(root)
    place = Place(root)
    store = Store(root / ".edgeprof")
    here: Device = Suite.find(root).device("here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", place.path)
        outcome = profile_files(store, [Path(place.file("busy 1"))], here, ask=Ask(method=METHOD), progress=Silent())
    write_baseline(place.baseline, baseline_of(store, outcome))
    store.close()
    return root
