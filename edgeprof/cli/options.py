"""Options that several commands share, so that they are named and explained the same everywhere."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from edgeprof.errors import UsageError

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
DeviceName = Annotated[str, typer.Option("--device", "-d", help="A file of devices/, for example localhost.")]
TrainingName = Annotated[str | None, typer.Option("--training", "-t", help="A file of training/. Default: demo.")]
ExporterNames = Annotated[
    list[str] | None,
    typer.Option("--exporter", "-e", help="A file of exporters/; may be repeated. Default: the device's, else all."),
]
RunName = Annotated[str | None, typer.Option("--run", help="A run by name. Default: the newest finished one.")]
Wait = Annotated[str, typer.Option(help="How long to wait if another edgeprof works here, for example 90s, 30m or 2h.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Begin a new run even if an unfinished one could go on.")]
Rounds = Annotated[int | None, typer.Option(min=1, max=1000, help="Fresh processes for each candidate.")]

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
