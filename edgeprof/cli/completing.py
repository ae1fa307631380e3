"""For completion on the command line: names of files of a suite and runs of a store. Nothing is made, no fault told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import typer

from edgeprof.errors import EdgeprofError

if TYPE_CHECKING:
    from edgeprof.api import Suite

NEWEST = 40
"""So many runs are offered; of more, those whose beginning is typed."""


def training_words(ctx: typer.Context, incomplete: str) -> list[str]:
    """The recipes of `training/`."""
    return _beginning(ctx, incomplete, lambda suite: suite.training_names())


def exporter_words(ctx: typer.Context, incomplete: str) -> list[str]:
    """The deployable forms of `exporters/`."""
    return _beginning(ctx, incomplete, lambda suite: suite.exporter_names())


def device_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The files of `devices/` alone, where one device is asked for."""
    return _beginning(ctx, incomplete, lambda suite: suite.device_names())


def run_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The store's finished runs, the newest first; no comparisons."""
    return _beginning(ctx, incomplete, _runs)[:NEWEST]


def _runs(suite: Suite) -> list[str]:
    from edgeprof.records import Run

    return [one.run for one in reversed(suite.records(Run)) if one.finished and not one.pair]


def _beginning(ctx: typer.Context, incomplete: str, names: Callable[[Suite], Sequence[str]]) -> list[str]:
    from edgeprof.api import Suite

    given = ctx.find_root().params
    try:
        return [
            name for name in names(Suite(given.get("suite"), work=given.get("work"))) if name.startswith(incomplete)
        ]
    except (EdgeprofError, OSError):
        return []
