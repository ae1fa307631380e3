"""`edgeprof init`, `list` and `check`: the suite's files."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeprof.cli import console
from edgeprof.cli.app import Options, app
from edgeprof.cli.options import AsJson
from edgeprof.errors import EXIT_OK, EXIT_USAGE

if TYPE_CHECKING:
    from edgeprof.records import Device, Exporter, Training

PANEL = "The suite"


class What(StrEnum):
    """What `edgeprof list` can list."""

    models = "models"
    training = "training"
    exporters = "exporters"
    devices = "devices"


@app.command(rich_help_panel=PANEL, epilog="Example: `edgeprof init boards && cd boards && edgeprof list`")
@console.reported
def init(
    folder: Annotated[Path, typer.Argument(help="The folder to fill; files there already stay.")],
    as_json: AsJson = False,
) -> None:
    """Make a suite of your own: training/, exporters/, devices/ to edit."""
    from edgeprof import api

    written = api.Suite.init(folder).written
    if as_json:
        console.print_json({"schema": console.JSON_SCHEMA, "files": [str(path) for path in written]})
        return
    for path in written:
        print(console.shown_path(path))
    console.say(f"{len(written)} files written. Next: cd {shlex.quote(str(folder))} && edgeprof run --device localhost")


@app.command("list", rich_help_panel=PANEL, epilog="Examples: `edgeprof list`, `edgeprof list devices --json`")
@console.reported
def list_(
    context: typer.Context,
    what: Annotated[What | None, typer.Argument(help="Only these.")] = None,
    as_json: AsJson = False,
) -> None:
    """What the suite holds: models, trainings, exporters, devices."""
    options: Options = context.obj
    found = options.api()
    listing: dict[str, list[dict[str, Any]]] = {}
    wanted = [what.value] if what else [one.value for one in What]
    if "models" in wanted:
        models = found.models_with_recipes()
        listing["models"] = [{"name": name, "description": "in " + ", ".join(models[name])} for name in models]
    load: dict[str, Callable[[], Sequence[Training | Exporter | Device]]] = {
        "training": found.trainings,
        "exporters": found.exporters,
        "devices": found.devices,
    }
    for folder, all_of in load.items():
        if folder in wanted:
            listing[folder] = [{"name": one.name, "description": one.description} for one in all_of()]
    if as_json:
        console.print_json({"schema": console.JSON_SCHEMA, "suite": str(found.path), **listing})
        return
    for folder, rows in listing.items():
        print(folder)
        width = max((len(row["name"]) for row in rows), default=0)
        for row in rows:
            print(f"  {row['name']:<{width}}  {row['description']}".rstrip())


@app.command(rich_help_panel=PANEL, epilog="Example: `edgeprof --suite boards check`")
@console.reported
def check(context: typer.Context, as_json: AsJson = False) -> int:
    """Check every file of the suite; exit 2 if one is wrong. (Names of models are checked when they are trained.)"""
    options: Options = context.obj
    found = options.api()
    results = list(found.check().items())
    wrong = [(path, error) for path, error in results if error is not None]
    if as_json:
        files = [
            {"file": str(path), "ok": error is None, "error": error and error.what, "hint": error and error.hint}
            for path, error in results
        ]
        console.print_json({"schema": console.JSON_SCHEMA, "suite": str(found.path), "files": files})
    else:
        from edgeprof.cli.tables import plain

        for path, error in results:  # a file of any name may lie there
            print(f"{'ok   ' if error is None else 'wrong'}  {plain(console.shown_path(path))}")
            if error is not None:
                console.say(f"error: {error}" + (f"\n  hint: {error.hint}" if error.hint else ""))
    return EXIT_USAGE if wrong else EXIT_OK
