"""Checkpoints become files that a runtime executes: ONNX, OpenVINO, TFLite, each checked against its checkpoint.

Importing this loads neither torch nor any converter: conversions run in processes of their own (`worker`).
"""

from edgeprof.export.cells import cached, export, export_all, key
from edgeprof.export.files import write_files
from edgeprof.export.request import ParityError

__all__ = ["ParityError", "cached", "export", "export_all", "key", "write_files"]
