"""Options that several commands share, so that they are named and explained the same everywhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgeprof.cli.completing import exporter_words, run_names, training_words
from edgeprof.errors import EdgeprofError, UsageError

if TYPE_CHECKING:
    from edgeprof.api.asking import Measuring


def device_words(ctx: typer.Context, incomplete: str) -> list[str]:
    """For completion on the command line: the suite's devices, and the words for several of them."""
    from edgeprof.api import ALL_DEVICES, TAG, Suite

    try:
        suite = Suite(ctx.find_root().params.get("suite"))
        names = suite.device_names()
        tags = {tag for one in suite.devices() for tag in one.tags} if incomplete.startswith(TAG) else set()
    except (EdgeprofError, OSError):
        return []
    words = [*names, ALL_DEVICES, TAG, *sorted(TAG + tag for tag in tags)]
    return [word for word in words if word.startswith(incomplete)]


def model_words(ctx: typer.Context, incomplete: str) -> list[str]:
    """For completion on the command line: the models of the suite's recipes. (All of timm's would take seconds.)"""
    from edgeprof.api import Suite

    try:
        models = Suite(ctx.find_root().params.get("suite")).models()
    except (EdgeprofError, OSError):
        return []
    return sorted(model for model in models if model.startswith(incomplete))


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
DeviceNames = Annotated[
    list[str] | None,
    typer.Option(
        "--device",
        "-d",
        metavar="NAME",
        help="A file of devices/; may be repeated. `all` is every one, `tag:arm64` those with that tag."
        " Default: localhost.",
        autocompletion=device_words,
    ),
]
TrainingName = Annotated[
    str | None,
    typer.Option("--training", "-t", help="A file of training/. Default: demo.", autocompletion=training_words),
]
ExporterNames = Annotated[
    list[str] | None,
    typer.Option(
        "--exporter",
        "-e",
        help="A file of exporters/; may be repeated. Default: the recipe's, else the device's, else all that fit it.",
        autocompletion=exporter_words,
    ),
]
RunName = Annotated[
    str | None,
    typer.Option("--run", help="A run by name. Default: the newest finished one.", autocompletion=run_names),
]
Wait = Annotated[str, typer.Option(help="How long to wait if another edgeprof works here, for example 90s, 30m or 2h.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Begin a new run even if an unfinished one could go on.")]
Rounds = Annotated[
    int | None,
    typer.Option(min=1, max=60, help="Exactly so many fresh processes for each candidate, whatever the precision."),
]
Precision = Annotated[
    str | None,
    typer.Option(help="Half width of the median's 95% interval at which a candidate is done: 1% (default), 0.5%, 5%."),
]
CellTime = Annotated[
    str | None, typer.Option(help="Most time for one candidate (twice that if it must be measured again): 5s, 2m.")
]
Quick = Annotated[bool, typer.Option("--quick", help="5 short rounds to within 10%: a first look, fast.")]
AllowFallback = Annotated[
    bool, typer.Option("--allow-fallback", help="Measure also what does not run on the provider asked for, and say so.")
]
PerOp = Annotated[
    bool, typer.Option("--per-op", help="Then, in a pass of its own, the time by operator of each candidate.")
]
Energy = Annotated[
    bool,
    typer.Option(
        "--energy", help="Then, in a pass of its own, the energy of an inference, where the device has a power sensor."
    ),
]
VerifyOnDevice = Annotated[
    int | None,
    typer.Option(
        "--verify-on-device",
        metavar="N",
        min=1,
        help="Then run N test images there, in a pass of its own, and compare with the host's outputs of the file.",
    ),
]
AccuracyOnDevice = Annotated[
    bool,
    typer.Option("--accuracy-on-device", help="The same with the whole test set: accuracy as measured on the device."),
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 7 if a candidate is not to be trusted.")]

Cores = Annotated[
    str | None,
    typer.Option(help="Bind to cores: 0,1 or 2-3, or big or little where there are two kinds. Default: device file."),
]

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str, option: str) -> float:
    """`90s`, `30m`, `2h` or `0` in seconds.

    Raises:
        UsageError: it is none of these.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", text.strip())
    if found:
        return float(found[1]) * _SECONDS[found[2]]
    if text.strip() == "0":
        return 0.0
    raise UsageError(f"{option} {text!r} is no length of time", hint="write it with a unit: 90s, 30m or 2h")


def bound(text: str) -> tuple[int, ...] | Literal["big", "little"]:
    """`0,1`, `2-3`, `big` or `little`, as in a device file.

    Raises:
        UsageError: it is none of these.
    """
    if text == "big":
        return "big"
    if text == "little":
        return "little"
    found: list[int] = []
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\d{1,4})(?:\s*-\s*(\d{1,4}))?\s*", part)
        if not ends or int(ends[2] or ends[1]) < int(ends[1]):
            raise UsageError(f"--cores {text!r} names no cores", hint="for example 0,1 or 2-3, or big or little")
        found += range(int(ends[1]), int(ends[2] or ends[1]) + 1)
    return tuple(found)


def share(text: str, option: str) -> float:
    """`1%` or `0.01` as a share above 0 and below 1.

    Raises:
        UsageError: it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*(%?)", text.strip())
    if not found:
        raise UsageError(f"{option} {text!r} is no share", hint="write it as 1% or 0.01")
    value = float(found[1]) / (100 if found[2] else 1)
    if not 0 < value < 1:
        raise UsageError(f"{option} {text} must lie above 0 and below 100%", hint="1% is common, 5% is quick")
    return value


def measuring(
    *,
    quick: bool = False,
    rounds: int | None = None,
    precision: str | None = None,
    cell_time: str | None = None,
    allow_fallback: bool = False,
    per_op: bool = False,
    energy: bool = False,
    verify_on_device: int | None = None,
    accuracy_on_device: bool = False,
    fresh: bool = False,
    wait: str = "0",
) -> Measuring:
    """What the options ask for, as `edgeprof.Suite` takes it.

    Raises:
        UsageError: an option means nothing, or two mean the same.
    """
    limit = None if cell_time is None else seconds(cell_time, "--cell-time")
    if limit is not None and limit <= 0:
        raise UsageError("--cell-time must be above 0", hint="for example 5s")
    if verify_on_device is not None and accuracy_on_device:
        raise UsageError(
            "--accuracy-on-device runs all test images already", hint="leave --verify-on-device out, or take it alone"
        )
    return {
        "quick": quick,
        "rounds": rounds,
        "precision": None if precision is None else share(precision, "--precision"),
        "cell_s": limit,
        "allow_fallback": allow_fallback,
        "per_op": per_op,
        "energy": energy,
        "test_images": "all" if accuracy_on_device else verify_on_device,
        "fresh": fresh,
        "wait_s": seconds(wait, "--wait"),
    }
