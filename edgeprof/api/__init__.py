"""edgeprof from Python: what the commands do, with results as records and data frames. See docs/python.md."""

from edgeprof.api.fleet import Fleet
from edgeprof.api.results import Exported, FleetResult, RunResult, TrainingResult
from edgeprof.api.suite import Suite
from edgeprof.progress import Lines, Progress

__all__ = ["Exported", "Fleet", "FleetResult", "Lines", "Progress", "RunResult", "Suite", "TrainingResult"]
