"""The nine models of the study to the three fp32 formats at 224 px: time, memory, parity, and again from the store.

Run by `make bench`, or alone: `pytest -m bench -s tests/benchmarks/bench_export.py`. Prints tables in Markdown. Weights
are random and behave like trained ones (`export_checkpoints.settle`); parity is over 256 images of noise and digits.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "export"))
from export_checkpoints import FP32, Told, record, settle

from edgeprof.export import export_all
from edgeprof.records import Data, Preprocessing, Trained
from edgeprof.store import Store
from edgeprof.zoo import checkpoint, images, models

pytestmark = pytest.mark.bench

IMAGES, SIZE, CLASSES = 256, 224, 10


def data(folder: Path) -> Data:
    """`IMAGES` test images: a coloured gradient with noise, another for each."""
    numbers = np.random.default_rng(0)
    for split, count in (("train", CLASSES), ("test", IMAGES)):
        for number in range(count):
            where = folder / split / f"class {number % CLASSES}"
            where.mkdir(parents=True, exist_ok=True)
            corners = numbers.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            image = Image.fromarray(corners).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
            noisy = np.clip(np.asarray(image).astype(int) + numbers.normal(0, 20, (SIZE, SIZE, 3)), 0, 255)
            Image.fromarray(noisy.astype(np.uint8)).save(where / f"{number}.png")
    return Data(name="imagefolder", root=str(folder))


def trained(store: Store, model: str, where: Data) -> Trained:
    """A checkpoint with what it says of the test images."""
    import torch

    torch.manual_seed(0)
    how = Preprocessing(image_size=SIZE, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    module = models.create(model, CLASSES)
    settle(module, SIZE)
    labels, logits = [], []
    with torch.no_grad():
        for batch, numbers in images.test_batches(where, how, 32):
            logits.append(module(torch.from_numpy(batch)).numpy())
            labels.append(numbers)
    predictions = checkpoint.predictions_to_bytes(np.concatenate(labels), np.concatenate(logits))
    return record(
        model=model,
        data=where,
        classes=images.open_split(where, "test").classes,
        data_sha=images.fingerprint(where),
        checkpoint_sha=store.add_bytes(checkpoint.to_bytes(module.state_dict())),
        predictions_sha=store.add_bytes(predictions),
        params=models.count_params(module),
        preprocessing=how,
    )


class Watch(threading.Thread):
    """The largest sum of the resident sets of this process's descendants, looked at every half second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.5):
            self.peak_bytes = max(self.peak_bytes, sum(self._sizes()))

    def _sizes(self) -> list[int]:
        import psutil

        found = []
        for one in psutil.Process().children(recursive=True):
            try:
                found.append(int(one.memory_info().rss))
            except psutil.Error:
                continue
        return found


def test_the_study_in_three_formats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, where = Store(tmp_path / "store"), data(tmp_path / "images")
    checkpoints = [trained(store, name, where) for name in models.STUDY]
    pairs = [(one, exporter) for one in checkpoints for exporter in FP32.values()]
    watch = Watch()
    watch.start()
    began = time.monotonic()
    artifacts, failures = export_all(store, pairs, Told())
    took = time.monotonic() - began
    watch.over.set()
    began = time.monotonic()
    again, _ = export_all(store, pairs, Told())
    second = time.monotonic() - began
    with capsys.disabled():
        print(f"\n{len(artifacts)} files of {len(models.STUDY)} models: {took:.0f} s")
        print(f"peak of all workers together: {watch.peak_bytes / 2**30:.2f} GiB; a second time: {second:.1f} s")
        print("\n| model | format | s | MB | largest difference, share of the spread | same class |")
        print("|---|---|---|---|---|---|")
        for one in artifacts:
            assert one.parity is not None
            print(
                f"| {one.model} | {one.format} | {one.made_by.seconds:.0f} | {one.size_bytes / 1e6:.1f} |"
                f" {one.parity.relative_diff:.1e} | {one.parity.top1_agreement:.1%} |"
            )
    assert failures == []
    assert again == artifacts
    assert all(one.parity is not None and one.parity.images == IMAGES for one in artifacts)
    assert all(one.parity is not None and one.parity.relative_diff < 1e-3 for one in artifacts)
    assert all(one.parity is not None and one.parity.top1_agreement == 1.0 for one in artifacts)
