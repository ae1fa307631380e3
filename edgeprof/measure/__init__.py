"""From files to raw samples: what to measure, in what order, and whether to trust it."""

from edgeprof.measure.asking import facts, providers
from edgeprof.measure.doctor import doctor
from edgeprof.measure.files import formats, present
from edgeprof.measure.images import Images
from edgeprof.measure.inputs import Arrays, Shape, read_inputs, shapes
from edgeprof.measure.metering import energies, energy, forewarn
from edgeprof.measure.operators import operators
from edgeprof.measure.outputs import collected
from edgeprof.measure.pair import Side, pair_result, settle
from edgeprof.measure.plan import cells, has_runtime, refuse_impossible
from edgeprof.measure.ready import UNUSABLE, ready
from edgeprof.measure.run import collect, measure
from edgeprof.measure.session import Session
from edgeprof.measure.trust import differs_above, verdict
from edgeprof.measure.verifying import NO_OUTPUTS, images_key, verify

__all__ = [
    "NO_OUTPUTS",
    "UNUSABLE",
    "Arrays",
    "Images",
    "Session",
    "Shape",
    "Side",
    "cells",
    "collect",
    "collected",
    "differs_above",
    "doctor",
    "energies",
    "energy",
    "facts",
    "forewarn",
    "formats",
    "has_runtime",
    "images_key",
    "measure",
    "operators",
    "pair_result",
    "present",
    "providers",
    "read_inputs",
    "ready",
    "refuse_impossible",
    "settle",
    "shapes",
    "verdict",
    "verify",
]
