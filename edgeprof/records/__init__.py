"""Every fact that passes between stages, as frozen typed records.

Unknown fields are refused. Units stand in the names (`_ns`, `_ms`, `_bytes`). What is not known is None, never 0.
Building a record does nothing: no network, no environment, no guess.
"""

from edgeprof.records.base import Record, digest, from_json, to_json
from edgeprof.records.derived import Candidate, Choice, Ranking, Rejected
from edgeprof.records.inputs import Data, Device, Exporter, Format, Precision, Preprocessing, Recipe, Training
from edgeprof.records.made import Accuracy, Artifact, FileRef, Identity, MadeBy, Parity, Tensor, Trained, files_sha
from edgeprof.records.measured import (
    ADVICE,
    Cell,
    DeviceFacts,
    Failure,
    Interval,
    Measurement,
    Method,
    Reason,
    Round,
    Run,
    Stage,
    Summary,
)

__all__ = [
    "ADVICE",
    "Accuracy",
    "Artifact",
    "Candidate",
    "Cell",
    "Choice",
    "Data",
    "Device",
    "DeviceFacts",
    "Exporter",
    "Failure",
    "FileRef",
    "Format",
    "Identity",
    "Interval",
    "MadeBy",
    "Measurement",
    "Method",
    "Parity",
    "Precision",
    "Preprocessing",
    "Ranking",
    "Reason",
    "Recipe",
    "Record",
    "Rejected",
    "Round",
    "Run",
    "Stage",
    "Summary",
    "Tensor",
    "Trained",
    "Training",
    "digest",
    "files_sha",
    "from_json",
    "to_json",
]
