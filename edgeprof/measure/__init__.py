"""From files to raw samples: what to measure, in what order, and whether to trust it."""

from edgeprof.measure.plan import cells, order
from edgeprof.measure.ready import ready, shapes
from edgeprof.measure.run import collect, facts, measure
from edgeprof.measure.trust import verdict

__all__ = ["cells", "collect", "facts", "measure", "order", "ready", "shapes", "verdict"]
