"""Why an exported file does not do what its checkpoint does: preparation, outputs, BatchNorm, numerics, quantization.

Importing this loads neither torch nor any runtime.
"""

from edgeprof.export.explain.finding import Cause, Explanation, Finding, LayerError

__all__ = ["Cause", "Explanation", "Finding", "LayerError"]
