"""From files to raw samples: what to measure, in what order, and whether to trust it."""

from edgeprof.measure.plan import cells, order
from edgeprof.measure.ready import ready, shapes
from edgeprof.measure.run import collect, facts, measure
from edgeprof.measure.trust import ADVICE, Reason, verdict

__all__ = ["ADVICE", "Reason", "cells", "collect", "facts", "measure", "order", "ready", "shapes", "verdict"]
