"""The only part that knows the order of the stages: train, export, profile, join, report."""

from edgeprof.pipeline.ask import Ask
from edgeprof.pipeline.compare import Subject, compare
from edgeprof.pipeline.devices import clean, doctor, probe
from edgeprof.pipeline.explain import Explanation, LayerError, checkpoint_for, explain_exported, explain_file
from edgeprof.pipeline.grid import estimate
from edgeprof.pipeline.make import export, exporters, train, write_artifact
from edgeprof.pipeline.read import Outcome, assemble, effect_of, find_run, store_root
from edgeprof.pipeline.run import profile, profile_exported, profile_files, run
from edgeprof.target.trust import Presented, accept, presented
from edgeprof.train import Estimate, How

__all__ = [
    "Ask",
    "Estimate",
    "Explanation",
    "How",
    "LayerError",
    "Outcome",
    "Presented",
    "Subject",
    "accept",
    "assemble",
    "checkpoint_for",
    "clean",
    "compare",
    "doctor",
    "effect_of",
    "estimate",
    "explain_exported",
    "explain_file",
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
    "write_artifact",
]
