"""Tab completion, as a shell asks for it: every name that there is; nothing is made, no fault told, little loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import stored_runs
from stored_runs import Kind
from typer.testing import CliRunner

from edgeprof.cli.app import app
from edgeprof.store import Store
from edgeprof.suite import builtin_root

RUNS = [f"20260102-0{3 + number}0000-{number:08x}" for number in range(2)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two finished runs."""
    root = tmp_path_factory.mktemp("completed")
    assert stored_runs.write(root, [Kind(), Kind()]) == RUNS
    return root


def completed(root: Path, line: str) -> list[str]:
    """What bash would offer for the last word of the line, working in this folder."""
    words = f"edgeprof --work {root} {line}"
    told = CliRunner().invoke(
        app,
        [],
        prog_name="edgeprof",
        env={
            "_EDGEPROF_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        },
    )
    assert told.stderr == ""
    return told.stdout.split()


def names(folder: str) -> list[str]:
    return sorted(one.stem for one in (builtin_root() / folder).glob("*.toml"))


@pytest.mark.parametrize("command", ["run", "export", "profile", "device doctor localhost"])
def test_exporters(command: str, place: Path) -> None:
    assert sorted(completed(place, f"{command} -e ")) == names("exporters")
    assert completed(place, f"{command} --exporter onnx-fp32")[0] == "onnx-fp32"


@pytest.mark.parametrize("command", ["run", "train", "export", "profile", "show accuracy", "gate"])
def test_trainings(command: str, place: Path) -> None:
    assert sorted(completed(place, f"{command} -t ")) == names("training")
    assert completed(place, f"{command} --training dem") == ["demo"]


@pytest.mark.parametrize("command", ["choose", "rank", "report", "gate", "show effect"])
def test_runs(command: str, place: Path) -> None:
    assert completed(place, f"{command} --run ") == RUNS[::-1]
    assert completed(place, f"{command} --run 20260102-04") == RUNS[1:]


@pytest.mark.parametrize(
    "command", ["rank --device", "choose --device", "report -d", "show history -d", "device probe"]
)
def test_devices(command: str, place: Path) -> None:
    assert completed(place, f"{command} localh") == ["localhost"]


def test_show_offers_its_lists_and_the_runs_that_are_begun(place: Path) -> None:
    assert {"runs", "latest", "history"} <= set(completed(place, "show "))
    assert completed(place, "show 2026") == RUNS[::-1]
    assert completed(place, "show ru") == ["runs"]


def test_no_store_is_made_and_a_broken_one_is_not_told_of(tmp_path: Path) -> None:
    for line in ("choose --run ", "show 2026", "gate --run "):
        assert completed(tmp_path, line) == []
    assert list(tmp_path.iterdir()) == []
    Store(tmp_path / ".edgeprof").close()
    (tmp_path / ".edgeprof/records.sqlite").write_bytes(b"no database" * 1000)
    assert completed(tmp_path, "choose --run ") == []


def test_nothing_heavy_is_loaded() -> None:
    code = (
        "import sys; sys.argv[0] = 'edgeprof'\nfrom edgeprof.cli import main\ntry: main()\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'timm', 'numpy', 'pandas', 'jinja2', 'paramiko', 'onnx', 'onnxruntime'}\n"
        "print('heavy', *sorted(heavy & set(sys.modules)))"
    )
    env = {"_EDGEPROF_COMPLETE": "complete_bash", "COMP_WORDS": "edgeprof run -e onnx-fp", "COMP_CWORD": "3"}
    told = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=True
    )
    assert told.stdout.splitlines()[-1] == "heavy"
    assert "onnx-fp32" in told.stdout
