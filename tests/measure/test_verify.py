"""Test images through the real agent: each part is kept as it ends, nothing runs twice, no fault costs the rest."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import process_tools as processes
import pytest
import tiny_models
from numpy.typing import NDArray

from edgeprof.agent.evaluate import normalised
from edgeprof.agent.runtimes import open_model
from edgeprof.errors import DeviceBusyError, DeviceError, LinkError
from edgeprof.measure import Images, cells, collected, facts, images_key, measure, verify
from edgeprof.progress import Silent
from edgeprof.records import Artifact, Device, Failure, Preprocessing, Run, Tensor, Verified
from edgeprof.store import Store
from edgeprof.target.local import LocalConnection
from edgeprof.target.protocol import Done

HERE = Device(name="localhost", transport="local", threads=(1,))
HOW = Preprocessing(image_size=tiny_models.SIDE, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
SMALL = msgspec.structs.replace(HOW, image_size=4)


class Watched(Silent):
    def __init__(self, at: Callable[[int], None] = lambda done: None) -> None:
        self.totals: list[tuple[str, float]] = []
        self.done, self.at = 0.0, at
        self.notes: list[str] = []

    def start(self, stage: str, total: float) -> None:
        self.totals.append((stage, total))

    def advance(self, stage: str, done: float = 1.0, detail: str = "") -> None:
        self.done += done
        self.at(int(self.done))

    def note(self, text: str) -> None:
        self.notes.append(text)


class Bench:
    """A store, this machine, a measured run, and how often the images were asked for."""

    def __init__(self, root: Path) -> None:
        self.store = Store(root)
        self.connection = LocalConnection(HERE, self.store)
        self.asked: list[int] = []
        self.artifacts: list[Artifact] = []

    def measured(self, *artifacts: Artifact) -> Run:
        self.artifacts = list(artifacts)
        found = facts(self.connection)
        planned, _ = cells(artifacts, HERE, found)
        run = Run(
            run="r1",
            device=HERE.name,
            training="demo",
            plan_sha="",
            suite_sha=None,
            started_at="",
            facts=found,
            method=msgspec.structs.replace(tiny_models.QUICK, min_rounds=1, max_rounds=1),
            cells=tuple(planned),
            test_images="all",
        )
        assert measure(self.store, run, artifacts, HERE, self.connection, Silent()) == []
        return run

    def images(self, count: int, how: Preprocessing = HOW) -> Images:
        side = how.image_size

        def pixels(numbers: Sequence[int]) -> NDArray[np.uint8]:
            self.asked += numbers
            made = [np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8) for number in numbers]
            return np.stack(made)

        return Images(which=tuple(range(3, 3 + count)), preprocessing=how, pixels=pixels)

    def verify(self, run: Run, images: Images, progress: Watched | None = None) -> list[Failure]:
        by_job = {cell.job: images for cell in run.cells}
        return verify(self.store, run, self.artifacts, by_job, HERE, self.connection, progress or Watched())

    def kept(self) -> list[tuple[str, int]]:
        return [(one.job, one.part) for one in self.store.all(Verified.KIND, Verified, run="r1")]

    def stand_in(self, does: str, folder: Path) -> Artifact:
        """A "file" that takes 4 x 4 images and has the stand-in do something."""
        ins = np.linspace(0, 1, 4 * 48, dtype=np.float32).reshape(4, 3, 4, 4)
        contents = {"model.onnx": does.encode()}
        return tiny_models.artifact(self.store, "onnx", contents, tiny_models.samples(ins, None), model=does.split()[0])

    def close(self) -> None:
        self.connection.close()
        self.store.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / ".edgeprof")
    yield made
    made.close()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeprof.measure.images.PART_IMAGES", 2)


@pytest.fixture
def stood_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tiny_models.stand_in(tmp_path, (1, 3, 4, 4))))


def expected(artifact: Artifact, store: Store, images: Images) -> NDArray[np.float32]:
    files = {file.name: str(store.blob(file.sha256)) for file in artifact.files}
    model = open_model(artifact.format, files, 1, "fp32")
    layout = artifact.inputs[0].layout or ""
    sent = [normalised(one, HOW.mean, HOW.std, layout) for one in images.pixels(images.which)]
    return np.stack([np.array(model.run([one[None]])[0][0]) for one in sent])


def with_layout(artifact: Artifact, layout: Any) -> Artifact:
    return msgspec.structs.replace(
        artifact, inputs=(Tensor(name="x", shape=(1, 3, 16, 16), dtype="float32", layout=layout),)
    )


@pytest.mark.usefixtures("small_parts")
def test_all_files_see_the_same_images_and_every_bit_comes_back(bench: Bench) -> None:
    """Two formats with two layouts; the images are prepared once for both."""
    onnx = with_layout(tiny_models.real_artifact(bench.store, "onnx"), "NCHW")
    tflite = with_layout(tiny_models.real_artifact(bench.store, "tflite"), "NHWC")
    run, images, watched = bench.measured(onnx, tflite), bench.images(5), Watched()
    assert bench.verify(run, images, watched) == []
    assert bench.asked == list(images.which), "prepared once, and nothing else"
    assert watched.totals == [("test images", 10.0)]
    assert watched.done == 10
    found = collected(bench.store, run)
    for cell, artifact in zip(run.cells, (onnx, tflite), strict=True):
        which, logits = found[cell.job]
        assert which.tolist() == list(images.which)
        assert logits.tobytes() == expected(artifact, bench.store, images).tobytes()
    record = bench.store.all(Verified.KIND, Verified, run="r1")[0]
    assert (record.threads_used, record.precision_executed, record.agent_sha) == (1, "fp32", bench.connection.agent_sha)
    assert record.runtime[0].isdigit()
    assert not list(bench.store.scratch.iterdir()), "no image is left"


@pytest.mark.usefixtures("small_parts", "stood_in")
def test_what_is_done_is_not_done_again(bench: Bench, tmp_path: Path) -> None:
    run = bench.measured(bench.stand_in("echo", tmp_path))
    images, begun = bench.images(6, SMALL), []

    def stop(done: int) -> None:
        begun.append(done)
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.verify(run, images, Watched(stop))
    assert len(bench.kept()) == 2
    again = Watched()
    assert bench.verify(run, images, again) == []
    assert (again.totals, again.done) == ([("test images", 2.0)], 2)
    assert len(bench.kept()) == 3
    assert bench.verify(run, images, again) == []
    assert len(again.totals) == 1, "nothing was left to do"


@pytest.mark.usefixtures("small_parts", "stood_in")
def test_a_file_that_crashes_is_a_failure_of_the_pass_alone(bench: Bench, tmp_path: Path) -> None:
    bad = bench.stand_in("crash", tmp_path)
    run = bench.measured(bench.stand_in("echo", tmp_path))
    both = [bad, *bench.artifacts]
    run = msgspec.structs.replace(run, cells=tuple(cells(both, HERE, run.facts or facts(bench.connection))[0]))
    bench.artifacts = both
    (failure,) = bench.verify(run, bench.images(6, SMALL))
    job = run.cells[0].job
    assert failure.error.startswith("no outputs on test images: killed by SIGSEGV while running the images of part 1")
    assert "kernel 7 failed" in failure.error
    assert (failure.identity.model, failure.transient) == ("crash", False)
    assert sorted(bench.kept()) == sorted([(job, 0), *((run.cells[1].job, part) for part in range(3))])
    assert bench.store.get(Failure.KIND, images_key(run, job), Failure) == failure
    assert bench.verify(run, bench.images(6, SMALL)) == [], "it is not tried again"


@pytest.mark.usefixtures("small_parts", "stood_in")
def test_an_agent_that_is_lost_is_started_again_with_what_is_left(bench: Bench, tmp_path: Path) -> None:
    run = bench.measured(bench.stand_in("slow", tmp_path))
    lost: list[int] = []

    def lose(done: int) -> None:
        if done == 2 and not lost:
            lost.extend(channel.pid for channel in bench.connection._channels[-1:])
            os.kill(lost[0], signal.SIGKILL)
            processes.await_end(lost[0])

    watched = Watched(lose)
    assert bench.verify(run, bench.images(6, SMALL), watched) == []
    assert "starting the agent again (1 of 3)" in watched.notes[0]
    assert sorted(part for _, part in bench.kept()) == [0, 1, 2]


def test_an_agent_that_never_comes_back_ends_the_pass(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    run = bench.measured(with_layout(tiny_models.real_artifact(bench.store, "onnx"), "NCHW"))

    def gone(name: str) -> Any:
        raise LinkError("no agent")

    monkeypatch.setattr(bench.connection, "open_session", gone)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(LinkError, match="no agent"):
        bench.verify(run, bench.images(2))


@pytest.mark.usefixtures("small_parts", "stood_in")
def test_a_small_disk_holds_a_window_of_images_at_a_time(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the parts, 96 bytes each, two fit into half of what is free; the others follow when these are removed."""
    run = bench.measured(bench.stand_in("echo", tmp_path))
    assert run.facts is not None
    run = msgspec.structs.replace(run, facts=msgspec.structs.replace(run.facts, disk_free_bytes=400))
    pushed: list[set[str]] = []
    forgotten: list[set[str]] = []
    push = bench.connection.push

    def counted(files: Any) -> dict[str, str]:
        pushed.append(set(files))
        return push(files)

    monkeypatch.setattr(bench.connection, "push", counted)
    monkeypatch.setattr(bench.connection, "forget", lambda shas: forgotten.append(set(shas)))
    assert bench.verify(run, bench.images(9, SMALL)) == []
    assert [len(window) for window in forgotten] == [2, 2, 1]
    images = [files for files in pushed if files in forgotten]
    assert images == forgotten, "each window was sent once and then removed"
    assert len(bench.kept()) == 5


@pytest.mark.usefixtures("stood_in")
def test_a_disk_without_room_for_the_images_leaves_what_was_measured(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure of the pass for each file, to be tried again; an error of the link or the lease still ends the run."""
    run, push = bench.measured(bench.stand_in("echo", tmp_path)), bench.connection.push

    def full(error: Exception) -> Callable[[Any], dict[str, str]]:
        def refuse(files: Any) -> dict[str, str]:
            if any(path.suffix == ".npy" for path in files.values()):
                raise error
            return push(files)

        return refuse

    no_room = DeviceError("not enough room: 1 MB to send, 0 MB free", hint="make room there")
    monkeypatch.setattr(bench.connection, "push", full(no_room))
    (failure,) = bench.verify(run, bench.images(2, SMALL))
    assert failure.error == "no outputs on test images: not enough room: 1 MB to send, 0 MB free"
    assert (failure.hint, failure.transient) == ("make room there", True)
    assert not bench.kept()
    monkeypatch.setattr(bench.connection, "push", full(DeviceBusyError("another edgeprof has the device now")))
    with pytest.raises(DeviceBusyError):
        bench.verify(run, bench.images(2, SMALL))
    monkeypatch.setattr(bench.connection, "push", push)
    assert bench.verify(run, bench.images(2, SMALL)) == []
    assert len(bench.kept()) == 1


@pytest.mark.usefixtures("stood_in")
def test_an_agent_that_says_it_is_done_and_is_not_is_a_fault(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be asked for ever."""
    run = bench.measured(bench.stand_in("echo", tmp_path))

    class Empty:
        unfinished = False

        def send(self, call: object) -> None: ...
        def close(self) -> None: ...
        def receive(self, timeout_s: float) -> Done:
            return Done()

    monkeypatch.setattr(bench.connection, "open_session", lambda name: Empty())
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(LinkError, match="the agent ended with images left for 1 files"):
        bench.verify(run, bench.images(2, SMALL))


def test_a_set_that_fits_stays_on_the_device(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    run = bench.measured(with_layout(tiny_models.real_artifact(bench.store, "onnx"), "NCHW"))
    monkeypatch.setattr(bench.connection, "forget", lambda shas: pytest.fail("nothing is to be removed"))
    assert bench.verify(run, bench.images(3)) == []


def test_parts_are_bounded_in_bytes_and_images() -> None:
    def parts(count: int, side: int) -> list[int]:
        images = Images(
            tuple(range(count)), msgspec.structs.replace(HOW, image_size=side), lambda numbers: np.zeros(0, np.uint8)
        )
        return [len(part) for part in images.parts()]

    assert parts(600, 32) == [256, 256, 88]
    assert parts(500, 224) == [222, 222, 56]
    assert parts(2, 4000) == [1, 1]


def test_a_file_that_was_damaged_here_fails_alone(bench: Bench) -> None:
    run = bench.measured(with_layout(tiny_models.real_artifact(bench.store, "onnx"), "NCHW"))
    bench.store.blob(bench.artifacts[0].files[0].sha256).write_bytes(b"damaged")
    (failure,) = bench.verify(run, bench.images(2))
    assert (failure.error_class, failure.transient) == ("damaged", True)
    assert "its sha256 is" in failure.error
