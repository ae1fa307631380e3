"""Names of what results are made of, for annotations: nothing is loaded for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeprof.pipeline import Estimate, Explanation, LayerError
    from edgeprof.pipeline import Presented as HostKey
    from edgeprof.report import PlotFormat, Replayed

    __all__ = ["Estimate", "Explanation", "HostKey", "LayerError", "PlotFormat", "Replayed"]
