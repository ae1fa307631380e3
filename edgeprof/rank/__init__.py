"""From measurements to decisions. Pure: records in, records out."""

from edgeprof.rank.budgets import budgets
from edgeprof.rank.choose import check, choose
from edgeprof.rank.choose_for_all import choose_for_all
from edgeprof.rank.effect import Checkpoint, effect
from edgeprof.rank.evidence import Evidence, evidence
from edgeprof.rank.join import ranking
from edgeprof.rank.limits import parse_budget, parse_bytes, parse_energy, parse_share
from edgeprof.rank.looks import DOUBT as DOUBT_AT_ALL_LOOKS
from edgeprof.rank.looks import looked_at
from edgeprof.rank.orders import ORDERS, order_by
from edgeprof.rank.pareto import front

__all__ = [
    "DOUBT_AT_ALL_LOOKS",
    "ORDERS",
    "Checkpoint",
    "Evidence",
    "budgets",
    "check",
    "choose",
    "choose_for_all",
    "effect",
    "evidence",
    "front",
    "looked_at",
    "order_by",
    "parse_budget",
    "parse_bytes",
    "parse_energy",
    "parse_share",
    "ranking",
]
