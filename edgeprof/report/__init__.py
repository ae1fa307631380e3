"""What people and programs read after a run: JSON, CSV, Markdown and one self-contained HTML page."""

from edgeprof.report.replay import Replayed, replay
from edgeprof.report.write import write_reports

__all__ = ["Replayed", "replay", "write_reports"]
