"""A small coloured image set, a checkpoint that is really trained on it, and files of it with faults seeded.

In the images channel order, crop, aspect and interpolation matter: fine stripes, coloured shapes off the centre, and
sources that are neither square nor of the size that the model takes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgeprof.records import Accuracy, Data, MadeBy, Preprocessing, Trained
from edgeprof.store import Store
from edgeprof.zoo import metrics

MODEL = "test_resnet"
SIDE = 40
COLOURS = {"red": (210, 60, 40), "green": (50, 180, 80), "blue": (50, 80, 220)}
SHAPES = ("disc", "bars")
PREPROCESSING = Preprocessing(
    image_size=SIDE, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), interpolation="bicubic", crop_pct=0.8
)


def draw(colour: str, shape: str, generator: np.random.Generator) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """uint8 [48, 64, 3]: one shape on striped ground."""
    height, width = 48, 64
    rows, columns = np.mgrid[:height, :width]
    stripes = np.where((columns + rows * int(generator.integers(0, 2))) % 3 == 0, 60, 0)
    image = generator.integers(60, 130, size=3) + stripes[..., None] + generator.normal(0, 12, (height, width, 3))
    y, x = generator.integers(14, height - 14), generator.integers(18, width - 18)
    size = int(generator.integers(8, 13))
    if shape == "disc":
        inside = (rows - y) ** 2 + (columns - x) ** 2 < size**2
    else:
        inside = (abs(rows - y) < size) & (abs(columns - x) < size) & ((rows // 3) % 2 == 0)
    image[inside] = np.array(COLOURS[colour]) + generator.normal(0, 25, 3)
    return np.clip(image, 0, 255).astype(np.uint8)


def make_images(root: Path) -> Data:
    """An image folder of six classes."""
    from PIL import Image

    generator = np.random.default_rng(5)
    for split, count in (("train", 40), ("test", 24)):
        for colour in COLOURS:
            for shape in SHAPES:
                folder = root / split / f"{colour}-{shape}"
                folder.mkdir(parents=True)
                for number in range(count):
                    Image.fromarray(draw(colour, shape, generator)).save(folder / f"{number:03}.png")
    return Data(name="imagefolder", root=str(root))


def deaden(module: Any) -> None:
    """Make one channel of each block dead, with large weights: what is left of channels whose variance went to nothing.

    Such channels are what makes one scale for all weights of a layer too coarse (Nagel et al. 2019, arXiv:1906.04721).
    """
    import torch

    for name, norm in module.named_modules():
        if name.endswith(".bn1") and "layer" in name:
            conv = module.get_submodule(name[: -len("bn1")] + "conv1")
            with torch.no_grad():
                conv.weight[0] *= 1500
                norm.bias[0] = -1e4


def train(store: Store, data: Data, model: str = MODEL, epochs: int = 7) -> Trained:
    """A checkpoint of a short but real training, in the store."""
    import torch

    from edgeprof.zoo import checkpoint, images, models

    torch.set_num_threads(1)
    torch.manual_seed(0)
    transform = images.eval_transform(PREPROCESSING)
    arrays = {}
    for split in ("train", "test"):
        opened = images.open_split(data, "train" if split == "train" else "test")
        arrays[split] = torch.stack([transform(opened.image(i)) for i in range(len(opened))]), opened.labels
    inputs, labels = arrays["train"][0], torch.from_numpy(arrays["train"][1])
    module: Any = models.create(model, 6).train()
    optimizer = torch.optim.AdamW(module.parameters(), 4e-3)
    for _ in range(epochs):
        order = torch.randperm(len(inputs))
        for start in range(0, len(inputs), 24):
            chosen = order[start : start + 24]
            loss = torch.nn.functional.cross_entropy(module(inputs[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    module.eval()
    deaden(module)
    with torch.no_grad():
        logits = module(arrays["test"][0]).numpy()
    truth = arrays["test"][1]
    accuracy: Accuracy = metrics.accuracy(truth, logits)
    trained = Trained(
        training="coloured",
        model=model,
        init="scratch",
        seed=0,
        recipe_sha="0" * 64,
        data=data,
        data_sha=images.fingerprint(data),
        checkpoint_sha=store.add_bytes(checkpoint.to_bytes(module.state_dict())),
        classes=images.open_split(data, "test").classes,
        accuracy=accuracy,
        predictions_sha=store.add_bytes(checkpoint.predictions_to_bytes(truth, logits)),
        params=models.count_params(module),
        macs=1,
        preprocessing=PREPROCESSING,
        losses=(1.0,),
        made_by=MadeBy(edgeprof="0", packages={}, machine="", seconds=0.0),
    )
    store.put(Trained.KIND, f"coloured-{model}", trained)
    return trained
