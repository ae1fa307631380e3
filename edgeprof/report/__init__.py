"""What people and programs read after a run: JSON, CSV, Parquet, Markdown, one self-contained HTML page, and plots."""

from edgeprof.report.plots import PlotFormat, write_plots
from edgeprof.report.replay import Replayed, replay
from edgeprof.report.samples import by_job, spread
from edgeprof.report.write import write_fleet, write_reports

__all__ = ["PlotFormat", "Replayed", "by_job", "replay", "spread", "write_fleet", "write_plots", "write_reports"]
