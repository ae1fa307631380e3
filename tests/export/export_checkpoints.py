"""Small checkpoints in a store, as training leaves them, made in seconds without training."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from edgeprof.records import Accuracy, Data, Exporter, MadeBy, Preprocessing, Trained
from edgeprof.store import Store

DIGITS = Data(name="digits")
FP32 = {
    "onnx": Exporter(name="onnx-fp32", format="onnx", precision="fp32"),
    "openvino": Exporter(name="openvino-fp32", format="openvino", precision="fp32"),
    "tflite": Exporter(name="tflite-fp32", format="tflite", precision="fp32", layout="NHWC"),
}


class Told:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.details: list[str] = []

    def start(self, stage: str, total: float) -> None: ...

    def expect(self, stage: str, left: float) -> None: ...

    def advance(self, stage: str, done: float = 1.0, detail: str = "") -> None:
        assert (stage, done) == ("export", 1)
        self.details.append(detail)

    def finish(self, stage: str) -> None: ...

    def note(self, text: str) -> None: ...

    def secret(self, prompt: str) -> str | None:
        return None


def workers_of(store: Store) -> list[int]:
    """Processes of export workers that make a cell of this store."""
    mark = f"TMPDIR={store.scratch.resolve()}/".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if any(one.startswith(mark) for one in (entry / "environ").read_bytes().split(b"\0")):
                    found.append(int(entry.name))
    return found


def eventually(what: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until it is so."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.05)


def settle(module: Any, size: int) -> None:
    """Random weights that behave like trained ones: no gamma is zero, the statistics fit the weights."""
    import torch

    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(part.weight, 0.5, 1.5)
            torch.nn.init.uniform_(part.bias, -0.2, 0.2)
    module.train()
    with torch.no_grad():
        for _ in range(8):
            module(torch.randn(8, 3, size, size))
    module.eval()


def record(**fields: Any) -> Trained:
    """A Trained record of nothing in particular, with these fields."""
    plain: dict[str, Any] = {
        "training": "tests",
        "model": "test_resnet",
        "init": "scratch",
        "seed": 0,
        "recipe_sha": "0" * 64,
        "data": DIGITS,
        "data_sha": "1" * 64,
        "checkpoint_sha": "2" * 64,
        "classes": tuple("0123456789"),
        "accuracy": Accuracy(images=450, top1=0.1, top5=0.5, macro_f1=0.1),
        "predictions_sha": "3" * 64,
        "params": 1,
        "macs": 1,
        "preprocessing": Preprocessing(image_size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        "losses": (1.0,),
        "made_by": MadeBy(edgeprof="0", packages={}, machine="", seconds=0.0),
    }
    return Trained(**{**plain, **fields})


def make_trained(
    store: Store, model: str, size: int = 32, seed: int = 0, change: Callable[[Any], None] | None = None
) -> Trained:
    """A Trained record of `model` with random weights; `change` may alter the module first."""
    import torch

    from edgeprof.zoo import checkpoint, images, models

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    preprocessing = Preprocessing(image_size=size, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    module = models.create(model, 10)
    settle(module, size)
    if change is not None:
        change(module)
    logits, labels = [], []
    with torch.no_grad():
        for batch, numbers in images.test_batches(DIGITS, preprocessing, 64):
            logits.append(module(torch.from_numpy(batch)).numpy())
            labels.append(numbers)
    predictions = checkpoint.predictions_to_bytes(np.concatenate(labels), np.concatenate(logits))
    trained = record(
        model=model,
        seed=seed,
        data_sha=images.fingerprint(DIGITS),
        checkpoint_sha=store.add_bytes(checkpoint.to_bytes(module.state_dict())),
        predictions_sha=store.add_bytes(predictions),
        params=models.count_params(module),
        preprocessing=preprocessing,
    )
    store.put(Trained.KIND, f"{model}-{seed}-{size}", trained)
    return trained
