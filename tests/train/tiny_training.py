"""A data set that trains in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from edgeprof.records import Data, Preprocessing, Recipe, Training

SMALL = "test_resnet"


def tiny_training(folder: Path) -> Training:
    """Three classes of noise around a grey; 21 images to train, 9 to test."""
    noise = np.random.default_rng(0)
    root = folder / "bilder für den Test"
    for split, count in (("train", 7), ("test", 3)):
        for label, name in enumerate(("dark", "grey", "light")):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(noise.normal(60 + 70 * label, 25, (24, 24, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{number}.png")
    return Training(
        name="tiny",
        models=(SMALL,),
        data=Data(name="imagefolder", root=str(root)),
        preprocessing=Preprocessing(image_size=32, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
        recipe=Recipe(epochs=3, batch_size=8, horizontal_flip=0.5, auto_augment="rand-m5", random_erasing=0.3),
    )
