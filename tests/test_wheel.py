"""What is shipped: the built wheel, in an empty environment elsewhere, not this checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet")


def run(*command: str | Path, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(one) for one in command], cwd=cwd, env=clean, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, *PIP, "wheel", "--no-deps", "--wheel-dir", folder, ROOT, cwd=folder)
    (found,) = folder.glob("edgeprof-*.whl")
    return found


def environment(folder: Path, wheel: Path, *more: str) -> Path:
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    constraints = ROOT / "constraints.txt"
    run(python, *PIP, "install", "--constraint", constraints, wheel, *more, cwd=folder)
    return folder / "bin" / "edgeprof"


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command in an environment of its own, without any extra."""
    return environment(tmp_path_factory.mktemp("bare") / "env", wheel)


def test_the_wheel_in_an_empty_environment_finds_its_suite_and_needs_no_torch(bare: Path, tmp_path: Path) -> None:
    edgeprof = bare
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    listed = json.loads(run(edgeprof, "list", "--json", cwd=elsewhere).stdout)
    assert {one["name"] for one in listed["devices"]} >= {"localhost", "jetson", "raspberry-pi"}
    assert {one["name"] for one in listed["exporters"]} >= {"onnx-fp32", "openvino-fp32", "tflite-fp32"}
    assert "demo" in {one["name"] for one in listed["training"]}
    run(edgeprof, "check", cwd=elsewhere)
    missing = run(edgeprof, "run", "--device", "localhost", cwd=elsewhere, code=3)
    assert 'pip install "edgeprof[' in missing.stderr
    assert "Traceback" not in missing.stderr
    run(edgeprof, "init", "mine", cwd=elsewhere)
    run(edgeprof, "check", cwd=elsewhere / "mine")


def test_the_wheel_brings_its_types_and_python_works_without_pandas(wheel: Path, bare: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as shipped:
        assert "edgeprof/py.typed" in shipped.namelist()
    code = (
        "from edgeprof import Suite\nfrom edgeprof.errors import MissingPackageError\n"
        "suite = Suite.init('mine')\nassert suite.devices() and suite.models()\n"
        "try:\n    suite.runs()\nexcept MissingPackageError as error:\n    print(error.hint)\n"
    )
    assert 'pip install "edgeprof[frames]"' in run(bare.parent / "python", "-c", code, cwd=tmp_path).stdout


@pytest.mark.slow
def test_the_wheel_with_runtimes_profiles_a_ready_file_without_torch(wheel: Path, tmp_path: Path) -> None:
    edgeprof = environment(tmp_path / "env", wheel, "onnxruntime")
    python = edgeprof.parent / "python"
    run(python, "-c", "import importlib.util as u, sys; sys.exit(bool(u.find_spec('torch')))", cwd=tmp_path)
    model = tmp_path / "ready.onnx"
    make = (
        "import sys, onnx\nfrom onnx import TensorProto as T, helper as h\n"
        "x = h.make_tensor_value_info('x', T.FLOAT, [1, 64])\ny = h.make_tensor_value_info('y', T.FLOAT, [1, 64])\n"
        "graph = h.make_graph([h.make_node('Relu', ['x'], ['y'])], 'g', [x], [y])\n"
        "onnx.save(h.make_model(graph, ir_version=9, opset_imports=[h.make_opsetid('', 18)]), sys.argv[1])\n"
    )
    run(sys.executable, "-c", make, model, cwd=tmp_path)
    done = run(edgeprof, "profile", model, "--threads", "1", "--quick", "--json", cwd=tmp_path)
    assert len(json.loads(done.stdout)["candidates"]) == 1
