"""Training under one recipe: deterministic, kept after every epoch, and taken up where it stopped.

Importing this loads no torch; `train` does, and only when there is something to train.
"""

from edgeprof.train.plan import cells, epochs_left, key, stored
from edgeprof.train.run import train

__all__ = ["cells", "epochs_left", "key", "stored", "train"]
