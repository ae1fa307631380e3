"""Sending files to the device's receiver: byte for byte, once, taken up where it stopped, or a clear no."""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import process_tools as processes
import pytest
from receivers import Pipes

from edgeprof.errors import DeviceBusyError, DeviceError, LinkError, RecordError
from edgeprof.progress import Silent
from edgeprof.target.ssh.push import push

MB = 10**6


class Steps(Silent):
    """What was told of the progress."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float]] = []

    def start(self, stage: str, total: float) -> None:
        self.told.append(("start", total))

    def advance(self, stage: str, done: float = 1.0, detail: str = "") -> None:
        self.told.append(("advance", done))

    def finish(self, stage: str) -> None:
        self.told.append(("finish", 0.0))

    def note(self, text: str) -> None:
        self.told.append((text, 0.0))


def made(folder: Path, *sizes: int, seed: int = 1) -> dict[str, Path]:
    """Files of these sizes with bytes of their own."""
    random_bytes = random.Random(seed)
    files = {}
    folder.mkdir(exist_ok=True)
    for number, size in enumerate(sizes):
        data = random_bytes.randbytes(size)
        path = folder / f"{seed}-{number}"
        path.write_bytes(data)
        files[hashlib.sha256(data).hexdigest()] = path
    return files


def send(stream: Pipes, files: Mapping[str, Path], steps: Silent | None = None, fence: int | None = None) -> None:
    push(stream, files, fence=fence, lease=None, device="pi", progress=steps or Silent())


def stored(workdir: Path) -> dict[str, bytes]:
    """Whole blobs by name."""
    return {path.name: path.read_bytes() for path in (workdir / "blobs").iterdir() if len(path.name) == 64}


def assert_there(workdir: Path, files: Mapping[str, Path]) -> None:
    found = stored(workdir)
    for sha, path in files.items():
        assert found[sha] == path.read_bytes()
    for name, data in found.items():
        assert hashlib.sha256(data).hexdigest() == name
    assert not list((workdir / "blobs").glob("*.part"))


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """With a space and letters beyond ASCII, not there yet."""
    return tmp_path / "my süite – 試" / "edgeprof"


def test_files_of_all_sizes_arrive_byte_for_byte(workdir: Path, tmp_path: Path) -> None:
    files = made(tmp_path / "here", 0, 1, 3 * MB, 261632, 261633, 10, 65536)
    steps = Steps()
    with Pipes(workdir) as stream:
        send(stream, files, steps)
    assert_there(workdir, files)
    total = sum(path.stat().st_size for path in files.values()) / MB
    assert steps.told[0] == ("start", math.ceil(total))
    assert sum(done for what, done in steps.told if what == "advance") == pytest.approx(total)
    assert steps.told[-1] == ("finish", 0.0)


@pytest.mark.parametrize("sizes", [(20 * MB,), (300,) * 40, (10_000,) * 1000])
def test_a_second_push_moves_next_to_nothing(workdir: Path, tmp_path: Path, sizes: tuple[int, ...]) -> None:
    files = made(tmp_path / "here", *sizes)
    with Pipes(workdir) as stream:
        send(stream, files)
    steps = Steps()
    with Pipes(workdir) as stream:
        send(stream, files, steps)
        assert stream.written + stream.read < 10_000
    assert steps.told == []
    assert_there(workdir, {sha: files[sha] for sha in files})


def test_many_files_with_a_new_one_among_them_send_that_one(workdir: Path, tmp_path: Path) -> None:
    files = made(tmp_path / "here", *[2000] * 100)
    with Pipes(workdir) as stream:
        send(stream, files)
    files |= made(tmp_path / "here", 5000, seed=2)
    with Pipes(workdir) as stream:
        send(stream, files)
        assert stream.written < 5000 + 101 * 100
    assert_there(workdir, files)


@pytest.mark.parametrize("kill", [False, True], ids=["link cut", "receiver killed"])
@pytest.mark.parametrize("seed", range(6))
def test_a_push_cut_anywhere_is_taken_up(workdir: Path, tmp_path: Path, seed: int, kill: bool) -> None:
    """Whatever was cut however often: the bytes are right, and what had arrived is not sent again."""
    cuts = random.Random(seed)
    files = made(tmp_path / "here", 2 * MB, 5, 700_000, 0, 300_000, seed=seed)
    total = sum(path.stat().st_size for path in files.values())
    for _ in range(4):
        before = sum(path.stat().st_size for path in workdir.glob("blobs/*"))
        stream = Pipes(workdir, cut_after=cuts.randrange(1, total // 2), kill=kill)
        with stream:
            try:
                send(stream, files)
            except LinkError:
                pass
            else:
                break
        after = sum(path.stat().st_size for path in workdir.glob("blobs/*"))
        if not kill:
            # All that left us has arrived, but for the question itself.
            assert after - before > stream.written - 1000
        for name, data in stored(workdir).items():
            assert hashlib.sha256(data).hexdigest() == name
    left = total - sum(path.stat().st_size for path in workdir.glob("blobs/*") if not path.name.startswith("."))
    with Pipes(workdir) as stream:
        send(stream, files)
        assert stream.written < left + 1000
    assert_there(workdir, files)


def test_a_half_file_that_was_damaged_is_sent_anew(workdir: Path, tmp_path: Path) -> None:
    files = made(tmp_path / "here", 3 * MB)
    with Pipes(workdir, cut_after=2 * MB) as stream, pytest.raises(LinkError):
        send(stream, files)
    (part,) = workdir.glob("blobs/*.part")
    assert part.stat().st_size > MB
    flip(part, 4711)
    with Pipes(workdir) as stream:
        send(stream, files)
        assert stream.written > 3 * MB
    assert_there(workdir, files)


@pytest.mark.parametrize("size", [3 * MB, 3 * MB + 1, 4 * MB])
def test_a_half_file_that_is_no_half_is_not_believed(workdir: Path, tmp_path: Path, size: int) -> None:
    files = made(tmp_path / "here", 3 * MB)
    (sha,) = files
    (workdir / "blobs").mkdir(parents=True)
    (workdir / "blobs" / f"{sha}.part").write_bytes(bytes(size))
    with Pipes(workdir) as stream:
        send(stream, files)
    assert_there(workdir, files)


def test_a_whole_half_file_is_not_sent_again(workdir: Path, tmp_path: Path) -> None:
    """The receiver was killed between the last byte and the name."""
    files = made(tmp_path / "here", 3 * MB)
    ((sha, path),) = files.items()
    (workdir / "blobs").mkdir(parents=True)
    (workdir / "blobs" / f"{sha}.part").write_bytes(path.read_bytes())
    with Pipes(workdir) as stream:
        send(stream, files)
        assert stream.written < 1000
    assert_there(workdir, files)


def test_a_file_changed_on_the_device_is_found_and_replaced(workdir: Path, tmp_path: Path) -> None:
    """One byte, also of a file among many that are asked for by their list."""
    files = made(tmp_path / "here", *[3000] * 80)
    with Pipes(workdir) as stream:
        send(stream, files)
    flip(workdir / "blobs" / next(iter(files)), 1234)
    with Pipes(workdir) as stream:
        send(stream, files)
        assert stream.written < 3000 + 10_000
    assert_there(workdir, files)


def test_a_link_in_place_of_a_blob_is_not_followed(workdir: Path, tmp_path: Path) -> None:
    files = made(tmp_path / "here", 3000)
    ((sha, path),) = files.items()
    (workdir / "blobs").mkdir(parents=True)
    (workdir / "blobs" / sha).symlink_to(path)
    with Pipes(workdir) as stream:
        send(stream, files)
    assert not (workdir / "blobs" / sha).is_symlink()
    assert_there(workdir, files)


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_a_file_that_changed_here_is_told_and_not_kept_there(workdir: Path, tmp_path: Path) -> None:
    files = made(tmp_path / "here", 500_000, 600_000)
    first, second = files.values()
    flip(first, 3)
    with Pipes(workdir) as stream, pytest.raises(RecordError, match=r"changed or damaged.*sha256 is") as told:
        send(stream, files)
    assert told.value.where == str(first)
    assert told.value.hint is not None
    assert set(stored(workdir)) == {hashlib.sha256(second.read_bytes()).hexdigest()}
    flip(first, 3)
    with Pipes(workdir) as stream:
        send(stream, files)
        assert stream.written < 501_000
    assert_there(workdir, files)


def test_a_file_that_shrinks_meanwhile_is_told(workdir: Path, tmp_path: Path) -> None:
    files = made(tmp_path / "here", 2 * MB)
    (path,) = files.values()

    class Late(Pipes):
        def write(self, data: bytes | memoryview) -> None:
            super().write(data)
            os.truncate(path, MB)

    with Late(workdir) as stream, pytest.raises(RecordError, match="shorter"):
        send(stream, files)
    assert stored(workdir) == {}


def test_a_file_that_is_gone_here_is_told_before_anything_is_sent(workdir: Path, tmp_path: Path) -> None:
    files = made(tmp_path / "here", 10)
    next(iter(files.values())).unlink()
    with Pipes(workdir) as stream, pytest.raises(RecordError, match="No such file"):
        send(stream, files)
    assert stream.written == 0


def test_a_newcomer_ends_a_receiver_whose_host_is_silent(workdir: Path, tmp_path: Path) -> None:
    """Its link may be dead without anybody having noticed. What it got is kept."""
    files = made(tmp_path / "here", 2 * MB)
    ((sha, path),) = files.items()
    with Pipes(workdir) as silent:
        silent.write(b'{"call":"receive"}\n')
        silent.write(json.dumps({"files": [[sha, 2 * MB]], "fence": None, "lease": None}).encode() + b"\n")
        silent.read_line(20)
        silent.write(path.read_bytes()[:MB])
        part = workdir / "blobs" / f"{sha}.part"
        processes.await_value(lambda: (part.exists() and part.stat().st_size == MB) or None)
        with Pipes(workdir) as stream:
            send(stream, files)
            assert stream.written < MB + 1000
        assert json.loads(silent.read_line(20))["kind"] == "busy"
        processes.await_end(silent.process.pid)
    assert_there(workdir, files)


def test_the_agent_answers_calls_again_after_a_transfer(workdir: Path, tmp_path: Path) -> None:
    """Also one that came in the same piece as the transfer's end."""
    files = made(tmp_path / "here", 3 * MB)
    with Pipes(workdir) as stream:
        send(stream, files)
        stream.write(b'{"call":"hello"}\n{"call":"receive"}\n{"end":true}\n{"call":"hello"}\n')
        assert [json.loads(stream.read_line(20))["event"] for _ in range(2)] == ["hello", "hello"]
        send(stream, files)


def test_a_host_whose_transfer_was_taken_over_is_told(workdir: Path, tmp_path: Path) -> None:
    files = made(tmp_path / "here", 3 * MB)

    class Late(Pipes):
        """Just before its first bytes another host comes."""

        def write(self, data: bytes | memoryview) -> None:
            if len(data) > 1000 and not self.other:
                self.other = True
                with Pipes(workdir) as stream:
                    send(stream, files)
            super().write(data)

        other = False

    with Late(workdir) as stream, pytest.raises(DeviceBusyError, match="taken over"):
        send(stream, files)
    assert_there(workdir, files)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_what_does_not_fit_is_not_begun(small_disk: Path, tmp_path: Path) -> None:
    files = made(tmp_path / "here", 20 * MB)
    steps = Steps()
    with Pipes(small_disk / "w") as stream:
        with pytest.raises(DeviceError, match=r"not enough room: 29 MB are needed, 25 MB are free") as told:
            send(stream, files, steps)
        assert stream.written < 1000
    assert told.value.hint == "make room there: edgeprof device clean pi"
    assert not told.value.transient
    assert steps.told == []


def test_a_disk_that_fills_up_meanwhile_is_told(small_disk: Path, tmp_path: Path) -> None:
    """And what arrived is kept: with room again the rest follows."""
    files = made(tmp_path / "here", 15 * MB)
    filler = small_disk / "filler"

    class Filling(Pipes):
        """Somebody else fills the disk when half is sent."""

        def write(self, data: bytes | memoryview) -> None:
            if self.written > 5 * MB and not filler.exists():
                with filler.open("wb", buffering=0) as file, suppress(OSError):
                    while file.write(bytes(1 << 16)):
                        pass
            super().write(data)

    with Filling(small_disk / "w") as stream, pytest.raises(DeviceError, match=r"the disk is full.*16 MB") as told:
        send(stream, files)
    assert told.value.hint == "make room there: edgeprof device clean pi"
    filler.unlink()
    with Pipes(small_disk / "w") as stream:
        send(stream, files)
        assert stream.written < 11 * MB
    assert_there(small_disk / "w", files)


@pytest.mark.parametrize("begun", [False, True])
def test_a_disk_that_cannot_be_written_is_told(small_disk: Path, tmp_path: Path, begun: bool) -> None:
    files = made(tmp_path / "here", MB)
    if begun:
        with Pipes(small_disk / "w") as stream:
            send(stream, made(tmp_path / "here", 1000, seed=5))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with Pipes(small_disk / "w") as stream, pytest.raises(DeviceError, match="Read-only") as told:
        send(stream, files)
    assert told.value.hint == "name a folder that can be written as workdir in devices/pi.toml"


def test_a_late_writer_is_refused(workdir: Path, tmp_path: Path) -> None:
    """A fence that is not the lease's any more: nothing is taken in."""
    files = made(tmp_path / "here", 1000)
    with Pipes(workdir) as stream, pytest.raises(DeviceBusyError):
        push(stream, files, fence=7, lease=str(tmp_path), device="pi", progress=Silent())
    assert stored(workdir) == {}


class Odd:
    """A device that says what it likes."""

    def __init__(self, *lines: bytes) -> None:
        self.lines = list(lines)

    def write(self, data: bytes | memoryview) -> None:
        pass

    def read_line(self, timeout_s: float) -> bytes:
        if not self.lines:
            raise LinkError("ended")
        return self.lines.pop(0)

    def ready(self) -> bool:
        return False


@pytest.mark.parametrize(
    "lines",
    [
        (b"Welcome to the board!",),
        (b'{"event":"received","damaged":[]}',),
        (b'{"event":"have","offsets":{},"whole":false,"free_bytes":1e3}',),
        (b'{"event":"have","offsets":{"SHA":-1},"whole":false,"free_bytes":100000000}',),
        (b'{"event":"have","offsets":{"SHA":1001},"whole":false,"free_bytes":100000000}',),
        (b'{"event":"have","offsets":{},"whole":true,"free_bytes":0}', b'{"event":"received","damaged":["../../x"]}'),
        (b'{"event":"have","offsets":{},"whole":true,"free_bytes":0}', b'{"event":"unknown"}'),
        (b'{"event":"have","offsets":{},"whole":true,"free_bytes":0}',),
    ],
)
def test_a_device_that_answers_nonsense_is_no_traceback(tmp_path: Path, lines: tuple[bytes, ...]) -> None:
    files = made(tmp_path / "here", 1000)
    sha = next(iter(files)).encode()
    with pytest.raises(LinkError):
        push(
            Odd(*(line.replace(b"SHA", sha) for line in lines)),
            files,
            fence=None,
            lease=None,
            device="pi",
            progress=Silent(),
        )


def test_a_disk_that_changes_what_is_written_is_told(tmp_path: Path) -> None:
    files = made(tmp_path / "here", 1000)
    have = b'{"event":"have","offsets":{},"whole":false,"free_bytes":100000000}'
    bad = json.dumps({"event": "received", "damaged": list(files)}).encode()
    with pytest.raises(DeviceError, match="do not arrive as they were sent"):
        push(Odd(have, bad, have, bad), files, fence=None, lease=None, device="pi", progress=Silent())
