"""The only part that knows the order of the stages: train, export, profile, join, report."""

from edgeprof.pipeline.compare import Subject, compare
from edgeprof.pipeline.make import export, exporters, train, write_artifacts
from edgeprof.pipeline.read import Outcome, assemble, find_run, store_root
from edgeprof.pipeline.run import facts, profile, profile_exported, profile_files, run

__all__ = [
    "Outcome",
    "Subject",
    "assemble",
    "compare",
    "export",
    "exporters",
    "facts",
    "find_run",
    "profile",
    "profile_exported",
    "profile_files",
    "run",
    "store_root",
    "train",
    "write_artifacts",
]
