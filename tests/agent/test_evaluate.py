"""Test images on a device: the very floats of the host's transform go in, every bit of the logits comes out."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tiny_models
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import convert
from numpy.typing import NDArray

from edgeprof.agent.evaluate import normalised, read_pixels
from edgeprof.agent.runtimes import open_model
from edgeprof.agent.samples import RoundError
from edgeprof.agent.supervisor import Supervisor
from edgeprof.records import Format, Preprocessing
from edgeprof.target.build import agent_bytes
from edgeprof.target.protocol import Evaluated, Failed
from edgeprof.zoo.images import Dataset, eval_transform
from edgeprof.zoo.pixels import pixels

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIDE = tiny_models.SIDE


def images_of(count: int, side: int = SIDE, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8)


# --- the floats that go in

SHARES = st.floats(0, 1)
DEVIATIONS = st.floats(0.01, 2)


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from(["nearest", "bilinear", "bicubic"]),
    st.tuples(SHARES, SHARES, SHARES),
    st.tuples(DEVIATIONS, DEVIATIONS, DEVIATIONS),
    st.sampled_from([1.0, 0.875, 0.95]),
    st.tuples(st.integers(8, 60), st.integers(8, 60)),
    st.sampled_from([16, 24]),
)
def test_a_device_normalises_to_the_bits_of_the_hosts_transform(
    interpolation: Literal["nearest", "bilinear", "bicubic"],
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    crop: float,
    size: tuple[int, int],
    side: int,
) -> None:
    how = Preprocessing(image_size=side, mean=mean, std=std, interpolation=interpolation, crop_pct=crop)
    given_ = np.random.default_rng(size[0]).integers(0, 256, (2, *size, 3), np.uint8)
    dataset = Dataset(classes=("a", "b"), labels=np.array([0, 1], np.int64), pixels=given_)
    sent = pixels(dataset, how, [0, 1])
    assert (sent.dtype.name, sent.shape) == ("uint8", (2, side, side, 3))
    for number in (0, 1):
        wanted = eval_transform(how)(dataset.image(number)).numpy()
        got = normalised(sent[number], mean, std, "NCHW")
        assert got.flags["C_CONTIGUOUS"]
        assert (got.dtype, got.tobytes()) == (wanted.dtype, wanted.tobytes())
        assert normalised(sent[number], mean, std, "NHWC").tobytes() == wanted.transpose(1, 2, 0).tobytes()


def test_every_value_of_a_pixel_becomes_the_same_float_on_host_and_device() -> None:
    ramp = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    how = Preprocessing(image_size=16, mean=MEAN, std=STD)
    dataset = Dataset(classes=("a", "b"), labels=np.array([0], np.int64), pixels=ramp)
    wanted = eval_transform(how)(dataset.image(0)).numpy()
    assert normalised(ramp[0], MEAN, STD, "NCHW").tobytes() == wanted.tobytes()


@pytest.mark.parametrize("what", [b"", b"no images", b"\x93NUMPY\x01\x00"])
def test_what_is_no_file_of_images_is_refused(tmp_path: Path, what: bytes) -> None:
    (tmp_path / "x").write_bytes(what)
    with pytest.raises(RoundError, match="the images cannot be read"):
        read_pixels(str(tmp_path / "x"))


def test_an_array_that_is_no_images_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 4, 4, 3), np.float32))
    with pytest.raises(RoundError, match="these are no images: float32"):
        read_pixels(str(tmp_path / "x.npy"))


# --- the logits that come out


Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Asks an agent about parts of images; its events."""
    program = tmp_path / "agent.zip"
    program.write_bytes(agent_bytes())

    def evaluate(cell: dict[str, Any], parts: list[NDArray[np.uint8]], layout: str = "NCHW", **more: Any) -> Any:
        events: list[dict[str, Any]] = []
        told = []
        for number, part in enumerate(parts):
            np.save(tmp_path / f"part-{number}.npy", part)
            told.append({"part": number, "images": str(tmp_path / f"part-{number}.npy")})
        call = {"job": "j", "cell": cell, "layout": layout, "mean": MEAN, "std": STD, "parts": told, "timeout_s": 30.0}
        Supervisor(str(program), events.append, None).evaluate({**call, **more})
        return events

    return evaluate


def cell_of(format: str, files: dict[str, Path], **more: Any) -> dict[str, Any]:
    made = {"format": format, "precision": "fp32", "threads": 1, "cores": None, "provider": None, "site": []}
    return {**made, "files": {name: str(path) for name, path in files.items()}, "samples": None, **more}


def logits(event: dict[str, Any]) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(event["logits"]), "<f4").reshape(event["images"], event["classes"])


@pytest.mark.parametrize("format", ["onnx", "openvino", "tflite"])
def test_the_logits_of_every_image_are_those_of_the_file(ask: Ask, format: Format) -> None:
    files = tiny_models.files(format)
    parts = [images_of(5), images_of(2, seed=1)]
    layout = "NHWC" if format == "tflite" else "NCHW"
    *told, done = ask(cell_of(format, files), parts, layout)
    assert done == {"event": "done"}
    assert [convert(one, Evaluated).part for one in told] == [0, 1]
    assert {(one["job"], one["precision_executed"], one["threads_used"]) for one in told} == {("j", "fp32", 1)}
    model = open_model(format, {name: str(path) for name, path in files.items()}, 1, "fp32")
    for event, part in zip(told, parts, strict=True):
        wanted = [np.array(model.run([normalised(one, MEAN, STD, layout)[None]])[0][0]) for one in part]
        assert logits(event).tobytes() == np.stack(wanted).tobytes()


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """A cell that has the stand-in runtime, for images of 4 x 4 pixels, do something."""
    monkeypatch.setenv("PYTHONPATH", str(tiny_models.stand_in(tmp_path, (1, 3, 4, 4))))

    def make(does: str) -> dict[str, Any]:
        (tmp_path / "model").write_text(does)
        return cell_of("onnx", {"model.onnx": tmp_path / "model"})

    return make


PARTS = [images_of(2, 4, seed) for seed in range(3)]
"""The stand-in's "crash" comes with the fourth image."""


def test_a_crash_keeps_the_parts_before_it_and_says_in_which_it_was(ask: Ask, stand_in: Any) -> None:
    first, failed, done = ask(stand_in("crash"), PARTS)
    assert (first["event"], first["part"]) == ("evaluated", 0)
    told = convert(failed, Failed)
    assert (told.error_class, told.round, told.transient) == ("crash", 1, False)
    assert "killed by SIGSEGV while running the images of part 1" in told.message
    assert told.stderr == ("kernel 7 failed",)
    assert done["event"] == "done"


def test_a_process_killed_by_others_is_started_again(ask: Ask, stand_in: Any, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    mark.touch()
    told = ask(stand_in(f"killed-once {mark}"), PARTS)
    assert [one["event"] for one in told] == ["evaluated"] * 3 + ["done"]
    assert not mark.exists()


FAULTS = [
    ("hang", "hang", "not finished within 1 s; it was running the images of part 0"),
    ("raise", "error", "INVALID_ARGUMENT : the kernel says no"),
    ("foreign", "error", "^this is no model$"),
    ("exit", "crash", "exit status 3"),
    ("other-threads", "error", "took 2 threads, asked were 1"),
]


@pytest.mark.parametrize(("does", "kind", "text"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_a_fault_is_told_and_the_agent_goes_on(ask: Ask, stand_in: Any, does: str, kind: str, text: str) -> None:
    failed, done = ask(stand_in(does), PARTS, timeout_s=1.0 if does == "hang" else 30.0)
    assert failed["error_class"] == kind
    assert re.search(text, failed["message"])
    assert done == {"event": "done"}


def test_nan_comes_through_as_it_is(ask: Ask, stand_in: Any) -> None:
    told, _ = ask(stand_in("nan"), PARTS[:1])
    assert np.isnan(logits(told)).all()


@pytest.mark.parametrize(("side", "layout"), [(5, "NCHW"), (4, "NHWC")])
def test_images_that_the_file_does_not_take_are_a_failure(ask: Ask, stand_in: Any, side: int, layout: str) -> None:
    failed, _ = ask(stand_in("echo"), [images_of(1, side)], layout)
    assert "the file takes [((1, 3, 4, 4), 'float32')], an image is float32" in failed["message"]
