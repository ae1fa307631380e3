"""edgeprof from Python: what the commands do, with results as records and data frames. See docs/python.md."""

from edgeprof.api.fleet import Fleet
from edgeprof.api.gated import Gated
from edgeprof.api.made import AddedDevice, Cleaned, Explained, Exported, Imported, Reported, TrainingResult, TrustedKey
from edgeprof.api.more import MeasuredMore
from edgeprof.api.results import FleetResult, RunResult
from edgeprof.api.suite import Suite
from edgeprof.progress import Lines, Progress
from edgeprof.suite import ALL_DEVICES, TAG

__all__ = [
    "ALL_DEVICES",
    "TAG",
    "AddedDevice",
    "Cleaned",
    "Explained",
    "Exported",
    "Fleet",
    "FleetResult",
    "Gated",
    "Imported",
    "Lines",
    "MeasuredMore",
    "Progress",
    "Reported",
    "RunResult",
    "Suite",
    "TrainingResult",
    "TrustedKey",
]
