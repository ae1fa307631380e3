"""A device's disk is full, cannot be written, or changes what lies there: said at once, and nothing is used unseen."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import steered
from steered import Impatient, Steered
from testbed.board import Board
from testbed.fixtures import MakeBoard

from edgeprof.progress import Silent
from edgeprof.store import Store
from edgeprof.suite import Suite
from edgeprof.target.ssh.connection import SshConnection

pytestmark = pytest.mark.board
BIG = 1 << 20
"""Columns of the matrix in a file of 16 MB."""
BLOBS = f"{steered.WORKDIR}/blobs"


@pytest.fixture
def desk(tmp_path: Path) -> Impatient:
    return Impatient(tmp_path / "desk")


def blob(desk: Impatient) -> tuple[str, bytes]:
    """The file to profile, and what it is called on a device."""
    data = (desk.root / steered.FILE).read_bytes()
    return hashlib.sha256(data).hexdigest(), data


def error(stdout: str) -> tuple[str, str]:
    """What happened, and the hint."""
    told = json.loads(stdout)["error"]
    return told["what"], told["hint"]


def test_a_full_disk_is_seen_before_anything_is_sent(board: MakeBoard, tmp_path: Path) -> None:
    desk = Impatient(tmp_path / "desk", weights=BIG)
    device = board(**steered.options(tmp_path, disk="64m"))
    desk.add(device)
    device.fill(free=15 << 20)
    what, hint = error(desk.edgeprof(*steered.profile(1), code=5).stdout)
    assert what.startswith("not enough room: 26 MB are needed, 15 MB are free"), what
    assert "edgeprof device clean board" in hint
    assert steered.sent(device) < 1 << 20
    assert not any(part.stat().st_size for part in steered.parts(device))


def test_a_disk_too_full_for_the_agent_itself(board: MakeBoard, desk: Impatient, tmp_path: Path) -> None:
    """`device clean` is the agent's work, so it is no way out here."""
    device = board(**steered.options(tmp_path, disk="24m"))
    desk.add(device)
    device.fill()
    what, hint = error(desk.edgeprof(*steered.profile(1), code=5).stdout)
    assert what.startswith("the agent cannot be written on the device: ")
    assert "No space left on device" in what
    assert f"rm -rf {BLOBS}" in hint
    assert not list(device.path(BLOBS).glob("*.new"))


@pytest.mark.slow
def test_a_disk_that_fills_in_an_upload(board: MakeBoard, tmp_path: Path) -> None:
    desk = Impatient(tmp_path / "desk", weights=BIG)
    device = board(**steered.options(tmp_path, disk="128m", cable=True))
    desk.add(device)
    device.shape(mbit_per_s=50)
    with desk.profiling(2) as command:
        steered.await_part(device, 6 << 20)
        device.fill(free=1 << 20)  # while the upload goes on
        failed = command.end(code=5).error
    assert "the disk is full: 0 MB are free" in failed["what"]
    assert "(17 MB were to be sent" in failed["what"]
    assert "edgeprof device clean board" in failed["hint"]
    assert steered.parts(device), "what has arrived is kept"
    device.unfill()
    device.shape()
    desk.edgeprof(*steered.profile(2))
    assert desk.rounds() == [0, 1]
    assert steered.sent(device) < 1.5 * (desk.root / steered.FILE).stat().st_size


@pytest.mark.slow
def test_a_disk_that_fills_while_measuring(board: MakeBoard, desk: Impatient, tmp_path: Path) -> None:
    """The round that cannot be kept is lost, and it is said; those before are not, and the next run goes on."""
    device = board(**steered.options(tmp_path, disk="64m"))
    desk.add(device)
    runtime = Steered(device)
    runtime.hold(2)
    with desk.profiling(3) as command:
        runtime.await_held(2, command)
        device.fill()
        runtime.go_on(2)
        failed = command.end(code=5).error
    assert "No space left on device" in failed["what"], failed
    assert "edgeprof device clean board" in failed["hint"]
    assert desk.rounds() == [0]
    cleaned = json.loads(desk.edgeprof("device", "clean", "board", "--all", "--json").stdout)
    assert cleaned["files"] > 0, "room can be made on a disk that has none"
    device.unfill()
    again = desk.edgeprof(*steered.profile(3))
    assert "taking up run" in again.stderr
    assert desk.rounds() == [0, 1, 2]
    assert runtime.begun() == 4


def test_a_folder_that_cannot_be_written(board: MakeBoard, desk: Impatient, tmp_path: Path) -> None:
    device = board(**steered.options(tmp_path))
    desk.add(device)
    desk.add(device, "locked", user="edge", workdir="/opt/edgeprof")
    device.read_only()
    what, hint = error(desk.edgeprof(*steered.profile(1), code=5).stdout)
    assert what.startswith(f"the folder {steered.WORKDIR} on the device cannot be written")
    assert "Read-only file system" in what
    assert "workdir" in hint
    device.read_only(False)
    what, hint = error(desk.edgeprof(*steered.profile(1, "locked"), code=5).stdout)
    assert what.startswith("the folder /opt/edgeprof on the device cannot be written")
    assert "Permission denied" in what
    assert 'workdir = "/tmp/edgeprof"' in hint


@pytest.mark.slow
@pytest.mark.parametrize("true", [True, False])
def test_a_half_written_blob_is_continued_if_it_is_one(board: MakeBoard, tmp_path: Path, true: bool) -> None:
    desk = Impatient(tmp_path / "desk", weights=BIG)
    sha, data = blob(desk)
    device = board(**steered.options(tmp_path))
    desk.add(device)
    half = data[: len(data) // 2]
    folder = device.path(BLOBS)
    folder.mkdir(parents=True)
    (folder / f"{sha}.part").write_bytes(half if true else half[:-1] + b"?")
    desk.edgeprof(*steered.profile(1))
    assert (folder / sha).read_bytes() == data
    assert not steered.parts(device)
    sent = steered.sent(device) / len(data)
    assert 0.5 < sent < 0.7 if true else 1.5 < sent < 1.7


@pytest.mark.slow
def test_a_blob_that_changed_on_the_device_is_sent_anew_before_it_is_used(
    board: MakeBoard, desk: Impatient, tmp_path: Path
) -> None:
    sha, data = blob(desk)
    device = board(**steered.options(tmp_path))
    desk.add(device)
    desk.edgeprof(*steered.profile(1))
    changed(device, sha, len(data) // 2)
    again = desk.edgeprof(*steered.profile(1))
    assert "push" in again.stderr
    assert device.path(f"{BLOBS}/{sha}").read_bytes() == data


def changed(device: Board, sha: str, place: int) -> None:
    """Turn one byte of a blob over, as a poor card does."""
    with device.path(f"{BLOBS}/{sha}").open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 0xFF]))


def test_an_agent_that_changed_on_the_device_is_sent_anew(
    board: MakeBoard, desk: Impatient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte at any place of it; half of it, as after a power cut; none of it."""
    device = board(**steered.options(tmp_path))
    desk.add(device)
    monkeypatch.setenv("HOME", str(desk.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    store = Store(desk.root / ".edgeprof")
    named = Suite(desk.root).device("board")

    def greeted() -> str:
        with SshConnection(named, store, Silent()) as connection:
            connection.start_agent()
            return connection.agent_sha

    sha = greeted()
    path = device.path(f"{BLOBS}/{sha}")
    whole = path.read_bytes()
    for place in (0, 20, len(whole) // 3, len(whole) // 2, len(whole) - 20, len(whole) - 1):
        changed(device, sha, place)
        greeted()
        assert path.read_bytes() == whole, place
    for length in (len(whole) // 2, 0):
        path.write_bytes(whole[:length])
        greeted()
        assert path.read_bytes() == whole, length
    store.close()


@pytest.mark.slow
def test_clean_removes_what_is_old_and_nothing_in_use(board: MakeBoard, desk: Impatient, tmp_path: Path) -> None:
    sha, _ = blob(desk)
    device = board(**steered.options(tmp_path))
    desk.add(device)
    runtime = Steered(device)
    runtime.hold(1)
    with desk.profiling(1) as command:
        runtime.await_held(1, command)
        other = Impatient(tmp_path / "other desk")
        other.add(device)
        refused = other.edgeprof("device", "clean", "board", "--all", "--json", code=5)
        assert "it is in use" in refused.stdout
        runtime.go_on(1)
        command.end()
    assert device.path(f"{BLOBS}/{sha}").exists()
    device.ssh(f"touch -d '10 days ago' {BLOBS}/{sha}")
    cleaned = json.loads(desk.edgeprof("device", "clean", "board", "--json").stdout)
    assert (cleaned["files"], cleaned["bytes"]) == (1, (desk.root / steered.FILE).stat().st_size)
    assert not device.path(f"{BLOBS}/{sha}").exists()
    desk.edgeprof("device", "clean", "board", "--all")
    left = [path.name for path in device.path(BLOBS).glob("[!.]*")]
    assert len(left) == 1, "the agent itself"
    desk.edgeprof(*steered.profile(1))
