"""`edgeprof import`: a checkpoint that was trained elsewhere becomes a candidate like the others."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeprof.cli import console
from edgeprof.cli.app import Options, app
from edgeprof.cli.make import PANEL
from edgeprof.cli.options import AsJson, Wait, model_words, seconds
from edgeprof.cli.writing import suite_to_write
from edgeprof.errors import UsageError

if TYPE_CHECKING:
    from edgeprof.pipeline.bring import Brought, Evaluated
    from edgeprof.suite import Suite


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
    from edgeprof.pipeline import bring

    options: Options = context.obj
    said: dict[str, Any] = {
        "image_size": image_size,
        "mean": None if mean is None else _three(mean, "--mean"),
        "std": None if std is None else _three(std, "--std"),
        "interpolation": interpolation and interpolation.value,
        "crop_pct": crop_pct,
    }
    brought = bring.bring(
        checkpoint.expanduser(),
        _model(model, factory),
        bring.data_at(data, data_set and data_set.value, train_split, test_split),
        name=name,
        classes=classes,
        said={key: value for key, value in said.items() if value is not None},
    )
    suite = options.suite()
    _check_free(suite, brought, force)
    store = options.store()
    with (
        store.lock(f"edgeprof import {brought.training.name}", seconds(wait, "--wait")),
        console.progress() as progress,
    ):
        evaluated = bring.evaluate(suite, store, brought, progress)
    _tell(brought, evaluated, _written(options, brought), as_json)


def _model(model: str | None, factory: str | None) -> str:
    if (model is None) == (factory is None):
        raise UsageError("say what it is the checkpoint of: --model NAME, or --factory MODULE:FUNCTION")
    return str(model) if factory is None else f"factory:{factory}"


def _three(text: str, option: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 3:
        raise UsageError(f"{option} {text!r} is not three numbers", hint=f"{option} 0.485,0.456,0.406")
    return numbers


def _check_free(suite: Suite, brought: Brought, force: bool) -> None:
    """Another recipe does not lose its name; the same import again is no other recipe. Before anything is made."""
    from edgeprof import suite_files

    wanted = brought.training
    text = suite_files.training_text(suite.root, wanted)  # checks it
    path = suite.root / "training" / f"{wanted.name}.toml"
    if not force and path.exists() and path.read_text(encoding="utf-8", errors="replace") != text:
        raise UsageError(
            f"there is a training {wanted.name!r} already",
            where=str(path),
            hint="choose another --name, or replace it with --force",
        )


def _written(options: Options, brought: Brought) -> Path:
    from edgeprof import suite_files

    return suite_files.write_training(suite_to_write(options), brought.training)


def _tell(brought: Brought, evaluated: Evaluated, path: Path, as_json: bool) -> None:
    from edgeprof.cli import tables

    training, trained, shares = brought.training, evaluated.trained, evaluated.shares
    if as_json:
        console.print_json(
            {
                "schema": console.JSON_SCHEMA,
                "training": training.name,
                "file": str(path),
                "preprocessing": training.preprocessing,
                "assumed": brought.assumed,
                "trained": trained,
                "top1": shares.top1,
                "top5": shares.top5,
                "macro_f1": shares.macro_f1,
            }
        )
    else:
        known = training.preprocessing
        given = "the default" if training.models[0].startswith("factory:") else "as the model's library publishes it"
        print(f"{'model':<14} {training.models[0]}, {len(brought.classes)} classes")
        where = f" in {training.data.root}" if training.data.root else ""
        print(f"{'data':<14} {training.data.name}{where}, {shares.images} test images")
        for key in ("image_size", "mean", "std", "interpolation", "crop_pct"):
            value = getattr(known, key)
            shown = ", ".join(f"{one:g}" for one in value) if isinstance(value, tuple) else f"{value}"
            from_where = "" if key not in brought.assumed else f"  ({given})"
            print(f"{key:<14} {shown}{from_where}")
        for label, one in (("top-1", shares.top1), ("top-5", shares.top5), ("macro F1", shares.macro_f1)):
            print(f"{label:<14} {tables.percent(one.value)}  ({tables.percent(one.low)} to {tables.percent(one.high)})")
        print(f"{'written':<14} {console.shown_path(path)}")
    if trained.accuracy.top1 < 2 / len(brought.classes):
        console.say(
            "warning: this is hardly better than guessing; are the classes in another order, or the images prepared"
            " in another way, than in its training?"
        )
    console.say(f"next: edgeprof run --training {shlex.quote(training.name)} --device localhost")
