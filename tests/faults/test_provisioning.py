"""Runtimes are brought to real userlands: what fits each Python and C library, once; what fits none is told."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import ready_models
import steered
from desk import Desk
from testbed.board import Board
from testbed.fixtures import MakeBoard

from edgeprof.progress import Silent
from edgeprof.store import Store
from edgeprof.suite import Suite
from edgeprof.target.ssh.connection import SshConnection

pytestmark = pytest.mark.board
FORMATS = ("onnx", "openvino", "tflite")
PACKAGES = ("onnxruntime", "openvino", "ai_edge_litert", "numpy")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """With a file of each format. What it fetches is kept for all tests, by pip."""
    monkeypatch.setenv("PIP_CACHE_DIR", str(Path("~/.cache/pip").expanduser()))
    made = Desk(tmp_path / "desk")
    for format in FORMATS:
        ready_models.any_file(made.root, format, stem=format)
    return made


def add(desk: Desk, device: Board) -> str:
    """As a user does; what it printed."""
    words = ("device", "add", "board", f"{device.user}@{device.host}")
    return desk.edgeprof(*words, "--fingerprint", device.fingerprint, "--key-file", str(device.key_file)).stdout


def profile(desk: Desk, code: int = 0, formats: Collection[str] = FORMATS) -> tuple[dict[str, Any], str]:
    """Profile a file of each format: what was found, and what was said."""
    files = [f"{format}.{'xml' if format == 'openvino' else format}" for format in sorted(formats)]
    words = ("--device", "board", "--rounds", "1", "--threads", "1", "--json")
    done = desk.edgeprof("profile", *files, *words, code=code)
    told: dict[str, Any] = json.loads(done.stdout)
    return told, done.stderr


@contextmanager
def connected(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[SshConnection, Store]]:
    """To the board, in this process."""
    monkeypatch.setenv("HOME", str(desk.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with (
        closing(Store(desk.root / ".edgeprof")) as store,
        SshConnection(Suite(desk.root).device("board"), store, Silent()) as connection,
    ):
        yield connection, store


def moved(device: Board) -> int:
    """Bytes on the link so far, both ways."""
    counts = Path(f"/sys/class/net/{device.link.interface}/statistics")
    return sum(int((counts / name).read_text()) for name in ("rx_bytes", "tx_bytes"))


def sites(device: Board, home: str) -> list[str]:
    """What lies in the environments there: distributions with their versions and tags."""
    wheels = device.path(f"{home}/.cache/edgeprof/site").glob("*/*.dist-info/WHEEL")
    found = []
    for wheel in wheels:
        tags = [line.removeprefix("Tag: ") for line in wheel.read_text().splitlines() if line.startswith("Tag: ")]
        found.append(f"{wheel.parent.name.removesuffix('.dist-info')} {tags[0]}")
    return sorted(found)


@pytest.mark.slow
def test_a_plain_debian_gets_all_runtimes_once(board: MakeBoard, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its user is not root. The second time nothing is fetched, sent or unpacked, and no index is asked."""
    device = board(root="amd64-bookworm", user="edge", disk="1g")
    assert "3.11" in add(desk, device)
    told, said = profile(desk)
    assert sorted(one["format"] for one in told["candidates"]) == sorted(FORMATS)
    assert told["failures"] == []
    assert "provision: finished" in said
    assert len(sites(device, "/home/edge")) == 4
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    told, said = profile(desk)
    assert len(told["candidates"]) == 3
    assert "provision" not in said
    assert "push" not in said
    with connected(desk, monkeypatch) as (connection, store):
        files = {path.name: path for path in device.path("/home/edge/.cache/edgeprof/blobs").glob("[0-9a-f]*")}
        here = {sha: store.blob(sha) for sha in files if store.has_blob(sha)}
        assert len(here) >= 4
        connection.provide([])  # connects
        connection.start_agent()
        before = moved(device)
        assert connection.provide(FORMATS) == {}
        connection.push(here)
        assert moved(device) - before < 10_000
        assert {format: len(folders) for format, folders in connection.sites.items()} == dict.fromkeys(FORMATS, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("root", "python", "glibc", "formats"),
    [
        ("arm64-bullseye", "cp39", 31, {"onnx", "tflite"}),
        ("arm64-bookworm", "cp311", 36, {"onnx", "openvino", "tflite"}),
        ("arm64-trixie", "cp313", 41, {"openvino"}),
    ],
)
def test_a_foreign_board_gets_what_fits_it(
    board: MakeBoard, desk: Desk, root: str, python: str, glibc: int, formats: set[str]
) -> None:
    """By an emulator: every format that it survives is measured, and a crash is a failure of that format alone."""
    device = board(root=root, persona="pi-4", user="edge", disk="1g")
    assert "Raspberry Pi 4" in add(desk, device)
    told, said = profile(desk, formats=formats)
    there = sites(device, "/home/edge")
    assert {one.partition("-")[0] for one in there} <= set(PACKAGES), there
    for one in there:
        tag = one.split()[1]
        assert tag.startswith(f"{python}-") or "-abi3-" in tag or tag.startswith("py3-"), one
        platform = re.search(r"manylinux(?:2014|_2_(\d+))_aarch64$", tag)
        assert platform, one
        assert int(platform[1] or 17) <= glibc, one
    measured = {one["format"] for one in told["candidates"]}
    failed = {one["identity"]["model"]: one for one in told["failures"]}
    assert measured | set(failed) == formats
    assert measured, said
    assert len(there) == len(formats) + 1
    for failure in failed.values():
        assert failure["error_class"] in ("crash", "hang", "missing_runtime"), failure
        assert failure["error"]
        assert failure["hint"]


@pytest.mark.slow
def test_what_no_wheel_fits_fails_alone_and_in_words(board: MakeBoard, desk: Desk, tmp_path: Path) -> None:
    """A 32-bit Arm, of which this machine only says that it is one; it has runtimes of its own beside."""
    says = "import platform\nplatform.machine = lambda: 'armv7l'\n"
    device = board(**steered.options(tmp_path, site=says))
    desk.add(device, provision="auto")
    told, _ = profile(desk)
    assert [one["format"] for one in told["candidates"]] == ["tflite"], "the others go on"
    assert [one["identity"]["model"] for one in told["failures"]] == ["onnx", "openvino"]
    for failure, package in zip(told["failures"], ("onnxruntime", "openvino"), strict=True):
        assert f"there is no wheel of {package} for armv7l, Python 3.11, glibc 2." in failure["error"]
        assert failure["error_class"] == "missing_runtime"
        assert 'provision = "never"' in failure["hint"]
    (wheel,) = sites(device, "/root")
    assert wheel.startswith("tflite_runtime-"), "no numpy: there is none for it, Debian has its own"


def test_a_python_without_runtimes_that_is_to_be_used_as_it_is(board: MakeBoard, desk: Desk) -> None:
    device = board()
    desk.add(device, python="/usr/bin/python3", provision="never")
    told, said = profile(desk, code=5)
    assert told["candidates"] == []
    assert "provision" not in said
    for failure, package in zip(told["failures"], ("onnxruntime", "openvino", "ai-edge-litert"), strict=True):
        assert f"the runtime {package} cannot be imported" in failure["error"]
        assert failure["hint"] == f"on the device: /usr/bin/python3 -m pip install {package}"


@pytest.mark.parametrize("libc", ["musl", "glibc"])
def test_nothing_is_asked_of_an_index_in_vain(
    board: MakeBoard, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, libc: str
) -> None:
    """Without a network here it is said what cannot be fetched; for a musl board there is nothing to fetch at all."""
    says = "import os\nos.confstr = lambda name: None\n" if libc == "musl" else ""
    device = board(**steered.options(tmp_path, site=says))
    desk.add(device, provision="auto")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    told, _ = profile(desk, code=5)
    if libc == "musl":
        errors = [one["error"] for one in told["failures"]]
        assert len(errors) == 3
        assert all("a C library other than glibc" in error for error in errors), errors
        return
    assert told["error"]["what"].startswith("onnxruntime for x86_64, Python 3.11 cannot be fetched: ")
    assert "the package index does not answer" in told["error"]["what"]
    assert "network" in told["error"]["hint"]
    assert not list(device.path(f"{steered.WORKDIR}/site").glob("*"))
