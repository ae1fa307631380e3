"""The only part that knows the order of the stages: train, export, profile, join, report."""

from edgeprof.pipeline.compare import Subject, compare
from edgeprof.pipeline.devices import clean, doctor, probe
from edgeprof.pipeline.make import export, exporters, train, write_artifacts
from edgeprof.pipeline.read import Outcome, assemble, find_run, store_root
from edgeprof.pipeline.run import profile, profile_exported, profile_files, run
from edgeprof.target.trust import Presented, accept, presented

__all__ = [
    "Outcome",
    "Presented",
    "Subject",
    "accept",
    "assemble",
    "clean",
    "compare",
    "doctor",
    "export",
    "exporters",
    "find_run",
    "presented",
    "probe",
    "profile",
    "profile_exported",
    "profile_files",
    "run",
    "store_root",
    "train",
    "write_artifacts",
]
