"""A file that is right in a program that prepares images or reads outputs otherwise: the program's fault is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from seeded import PREPROCESSING, SIDE
from seeded_fixture import Seeded

from edgeprof.agent import runtimes
from edgeprof.errors import UsageError
from edgeprof.export.explain.outputs import softmax
from edgeprof.export.explain.program import Seen, read_seen
from edgeprof.zoo import images

Floats = NDArray[np.float32]
MEAN, STD = (np.array(one, np.float32).reshape(3, 1, 1) for one in (PREPROCESSING.mean, PREPROCESSING.std))


def prepared(image: Any, change: str) -> Floats:
    """An image as somebody's own program prepares it, with one mistake; written without edgeprof's preparation."""
    crop = 1.0 if change == "crop" else PREPROCESSING.crop_pct
    how = Image.Resampling.NEAREST if change == "interpolation" else Image.Resampling.BICUBIC
    if change == "squash":
        image = image.resize((SIDE, SIDE), how)
    else:
        scale = int(SIDE / crop)
        width, height = image.size
        image = image.resize((int(scale * width / height), scale), how)
        left, top = (round((side - SIDE) / 2) for side in image.size)
        image = image.crop((left, top, left + SIDE, top + SIDE))
    pixels = np.asarray(image, np.float32).transpose(2, 0, 1)
    if change == "BGR":
        pixels = pixels[::-1]
    if change != "bytes":
        pixels = pixels / np.float32(255)
    mean, std = (np.full((3, 1, 1), 0.5, np.float32),) * 2 if change == "mean and std" else (MEAN, STD)
    values = (pixels - mean) / (1 if change == "std" else std)
    if change == "layout":
        values = values.transpose(1, 2, 0).reshape(3, SIDE, SIDE)
    return np.ascontiguousarray(values, np.float32)


MISTAKES = {
    "mean and std": ("preprocessing", "mean 0.5 and std 0.5"),
    "std": ("preprocessing", "no std"),
    "bytes": ("preprocessing", "mean and std of 0..1 on values 0..255"),
    "BGR": ("preprocessing", "channels in the order BGR"),
    "layout": ("layout", "other layout"),
    "crop": ("preprocessing", "crop_pct 1"),
    "interpolation": ("preprocessing", "nearest interpolation"),
    "squash": ("preprocessing", "squashed"),
}


@pytest.fixture(scope="module")
def seen(seeded: Seeded) -> Callable[[str], Seen]:
    """What a program with a mistake gives to the good file and gets from it, for all test images."""
    data = images.open_split(seeded.trained.data, "test")
    model = runtimes.open_model("onnx", {"model.onnx": str(seeded.onnx)}, 1, "fp32")

    def of(change: str) -> Seen:
        inputs = np.stack([prepared(data.image(place), change) for place in range(len(data))])
        outputs = np.stack([np.array(model.run([one[None]])[0][0]) for one in inputs])
        return Seen(inputs, outputs)

    return of


@pytest.mark.parametrize("known", ["inputs", "outputs"])
@pytest.mark.parametrize("mistake", list(MISTAKES))
def test_a_mistake_in_preparing_images_is_named(
    seeded: Seeded, seen: Callable[[str], Seen], mistake: str, known: str
) -> None:
    """By the inputs, or by nothing but the outputs."""
    cause, words = MISTAKES[mistake]
    made = seen(mistake)
    given = Seen(made.inputs, None) if known == "inputs" else Seen(None, made.outputs)
    found = seeded.explain("onnx", {"model.onnx": seeded.onnx}, seen=given)
    assert found.of == "program"
    assert found.cause == cause, found
    assert words in found.findings[0].name
    assert found.mended_top1 == found.top1
    assert "the file itself is right" in found.verdict


def test_a_program_that_does_it_right_has_no_cause(seeded: Seeded, seen: Callable[[str], Seen]) -> None:
    found = seeded.explain("onnx", {"model.onnx": seeded.onnx}, seen=seen("nothing"))
    assert (found.of, found.cause, found.findings) == ("program", "none", ())


def test_softmax_that_a_program_takes_twice_or_not_at_all_is_named(seeded: Seeded, seen: Callable[[str], Seen]) -> None:
    outputs = seen("nothing").outputs
    assert outputs is not None
    files = {"model.onnx": seeded.onnx}
    twice = seeded.explain("onnx", files, seen=Seen(None, softmax(softmax(outputs))))
    assert (twice.cause, twice.findings[0].name) == ("outputs", "softmax twice")
    missing = seeded.explain("onnx", files, probabilities=True)
    assert (missing.cause, missing.findings[0].name) == ("outputs", "softmax missing")
    assert missing.mended_top1 == missing.top1


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({}, "neither in0 nor out0"),
        ({"in0": np.zeros((3, 3, SIDE, SIDE), np.float32)}, "holds 3 images"),
        ({"in0": np.zeros((20, 3, 8, 8), np.float32)}, "the file takes"),
        ({"out0": np.zeros((20, 9), np.float32)}, "the file gives"),
        (None, "no readable .npz"),
    ],
)
def test_arrays_that_are_of_no_use_are_refused_in_words(
    seeded: Seeded, arrays: dict[str, Any] | None, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.npz"
    if arrays is None:
        path.write_bytes(b"no archive")
    else:
        np.savez(path, **arrays)
    with pytest.raises(UsageError, match=words):
        seeded.explain("onnx", {"model.onnx": seeded.onnx}, seen=read_seen(path))
