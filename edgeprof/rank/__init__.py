"""From measurements to decisions. Pure: records in, records out."""

from edgeprof.rank.budgets import budgets
from edgeprof.rank.choose import choose, parse_budget
from edgeprof.rank.effect import Checkpoint, effect
from edgeprof.rank.join import ranking
from edgeprof.rank.orders import ORDERS
from edgeprof.rank.pareto import front

__all__ = ["ORDERS", "Checkpoint", "budgets", "choose", "effect", "front", "parse_budget", "ranking"]
