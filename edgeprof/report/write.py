"""Writes the files of a report, each whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgeprof.records import Fleet, Measurement, Ranking, to_json
from edgeprof.report import parquet
from edgeprof.report.fleet import Spreads, fleet_page
from edgeprof.report.odds import Curves
from edgeprof.report.page import page
from edgeprof.report.table import to_csv
from edgeprof.report.text import fleet_summary, summary
from edgeprof.report.whole import write_whole

FILES = {"json": "ranking.json", "csv": "ranking.csv", "markdown": "summary.md", "html": "report.html"}
"""The names of the files of a report."""
PARQUET = "ranking.parquet"
"""Written too, under the key `parquet`, where pyarrow is installed."""


def render(ranking: Ranking, measurements: Sequence[Measurement]) -> dict[str, bytes]:
    """The files of a report under the keys of `FILES`, and `parquet` where pyarrow is installed: the same records give
    the same bytes.

    Args:
        measurements: those behind the ranking; the page shows their samples in time order. Those of cells that are
            not in the ranking are left out.
    """
    return {
        "json": to_json(ranking, indent=2) + b"\n",
        "csv": to_csv([ranking]).encode(),
        "markdown": summary(ranking).encode(),
        "html": page(ranking, measurements).encode(),
        **_parquet([ranking]),
    }


def render_fleet(
    fleet: Fleet, spreads: Sequence[Spreads], known: Sequence[Mapping[str, Curves]] = ()
) -> dict[str, bytes]:
    """The same of several devices, side by side.

    Args:
        spreads: for each ranking where the samples of its candidates lie.
        known: for each ranking what probabilities are computed from, see `report.odds`; empty: none are told.
    """
    return {
        "json": to_json(fleet, indent=2) + b"\n",
        "csv": to_csv(fleet.rankings).encode(),
        "markdown": fleet_summary(fleet).encode(),
        "html": fleet_page(fleet, spreads, known).encode(),
        **_parquet(fleet.rankings),
    }


def _parquet(rankings: Sequence[Ranking]) -> dict[str, bytes]:
    return {"parquet": parquet.to_parquet(rankings)} if parquet.installed() else {}


def write_reports(ranking: Ranking, measurements: Sequence[Measurement], folder: Path) -> dict[str, Path]:
    """Write the files of `render` into `folder` (made if missing).

    Returns: the files under their keys.

    Raises:
        UsageError: the folder cannot be written.
        RecordError: the disk is full or fails.
    """
    return _write(render(ranking, measurements), folder)


def write_fleet(
    fleet: Fleet, spreads: Sequence[Spreads], folder: Path, known: Sequence[Mapping[str, Curves]] = ()
) -> dict[str, Path]:
    """Write the files of `render_fleet`, see `write_reports`."""
    return _write(render_fleet(fleet, spreads, known), folder)


def _write(rendered: Mapping[str, bytes], folder: Path) -> dict[str, Path]:
    written = {}
    for kind, data in rendered.items():
        written[kind] = folder / (FILES | {"parquet": PARQUET})[kind]
        write_whole(written[kind], data)
    return written
