"""How far outputs are from the wanted ones, and when they are the same."""

from __future__ import annotations

import numpy as np

from edgeprof.export.explain.prepare import Floats

EXACT = 1e-3
"""Largest difference as a share of the wanted outputs' spread, for a file that computes in float32."""
ROUNDED = 2e-2
"""The same for a file with weights or values in 16 bits."""
HELPS = 3.0
"""How many times smaller the distance has to get before something is said to help."""


def relative_diff(wanted: Floats, got: Floats) -> float:
    """Largest difference as a share of the spread (max - min) of the wanted outputs; inf where some are not finite."""
    if not np.isfinite(got).all():
        return float("inf")
    spread = float(wanted.max() - wanted.min()) or 1.0
    return float(np.abs(wanted.astype(np.float64) - got).max()) / spread


def distance(wanted: Floats, got: Floats) -> float:
    """Root of the mean squared difference over that of the wanted outputs from their mean image; 1: as good as it."""
    if not np.isfinite(got).all():
        return float("inf")
    plain = wanted.astype(np.float64)
    power = float(((plain - plain.mean(axis=0)) ** 2).mean()) or 1.0
    return float(np.sqrt(((plain - got) ** 2).mean() / power))
