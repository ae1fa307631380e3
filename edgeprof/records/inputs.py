"""What the suite's files say."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgeprof.records.base import Record

Format = Literal["onnx", "openvino", "tflite"]
Precision = Literal["fp32", "fp16", "int8", "dynamic-int8"]


class Data(Record):
    """Which images: a data set by name and, except for `digits`, the folder it lies in."""

    name: Literal["digits", "imagefolder", "cifar10", "cifar100", "tiny_imagenet"]
    root: str | None = None
    train_split: str = "train"
    test_split: str = "test"
    classes: tuple[str, ...] | None = None
    """Only these, by name; None: all of them."""
    train_per_class: int | None = None
    """Only so many training images of each class, by a draw that never changes; None: all of them."""


class Preprocessing(Record):
    """How an image becomes the input tensor: resize, centre crop, scale to 0..1, normalise. Layout is the input's."""

    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    crop_pct: float = 1.0
    color: Literal["RGB"] = "RGB"


class Recipe(Record):
    """The hyperparameters that all models of a training share."""

    epochs: int
    """0: the weights are evaluated as they come."""
    batch_size: int
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    schedule: str = "cosine"
    warmup_epochs: int = 1
    min_learning_rate: float = 1e-6
    label_smoothing: float = 0.1
    crop_scale: tuple[float, float] = (0.8, 1.0)
    crop_ratio: tuple[float, float] = (0.9, 1.1)
    horizontal_flip: float = 0.0
    auto_augment: str | None = None
    random_erasing: float = 0.0
    clip_grad: float | None = None


class Training(Record):
    """One file of `training/`: which models, how trained, on what data."""

    name: str
    description: str = ""
    models: tuple[str, ...]
    inits: tuple[str, ...] = ("scratch",)
    seeds: tuple[int, ...] = (0,)
    exporters: tuple[str, ...] | None = None
    """Its deployable forms; None: the device's, else all of the suite."""
    data: Data
    preprocessing: Preprocessing
    recipe: Recipe


class Exporter(Record):
    """One file of `exporters/`: a deployable form, format x precision."""

    name: str
    description: str = ""
    format: Format
    precision: Precision
    opset: int | None = None
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    activations: Literal["int8", "uint8"] | None = None
    """Type of quantized activations, where the format offers a choice; None: the format's own."""
    per_channel: bool = True
    """Whether quantized weights have a scale for each output channel, else one for each tensor."""
    calibration_images: int = 128
    """For static int8: how many training images the ranges of the activations are taken from."""
    calibration_seed: int = 0
    """Of the draw of these images."""
    keep_float: tuple[str, ...] = ()
    """Operator types that stay in 32-bit floats, by the format's own names."""
    preset: str | None = None
    """Of the quantizer, where it has presets (NNCF: `performance`, `mixed`)."""
    architectures: tuple[str, ...] = ()
    """Device architectures that it is made for; it is left out elsewhere unless it is asked for by name. (): any."""
    max_abs_diff: float | None = None
    """Parity: the largest allowed difference from the checkpoint's logits, as a share of their spread (max - min);
    None: what the precision keeps, see `export.verify.LIMITS`; in 8 bits any, as accuracy tells the loss."""
    min_top1_agreement: float | None = None
    """Parity: the smallest allowed share of test images on which file and checkpoint name the same class; None: as
    above."""


class Device(Record):
    """One file of `devices/`: a board and how to reach it."""

    name: str
    description: str = ""
    transport: Literal["local", "ssh"]
    host: str | None = None
    port: int | None = None
    user: str | None = None
    key_file: str | None = None
    password_env: str | None = None
    """Name of the environment variable that holds the password, or the passphrase of the key."""
    known_hosts: str | None = None
    """Further host keys; a suite fills in its own `devices/known_hosts`."""
    python: str | None = None
    workdir: str | None = None
    """On the device, for what edgeprof keeps there; None: `~/.cache/edgeprof`."""
    lease: str | None = None
    """Folder on the device of the file that says who measures; None: one that all its users share."""
    provision: Literal["auto", "never"] = "auto"
    """Whether the runtimes are brought to the device, or its Python is used as it is."""
    governor: str | None = None
    """Set for the time of a measurement, and put back."""
    nvpmodel: int | None = None
    """The power mode of a Jetson, by number; set for the time of a measurement, and put back."""
    threads: tuple[int | Literal["all"], ...] = (1, "all")
    cores: tuple[int, ...] | Literal["big", "little"] | None = None
    """What to bind the measured process to: cores by number, or the fastest or slowest kind of core."""
    exporters: tuple[str, ...] | None = None
    providers: dict[Format, str] = msgspec.field(default_factory=dict)
    """Format -> where its graphs are to run; a format that is not named runs on the processor: for onnx an execution
    provider (`CUDAExecutionProvider`), for openvino a device (`GPU`), for tflite `XNNPACK` or `none`."""
    tags: tuple[str, ...] = ()

    @property
    def state(self) -> dict[str, str | int]:
        """What is to be set on the device for the time of a measurement."""
        asked: dict[str, str | int | None] = {"governor": self.governor, "nvpmodel": self.nvpmodel}
        return {key: value for key, value in asked.items() if value is not None}
