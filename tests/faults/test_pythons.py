"""The Pythons of boards: none, one that is too old, one that is elsewhere or broken, one without pip and venv."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import ready_models
from logins import LoginDesk, on, works
from testbed.pythons import write_programs, write_python
from testbed.sshd import PATH, Sshd

TOO_OLD = "the device's Python is too old: 3.6; the agent needs 3.8 or newer"


@pytest.fixture
def desk(tmp_path: Path) -> LoginDesk:
    return LoginDesk(tmp_path / "desk")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PATH with everything but Python."""
    return write_programs(tmp_path_factory.mktemp("bare") / "bin", without=["python*"])


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_no_python_at_all_is_told_with_the_command_that_installs_it(sshd: Sshd, desk: LoginDesk, bare: Path) -> None:
    on(sshd, desk, environment={"PATH": str(bare)})
    desk.refused("there is no Python on the device", "sudo apt-get install python3")


def test_a_python_that_is_too_old_is_told_with_its_version_and_a_newer_one_beside_it_is_found(
    sshd: Sshd, desk: LoginDesk, bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = write_python(tmp_path / "old", "3.6.9")
    on(sshd, desk, environment={"PATH": f"{old}:{bare}"})
    desk.refused(f"board: {TOO_OLD}", "sudo apt-get install python3.8")
    desk.add(sshd, python="python3")
    desk.refused(f"devices/board.toml, python: {TOO_OLD}")
    newer = tmp_path / "newer"
    newer.mkdir()
    script(newer / "python3.9", 'exec /usr/bin/python3 "$@"')
    on(sshd, desk, environment={"PATH": f"{old}:{newer}:{bare}"})
    works(sshd, desk, monkeypatch)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("/no/such/python", "there is no such Python on the device: /no/such/python"),
        pytest.param("python3 -O", "there is no such Python on the device: python3 -O", marks=pytest.mark.slow),
        ("$(touch owned)", "there is no such Python on the device: $(touch owned)"),
        ("~/broken", "home/broken does not run: cannot open shared object"),
        pytest.param("/bin/cat", "/bin/cat does not run: ", marks=pytest.mark.slow),
    ],
)
def test_a_named_python_that_is_none_is_told_and_nothing_else_is_run(
    sshd: Sshd, desk: LoginDesk, asked: str, words: str
) -> None:
    script(sshd.home / "broken", "echo cannot open shared object >&2; exit 127")
    on(sshd, desk, keys={"python": asked})
    assert "devices/board.toml, python: " in desk.refused(words)
    assert not list(sshd.home.rglob("owned"))


@pytest.mark.parametrize(
    ("asked", "make"),
    [
        ("~/my python/python3", lambda path: path.symlink_to("/usr/bin/python3")),
        pytest.param("my python/python3", lambda path: path.symlink_to("/usr/bin/python3"), marks=pytest.mark.slow),
        ("~/my python/shim", lambda path: script(path, 'exec /usr/bin/python3 "$@"')),
    ],
)
def test_a_python_in_the_home_folder_and_a_shim_before_it_serve(
    sshd: Sshd, desk: LoginDesk, monkeypatch: pytest.MonkeyPatch, asked: str, make: Callable[[Path], object]
) -> None:
    (sshd.home / "my python").mkdir()
    make(sshd.home / asked.removeprefix("~/"))
    on(sshd, desk, keys={"python": asked})
    works(sshd, desk, monkeypatch)


def test_what_a_named_python_sets_up_is_there_for_what_is_measured(sshd: Sshd, desk: LoginDesk, tmp_path: Path) -> None:
    """On a Jetson such a script may set the paths of NVIDIA's libraries."""
    (tmp_path / "own" / "onnxruntime").mkdir(parents=True)
    (tmp_path / "own" / "onnxruntime" / "__init__.py").write_text("")
    python = script(tmp_path / "python", f'PYTHONPATH={tmp_path}/own exec /usr/bin/python3 "$@"')
    on(sshd, desk, keys={"python": str(python), "provision": "never"})
    facts = json.loads(desk.edgeprof("device", "probe", "board", "--json").stdout)["facts"]
    assert facts["runtimes"] == {"onnxruntime": "unknown"}


def test_neither_pip_nor_venv_is_needed_on_the_device(
    sshd: Sshd, desk: LoginDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = write_python(tmp_path / "without", lacks=("pip", "venv", "ensurepip"))
    on(sshd, desk, environment={"PATH": f"{without}:{PATH}"})
    works(sshd, desk, monkeypatch)


@pytest.mark.slow
def test_a_runtime_is_brought_to_a_python_without_pip_and_venv(sshd: Sshd, desk: LoginDesk, tmp_path: Path) -> None:
    """From the package index to the first number; a second run brings nothing."""
    without = write_python(tmp_path / "without", lacks=("pip", "venv", "ensurepip", "setuptools"))
    on(sshd, desk, environment={"PATH": f"{without}:{PATH}"})
    ready_models.onnx_file(desk.root / "a.onnx")
    words = ("profile", "a.onnx", "--device", "board", "--threads", "1", "--quick", "--json")
    first = desk.edgeprof(*words)
    (candidate,) = json.loads(first.stdout)["candidates"]
    assert candidate["samples"]
    assert "provision: finished" in first.stderr
    assert list((sshd.home / ".cache" / "edgeprof" / "site").iterdir())
    again = desk.edgeprof(*words, "--fresh")
    assert json.loads(again.stdout)["candidates"]
    assert "provision: finished" not in again.stderr
