"""What people and programs read after a run: JSON, CSV, Parquet, Markdown, one self-contained HTML page, and plots."""

from edgeprof.report.odds import Curves, curves
from edgeprof.report.plots import PlotFormat, write_plots
from edgeprof.report.replay import Replayed, replay, replay_fleet, runs_of
from edgeprof.report.samples import Spread, by_job, spread
from edgeprof.report.write import FILES, write_fleet, write_reports

__all__ = [
    "FILES",
    "Curves",
    "PlotFormat",
    "Replayed",
    "Spread",
    "by_job",
    "curves",
    "replay",
    "replay_fleet",
    "runs_of",
    "spread",
    "write_fleet",
    "write_plots",
    "write_reports",
]
