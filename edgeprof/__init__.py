"""edgeprof: which image classifier to ship on an edge board, in which format, and can the numbers be trusted."""

__version__ = "0.1.0"
