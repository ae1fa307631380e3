"""Training under one recipe: deterministic, kept after every epoch, and taken up where it stopped.

Importing this loads no torch; `train` and `train_all` do, and only when there is something to train.
"""

from edgeprof.train.curves import folder as curves_folder
from edgeprof.train.estimate import Estimate, Expected, Left, estimate
from edgeprof.train.how import How
from edgeprof.train.jobs import OF_ALL, Cell, train, train_all
from edgeprof.train.plan import cells, epochs_left, key, stored

__all__ = [
    "OF_ALL",
    "Cell",
    "Estimate",
    "Expected",
    "How",
    "Left",
    "cells",
    "curves_folder",
    "epochs_left",
    "estimate",
    "key",
    "stored",
    "train",
    "train_all",
]
