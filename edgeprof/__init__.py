"""edgeprof: which image classifier to ship on an edge board, in which format, and can the numbers be trusted.

From Python: `from edgeprof import Suite`, see docs/python.md. Nothing else is loaded until it is asked for.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeprof.api import (
        AddedDevice,
        Cleaned,
        Explained,
        Exported,
        Fleet,
        FleetResult,
        Gated,
        Imported,
        Lines,
        MeasuredMore,
        Progress,
        Reported,
        RunResult,
        Suite,
        TrainingResult,
        TrustedKey,
    )

__version__ = "0.1.0"

__all__ = [
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
    "__version__",
]

if not TYPE_CHECKING:  # else every name would be one of ours to a type checker

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'edgeprof' has no attribute {name!r}")
        from edgeprof import api

        found = getattr(api, name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
