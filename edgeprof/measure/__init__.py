"""From files to raw samples: what to measure, in what order, and whether to trust it."""

from edgeprof.measure.asking import facts
from edgeprof.measure.files import present
from edgeprof.measure.inputs import Arrays, Shape, read_inputs, shapes
from edgeprof.measure.operators import operators
from edgeprof.measure.pair import Side, pair_result, settle
from edgeprof.measure.plan import bound_cores, cells
from edgeprof.measure.ready import UNUSABLE, ready
from edgeprof.measure.run import collect, measure
from edgeprof.measure.session import Session
from edgeprof.measure.trust import verdict

__all__ = [
    "UNUSABLE",
    "Arrays",
    "Session",
    "Shape",
    "Side",
    "bound_cores",
    "cells",
    "collect",
    "facts",
    "measure",
    "operators",
    "pair_result",
    "present",
    "read_inputs",
    "ready",
    "settle",
    "shapes",
    "verdict",
]
