"""From measurements to decisions. Pure: records in, records out."""

from edgeprof.rank.choose import choose, parse_budget
from edgeprof.rank.join import ORDERS, ranking
from edgeprof.rank.pareto import front

__all__ = ["ORDERS", "choose", "front", "parse_budget", "ranking"]
