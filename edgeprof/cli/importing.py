"""`edgeprof import`: a checkpoint that was trained elsewhere becomes a candidate like the others."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeprof.cli import console
from edgeprof.cli.app import Options, app
from edgeprof.cli.make import PANEL
from edgeprof.cli.options import AsJson, Wait, model_words, seconds
from edgeprof.errors import UsageError

if TYPE_CHECKING:
    from edgeprof.api import Imported


class DataSet(StrEnum):
    """Data sets by name."""

    digits = "digits"
    imagefolder = "imagefolder"
    cifar10 = "cifar10"
    cifar100 = "cifar100"
    tiny_imagenet = "tiny_imagenet"


class Interpolation(StrEnum):
    """How images are resized."""

    nearest = "nearest"
    bilinear = "bilinear"
    bicubic = "bicubic"


@app.command(
    "import",
    rich_help_panel=PANEL,
    epilog="Examples: `edgeprof import resnet18.safetensors --model resnet18 --classes 5 --data flowers/`,"
    " `edgeprof import net.pth --factory mynet.models:small --data flowers/ --image-size 160 --mean 0.5,0.5,0.5"
    " --std 0.5,0.5,0.5`",
)
@console.reported
def import_(
    context: typer.Context,
    checkpoint: Annotated[Path, typer.Argument(help="Its weights: .safetensors, or a .pth that holds tensors alone.")],
    data: Annotated[
        str,
        typer.Option(help="Folder of the images it is for: ROOT/train/CLASS/ and ROOT/test/CLASS/, or a data set's."),
    ],
    model: Annotated[
        str | None,
        typer.Option(help="Its model: a name of timm, or torchvision:NAME.", autocompletion=model_words),
    ] = None,
    factory: Annotated[
        str | None,
        typer.Option(metavar="MODULE:FUNCTION", help="Instead of --model: a function of yours that makes the module."),
    ] = None,
    classes: Annotated[int | None, typer.Option(min=2, help="How many classes it knows, to be compared.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the recipe to write. Default: the file's.")] = None,
    data_set: Annotated[
        DataSet | None, typer.Option("--data-set", help="Which data set lies there. Default: recognised, told.")
    ] = None,
    train_split: Annotated[str, typer.Option(help="Folder of the training images (they calibrate int8).")] = "train",
    test_split: Annotated[str, typer.Option(help="Folder of the test images.")] = "test",
    image_size: Annotated[int | None, typer.Option(min=8, help="Default, as of all below: the model's own.")] = None,
    mean: Annotated[str | None, typer.Option(help="Of red, green and blue in 0..1: 0.485,0.456,0.406.")] = None,
    std: Annotated[str | None, typer.Option(help="The same for the standard deviation.")] = None,
    interpolation: Annotated[Interpolation | None, typer.Option(help="How images are resized.")] = None,
    crop_pct: Annotated[
        float | None, typer.Option(help="Resize the shorter side to image size / this, then crop the centre.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a recipe of that name.")] = False,
    wait: Wait = "0",
    as_json: AsJson = False,
) -> None:
    """Bring a checkpoint of your own: evaluate it, and write training/NAME.toml for export, run and the report."""
    options: Options = context.obj
    with console.progress() as progress:
        brought = options.api().import_checkpoint(
            checkpoint,
            data=data,
            model=model,
            factory=factory,
            classes=classes,
            name=name,
            data_set=None if data_set is None else data_set.value,
            train_split=train_split,
            test_split=test_split,
            image_size=image_size,
            mean=None if mean is None else _three(mean, "--mean"),
            std=None if std is None else _three(std, "--std"),
            interpolation=None if interpolation is None else interpolation.value,
            crop_pct=crop_pct,
            force=force,
            wait_s=seconds(wait, "--wait"),
            progress=progress,
        )
    _tell(brought, as_json)


def _three(text: str, option: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 3:
        raise UsageError(f"{option} {text!r} is not three numbers", hint=f"{option} 0.485,0.456,0.406")
    return numbers


def _tell(brought: Imported, as_json: bool) -> None:
    from edgeprof.cli import tables

    training, trained = brought.training, brought.trained
    if as_json:
        console.print_json(
            {
                "schema": console.JSON_SCHEMA,
                "training": training.name,
                "file": str(brought.file),
                "preprocessing": training.preprocessing,
                "assumed": brought.assumed,
                "trained": trained,
                "top1": brought.top1,
                "top5": brought.top5,
                "macro_f1": brought.macro_f1,
            }
        )
    else:
        known = training.preprocessing
        given = "the default" if training.models[0].startswith("factory:") else "as the model's library publishes it"
        print(f"{'model':<14} {training.models[0]}, {len(brought.classes)} classes")
        where = f" in {training.data.root}" if training.data.root else ""
        print(f"{'data':<14} {training.data.name}{where}, {brought.images} test images")
        for key in ("image_size", "mean", "std", "interpolation", "crop_pct"):
            value = getattr(known, key)
            shown = ", ".join(f"{one:g}" for one in value) if isinstance(value, tuple) else f"{value}"
            from_where = "" if key not in brought.assumed else f"  ({given})"
            print(f"{key:<14} {shown}{from_where}")
        for label, one in (("top-1", brought.top1), ("top-5", brought.top5), ("macro F1", brought.macro_f1)):
            print(f"{label:<14} {tables.percent(one.value)}  ({tables.percent(one.low)} to {tables.percent(one.high)})")
        print(f"{'written':<14} {console.shown_path(brought.file)}")
    if trained.accuracy.top1 < 2 / len(brought.classes):
        console.say(
            "warning: this is hardly better than guessing; are the classes in another order, or the images prepared"
            " in another way, than in its training?"
        )
    console.say(f"next: edgeprof run --training {shlex.quote(training.name)} --device localhost")
